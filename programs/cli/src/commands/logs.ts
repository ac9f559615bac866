import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { sleep } from "@weft/foundation";
import { isKubeError, type KubeClient, type Pod } from "@weft/kube";
import { type CommandContext, withCluster } from "../context.js";
import { findDeployment, podsOf } from "../deployments.js";
import { CommandError, interruptible } from "../terminal.js";

const lookForPodsMs = 1_000;
const startingTries = 20;

export function logs(context: CommandContext): Promise<number> {
  const tail = context.text("tail");
  if (tail !== undefined && !/^\d+$/.test(tail))
    throw new CommandError(`--tail takes a number of lines, not "${tail}"`, 2);
  return withCluster(context, async (client) => {
    using interrupt = interruptible();
    const { signal } = interrupt;
    const deployment = await findDeployment(client, context.operand);
    const follow = context.flag("follow");
    const seen = new Map<string, Promise<void>>();
    for (let round = 0; ; round++) {
      for (const pod of await podsOf(client, deployment)) {
        const uid = pod.metadata.uid ?? pod.metadata.name;
        if (seen.has(uid)) continue;
        // A Pod that appears later is shown from its first line.
        seen.set(uid, print({ client, context, pod, follow, tail: round === 0 ? tail : undefined, signal }));
      }
      if (!follow) break;
      try {
        await sleep(lookForPodsMs, { signal });
      } catch {
        // Ctrl-C ends a followed log.
        break;
      }
    }
    await Promise.all(seen.values());
    if (seen.size === 0) context.terminal.stderr.write(`weft: ${context.operand} has no Pods\n`);
    return 0;
  });
}

async function print(options: {
  readonly client: KubeClient;
  readonly context: CommandContext;
  readonly pod: Pod;
  readonly follow: boolean;
  readonly tail: string | undefined;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { client, context, pod, follow, tail, signal } = options;
  const { name, namespace = "default" } = pod.metadata;
  const { stdout, stderr } = context.terminal;
  for (const container of pod.spec.containers) {
    const prefix = pod.spec.containers.length === 1 ? name : `${name}/${container.name}`;
    for (let attempt = 1; ; attempt++) {
      try {
        const bytes = await client.logs(
          { name, namespace },
          {
            container: container.name,
            follow,
            previous: context.flag("previous"),
            ...(tail === undefined ? {} : { tailLines: Number(tail) }),
            signal,
          },
        );
        for await (const line of createInterface({ input: Readable.from(bytes) }))
          stdout.write(`${prefix} | ${line}\n`);
        break;
      } catch (error) {
        if (signal.aborted) return;
        if (!isKubeError(error)) throw error;
        // A Pod that is only starting has no log yet: whoever follows waits for it.
        if (follow && attempt < startingTries && error.decision !== "not-found") {
          await sleep(500, { signal }).catch(() => {
            // Ctrl-C: the next attempt ends it.
          });
          continue;
        }
        stderr.write(`weft: ${prefix}: ${error.message}\n`);
        break;
      }
    }
  }
}
