/** A duration for people: `840 µs`, `41.3 ms`, `2.05 s`, `3 min 20 s`. */
export function formatDuration(us: number): string {
  if (us < 1_000) return `${Math.round(us)} µs`;
  if (us < 1_000_000) return `${significant(us / 1_000)} ms`;
  if (us < 60_000_000) return `${significant(us / 1_000_000)} s`;
  const seconds = Math.round(us / 1_000_000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** How long ago, for people: `just now`, `40 s ago`, `3 min ago`. */
export function formatAgo(us: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round(nowMs - us / 1_000) / 1_000);
  if (seconds < 5) return "just now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129_600) return `${Math.round(seconds / 3_600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}

/** Date and time of day with milliseconds, in the reader's zone. */
export function formatTime(us: number): string {
  const date = new Date(us / 1_000);
  const day = date.toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
  const time = date.toLocaleTimeString(undefined, { hour12: false });
  return `${day}, ${time}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** `1 span`, `2 spans`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

function significant(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
