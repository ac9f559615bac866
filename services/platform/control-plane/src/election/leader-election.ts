import { type Clock, type Logger, Scope, sleep, type Watch, WatchSource } from "@weft/foundation";
import { isKubeError, type KubeClient, kinds, type Lease } from "@weft/kube";

export interface LeaderElectionOptions {
  readonly client: KubeClient;
  readonly lease: { readonly namespace: string; readonly name: string };
  /** Of this process, and of no other at the same time: the Pod's name. */
  readonly identity: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** So long after a holder's last sign of life others may take the Lease. Whole seconds. Default 15 s. */
  readonly leaseMs?: number;
  /** Between two tries, and two signs of life. Default 2 s. */
  readonly retryMs?: number;
}

/** Dispose: gives the Lease back, so that another need not wait. */
export interface LeaderElection extends AsyncDisposable {
  readonly leading: Watch<boolean>;
}

/** What was last seen of the Lease, and when: our own clock alone decides when it has run out, whatever the others' clocks say. */
interface Seen {
  readonly text: string;
  readonly atMs: number;
}

/**
 * One of several processes leads, by a Lease of coordination.k8s.io:
 *
 *   following --Lease free, or its holder silent for its duration--> leading
 *      ^                                                                |
 *      +---- another holds it, or no sign of life got through for 2/3 of the duration
 *
 * Who leads stops before others may begin. Writes that are under way then are held apart by the objects' own resourceVersion.
 */
export function startLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const { client, lease: ref, identity, clock, leaseMs = 15_000, retryMs = 2_000 } = options;
  const logger = options.logger.child({ component: "election", lease: `${ref.namespace}/${ref.name}` });
  const leading = new WatchSource(false);
  const scope = new Scope();
  let seen: Seen | undefined;
  let renewedMs = Number.NEGATIVE_INFINITY;
  let failing = false;

  const expiresMs = (): number => renewedMs + (leaseMs * 2) / 3;

  const lead = (isLeading: boolean): void => {
    if (leading.value !== isLeading) logger.info(isLeading ? "leading" : "no longer leading", { identity });
    leading.set(isLeading);
  };

  const isTaken = ({ spec = {} }: Lease): boolean => {
    const text = JSON.stringify(spec);
    if (seen?.text !== text) seen = { text, atMs: clock.nowMs() };
    const { holderIdentity = "", leaseDurationSeconds = 0 } = spec;
    return holderIdentity !== "" && holderIdentity !== identity
      ? clock.nowMs() - seen.atMs < leaseDurationSeconds * 1_000
      : false;
  };

  const specNow = (before: Lease["spec"]): NonNullable<Lease["spec"]> => {
    const now = microTime(clock.wallMs());
    const isOurs = before?.holderIdentity === identity;
    return {
      ...before,
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseMs / 1_000),
      acquireTime: isOurs ? (before.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (before?.leaseTransitions ?? 0) + (isOurs || before === undefined ? 0 : 1),
    };
  };

  /** True when the Lease is ours now. */
  const attempt = async (signal: AbortSignal): Promise<boolean> => {
    let lease: Lease;
    try {
      lease = await client.get(kinds.lease, ref, { signal });
    } catch (error) {
      if (!isKubeError(error, "not-found")) throw error;
      await client.create(kinds.lease, { metadata: { ...ref }, spec: specNow(undefined) }, { signal });
      return true;
    }
    if (isTaken(lease)) return false;
    await client.replace(kinds.lease, { ...lease, spec: specNow(lease.spec) }, { signal });
    return true;
  };

  const round = async (signal: AbortSignal): Promise<void> => {
    const startMs = clock.nowMs();
    try {
      const isOurs = await attempt(signal);
      // From before the request: the others count from when they see it, which is later.
      if (isOurs) renewedMs = startMs;
      // An answer that comes too late says what was, and another may have taken over since.
      lead(isOurs && clock.nowMs() < expiresMs());
      failing = false;
    } catch (error) {
      if (signal.aborted) return;
      // Another was faster; whose it is shows the next time.
      const isRace = isKubeError(error, "conflict") || isKubeError(error, "already-exists");
      if (isRace) lead(false);
      else if (!failing) {
        failing = true;
        logger.warn("the lease can't be read or written", { error });
      }
    }
  };

  scope.spawn(async (signal) => {
    while (!signal.aborted) {
      await round(signal);
      await sleep(retryMs, { clock, signal });
    }
  });
  // On a timer of its own: a request that hangs must not keep a leader in office.
  scope.spawn(async (signal) => {
    while (!signal.aborted) {
      if (leading.value && clock.nowMs() >= expiresMs()) lead(false);
      await sleep(Math.min(retryMs, leaseMs / 15), { clock, signal });
    }
  });

  const release = async (): Promise<void> => {
    const wasLeading = leading.value;
    await scope[Symbol.asyncDispose]();
    lead(false);
    if (!wasLeading) return;
    try {
      const signal = AbortSignal.timeout(2_000);
      const lease = await client.get(kinds.lease, ref, { signal });
      const { holderIdentity, ...spec } = lease.spec ?? {};
      if (holderIdentity === identity) await client.replace(kinds.lease, { ...lease, spec }, { signal });
    } catch {
      // It runs out by itself.
    }
  };
  let disposed: Promise<void> | undefined;
  return {
    leading,
    [Symbol.asyncDispose]() {
      disposed ??= release();
      return disposed;
    },
  };
}

/** meta/v1 MicroTime. */
function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace("Z", "000Z");
}
