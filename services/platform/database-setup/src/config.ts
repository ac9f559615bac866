import { type ConfigOf, defineConfig, variable } from "@weft/chassis";

/** Beside what every process reads. */
export const config = defineConfig({
  KUBERNETES_SERVICE_HOST: variable.string({ doc: "Address of the Kubernetes API (set by the kubelet)." }),
  KUBERNETES_SERVICE_PORT: variable.port({ doc: "Port of the Kubernetes API (set by the kubelet).", default: 443 }),
  WEFT_SERVICEACCOUNT_DIR: variable.string({
    doc: "Folder with token and ca.crt of the service account.",
    default: "/var/run/secrets/kubernetes.io/serviceaccount",
  }),
  WEFT_POSTGRES: variable.hostPort({ doc: "The server, by the name under which services reach it." }),
  WEFT_DATABASES: variable.list({ doc: "The services that get a database, by name." }),
  WEFT_SETUP_TIMEOUT: variable.duration({ doc: "How long the server and the API are waited for.", default: "10m" }),
});

export type Config = ConfigOf<typeof config>;
