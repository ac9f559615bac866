/**
 * Replaces `$(NAME)` by the variable's value, as the kubelet does; `$$(NAME)` stands for a literal `$(NAME)`, and an unknown name stays as written.
 */
export function expand(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$(\$|\(([^()\s]+)\))/g, (whole, kind: string, name: string | undefined) => {
    if (kind === "$") return "$";
    return name === undefined || !Object.hasOwn(variables, name) ? whole : (variables[name] ?? whole);
  });
}

/** Where the laptop keeps what a container sees at a path. */
export interface Mount {
  /** As in the manifest: `/var/run/weft`. */
  readonly mountPath: string;
  /** The folder on this machine. */
  readonly hostPath: string;
}

/** Rewrites a value that is, or lies under, a mount path to the folder that stands for it; the longest mount path wins. */
export function rewritePath(value: string, mounts: readonly Mount[]): string {
  let best: Mount | undefined;
  for (const mount of mounts) {
    if (value !== mount.mountPath && !value.startsWith(`${mount.mountPath}/`)) continue;
    if (best === undefined || mount.mountPath.length > best.mountPath.length) best = mount;
  }
  return best === undefined ? value : best.hostPath + value.slice(best.mountPath.length);
}
