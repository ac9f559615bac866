import { type Clock, createBackoff, type Logger, sleep } from "@weft/foundation";
import { isKubeError, type KubeClient, kinds, type Secret } from "@weft/kube";
import { ensureOwnDatabase, isConnectionLoss, newDatabaseSecret, randomPassword, sqlState } from "@weft/store";

/** The Secret with the superuser's password, which the server's Pod starts with. */
const superuserSecret = "postgres-superuser";
/** What an owner finds, and deletes, all that this program made by. */
const labels = { "app.kubernetes.io/managed-by": "database-setup" };
const backoffPolicy = { initialMs: 250, maxMs: 5_000, multiplier: 2, jitter: 0.2 };

export interface SetUpOptions {
  readonly client: KubeClient;
  /** Where the Secrets are. */
  readonly namespace: string;
  /** `host:port` by which services reach the server. */
  readonly server: string;
  /** The services that get a database of their name. */
  readonly databases: readonly string[];
  /** How long all of it may take, most of it waiting for the server. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Why the set-up came to nothing; the message is one line for whoever reads the Pod's log. */
export class NotSetUp extends Error {
  override readonly name = "NotSetUp";
}

/**
 * Makes sure of the superuser's password, and for each service of Secret `<service>-database`, role and database. What is there is kept: a Secret's
 * password is the one that its role gets, so a lost server is set up again for Pods that still run. Several may run at once: who comes second
 * to a name reads what the first made.
 */
export async function setUpDatabases(options: SetUpOptions): Promise<void> {
  const { client, namespace, server, databases, clock, logger, signal } = options;
  const deadlineMs = clock.nowMs() + options.timeoutMs;

  /** Tries until it works, the reason says that it never will, or time is up. */
  const persistently = async <T>(doing: string, attempt: () => Promise<T>): Promise<T> => {
    const backoff = createBackoff(backoffPolicy);
    let said: string | undefined;
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (signal.aborted || error instanceof NotSetUp) throw error;
        const verdict = judge(error);
        if (verdict.t === "final") throw new NotSetUp(`${doing}: ${verdict.why}`, { cause: error });
        if (clock.nowMs() >= deadlineMs)
          throw new NotSetUp(`${doing}: not in ${options.timeoutMs / 1_000} s: ${verdict.why}`, { cause: error });
        if (said !== verdict.why) logger.info("waiting", { for: doing, because: verdict.why });
        said = verdict.why;
        await sleep(backoff.nextMs(), { clock, signal });
      }
    }
  };
  /** The Secret of a name, made with this content where it is absent. */
  const secretOf = (name: string, content: () => Readonly<Record<string, string>>): Promise<SecretContent> =>
    persistently(`Secret ${namespace}/${name}`, async () => {
      const found = await ensureSecret({ client, namespace, name, content, signal });
      if (found.made) logger.info("Secret made", { name });
      return found;
    });

  const superuser = await secretOf(superuserSecret, () => ({ password: randomPassword() }));
  const adminUrl = `postgres://postgres:${encodeURIComponent(superuser.value("password"))}@${server}/postgres`;
  // All Secrets before any database: Pods that wait for theirs start meanwhile, and look for their database by themselves.
  const wanted: { readonly name: string; readonly password: string }[] = [];
  for (const name of databases) {
    const secret = await secretOf(`${name}-database`, () => ({ ...newDatabaseSecret({ server, name }) }));
    const url = parseDatabaseUrl(secret.value("url"), secret.name);
    // Every Pod of the service needs it.
    secret.value("data-key");
    if (url.host === server && url.username === name) wanted.push({ name, password: decodeURIComponent(url.password) });
    else logger.info("left alone: its Secret leads elsewhere", { database: name, server: url.host });
  }
  for (const { name, password } of wanted) {
    await persistently(`database ${name} on ${server}`, () => ensureOwnDatabase({ adminUrl, name, password }));
    logger.info("database ready", { database: name });
  }
}

interface SecretContent {
  readonly name: string;
  readonly made: boolean;
  /** The value of a key; without it the Secret is of no use. */
  value(key: string): string;
}

async function ensureSecret(options: {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  readonly content: () => Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}): Promise<SecretContent> {
  const { client, namespace, name, signal } = options;
  const ref = { name, namespace };
  const get = (): Promise<Secret> => client.get(kinds.secret, ref, { signal });
  let made = false;
  let secret = await get().catch((error: unknown) => {
    if (isKubeError(error, "not-found")) return undefined;
    throw error;
  });
  if (secret === undefined) {
    const data = Object.fromEntries(
      Object.entries(options.content()).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
    );
    try {
      secret = await client.create(kinds.secret, { metadata: { ...ref, labels }, type: "Opaque", data }, { signal });
      made = true;
    } catch (error) {
      if (!isKubeError(error, "already-exists")) throw error;
      secret = await get();
    }
  }
  const { data } = secret;
  return {
    name,
    made,
    value(key) {
      const value = Buffer.from(data?.[key] ?? "", "base64").toString();
      if (value === "") throw new NotSetUp(`Secret ${namespace}/${name} has no key "${key}"`);
      return value;
    },
  };
}

function parseDatabaseUrl(text: string, secret: string): URL {
  if (!URL.canParse(text)) throw new NotSetUp(`key "url" of Secret ${secret} is not a URL`);
  return new URL(text);
}

type Verdict = { readonly t: "later"; readonly why: string } | { readonly t: "final"; readonly why: string };

function judge(error: unknown): Verdict {
  const why = error instanceof Error ? error.message.replaceAll("\n", " ") : String(error);
  if (isKubeError(error)) return { t: error.decision === "retry" ? "later" : "final", why };
  if (sqlState(error)?.startsWith("28") === true)
    return {
      t: "final",
      why: `the server refuses the superuser's password: its volume was made under another Secret ${superuserSecret}; put that back, or delete the volume's claim`,
    };
  if (isConnectionLoss(error) || isNameUnknown(error) || /timeout/i.test(why)) return { t: "later", why };
  return { t: "final", why };
}

/** A Service whose Pod is not there yet may have no name either. */
function isNameUnknown(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOTFOUND" || error.code === "EAI_AGAIN");
}
