/** The handles of a process that {@link runService} needs: signals, output and exit. Tests give their own. */
export interface ProcessHost {
  writeOut(text: string): void;
  writeErr(text: string): void;
  /** Calls the listener at each such event; the returned function stops that. */
  on(event: ProcessEvent, listener: (cause: unknown) => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
}

export type ProcessEvent = "SIGTERM" | "SIGINT" | "uncaughtException" | "unhandledRejection";

/** The real process. */
export function fromProcess(node: NodeJS.Process): ProcessHost {
  // Nobody reads the log any more: no reason to stop serving.
  const ignore = (): void => {};
  node.stdout.on("error", ignore);
  node.stderr.on("error", ignore);
  return {
    writeOut: (text) => void node.stdout.write(text),
    writeErr: (text) => void node.stderr.write(text),
    on(event, listener) {
      const target: NodeJS.EventEmitter = node;
      target.on(event, listener);
      return () => target.off(event, listener);
    },
    exit: (code) => node.exit(code),
  };
}
