/** The variables of the shell that tell every process where its traces go. */
export interface ShellTelemetry {
  /** OTEL_* as the shell has them: they win over the manifests. */
  readonly env: Readonly<Record<string, string>>;
  /** Where traces go instead of the laptop's own store, when the shell says so. */
  readonly elsewhere: string | undefined;
}

export function shellTelemetry(env: NodeJS.ProcessEnv): ShellTelemetry {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    // A service is named by its manifest: one name for all would make one service of them.
    if (name.startsWith("OTEL_") && name !== "OTEL_SERVICE_NAME" && value !== undefined && value !== "")
      found[name] = value;
  }
  return { env: found, elsewhere: found["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] ?? found["OTEL_EXPORTER_OTLP_ENDPOINT"] };
}

/** The lines that tell a reader about it; values of headers may be secrets and are not shown. */
export function describeTelemetry({ env }: ShellTelemetry): readonly string[] {
  return Object.entries(env).map(([name, value]) => {
    const shown = name.endsWith("_HEADERS") ? "(not shown)" : value;
    return `${name}=${shown} of this shell wins over the manifests`;
  });
}
