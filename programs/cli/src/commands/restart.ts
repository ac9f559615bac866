import { sleep } from "@weft/foundation";
import { kinds } from "@weft/kube";
import { lineOf } from "@weft/laptop";
import { type CommandContext, withCluster } from "../context.js";
import { findDeployment, podsOf } from "../deployments.js";
import { CommandError, interruptible } from "../terminal.js";

const restartedAt = "kubectl.kubernetes.io/restartedAt";
const pollMs = 200;

export function restart(context: CommandContext): Promise<number> {
  return withCluster(context, async (client) => {
    using interrupt = interruptible();
    const { metadata } = await findDeployment(client, context.operand);
    const ref = { name: metadata.name, namespace: metadata.namespace ?? "default" };
    const annotations = { [restartedAt]: new Date().toISOString() };
    const body = { spec: { template: { metadata: { annotations } } } };
    await client.patch(kinds.deployment, ref, { t: "merge", body });
    const startMs = performance.now();
    for (;;) {
      const deployment = await client.get(kinds.deployment, ref);
      const line = lineOf(deployment, await podsOf(client, deployment));
      if (line.done) break;
      const late = deployment.status?.conditions?.find(({ reason }) => reason === "ProgressDeadlineExceeded");
      if (late !== undefined)
        throw new CommandError(`${ref.namespace}/${ref.name} is not restarted: ${line.why ?? late.message}`);
      if (interrupt.signal.aborted) {
        context.terminal.stdout.write(`weft: ${ref.namespace}/${ref.name} goes on restarting\n`);
        return 0;
      }
      await sleep(pollMs, { signal: interrupt.signal }).catch(() => {
        // Ctrl-C: the next round says so.
      });
    }
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
    context.terminal.stdout.write(`weft: ${ref.namespace}/${ref.name} restarted in ${seconds} s\n`);
    return 0;
  });
}
