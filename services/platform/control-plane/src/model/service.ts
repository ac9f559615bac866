/** A Service as far as the mesh cares. */
export interface MeshService {
  readonly namespace: string;
  readonly name: string;
  /** TCP ports in the order of the manifest; none for a Service that is only a DNS alias. */
  readonly ports: readonly MeshPort[];
}

export interface MeshPort {
  /** Empty for the only port of a Service. */
  readonly name: string;
  readonly port: number;
}

/** The port that callers mean who name none: the one named `grpc`, else the only one. */
export function defaultPort(service: MeshService): MeshPort | undefined {
  return (
    service.ports.find((port) => port.name === "grpc") ?? (service.ports.length === 1 ? service.ports[0] : undefined)
  );
}
