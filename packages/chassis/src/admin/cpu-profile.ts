/** Records what the process spends its time on, for `durationMs`; the result is a V8 CPU profile (`.cpuprofile`). */
export async function recordCpuProfile(durationMs: number): Promise<unknown> {
  // Loaded when first asked for: few processes ever are.
  const { Session } = await import("node:inspector/promises");
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.start");
    await new Promise((resolve) => setTimeout(resolve, durationMs));
    const { profile } = await session.post("Profiler.stop");
    return profile;
  } finally {
    session.disconnect();
  }
}
