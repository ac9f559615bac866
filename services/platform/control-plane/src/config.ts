import { type ConfigOf, defineConfig, variable } from "@weft/chassis";

/** Beside what every process reads. */
export const config = defineConfig({
  KUBERNETES_SERVICE_HOST: variable.string({ doc: "Address of the Kubernetes API (set by the kubelet)." }),
  KUBERNETES_SERVICE_PORT: variable.port({ doc: "Port of the Kubernetes API (set by the kubelet).", default: 443 }),
  WEFT_METRICS_API_PORT: variable.port({ doc: "Port of the metrics API (HTTPS).", default: 6443 }),
  WEFT_SERVICEACCOUNT_DIR: variable.string({
    doc: "Folder with token and ca.crt of the service account.",
    default: "/var/run/secrets/kubernetes.io/serviceaccount",
  }),
});

export type Config = ConfigOf<typeof config>;
