import { connect, createServer, type Socket } from "node:net";

/** A write of a saga's row on its way to Postgres. */
export interface SagaWrite {
  /** A statement by itself, or the commit of the transaction that it is in. */
  readonly t: "statement" | "commit";
  /** The saga's state in it; `recorded` for the one that records the saga. */
  readonly state: string;
  /** The step that it is an intent of. */
  readonly step: string;
}

/** What becomes of a write that was held. */
export type WriteFate =
  | { readonly t: "pass" }
  /** It never arrives, and its connection breaks. */
  | { readonly t: "lost" }
  /** Whoever sent it gives up, or finds the connection broken when `broken`; then it arrives. */
  | { readonly t: "late"; readonly broken: boolean };

/** Who may hold what passes; nothing lets it pass at once. */
export interface WriteGate {
  /** Before the write goes to Postgres. */
  sent(write: SagaWrite): Promise<WriteFate> | undefined;
  /** Before Postgres' answer to it comes back. `lost` breaks the connection instead; `late` lets it come when nobody waits any more. */
  answered(write: SagaWrite): Promise<WriteFate> | undefined;
}

/** Stands between one process and Postgres, and knows the writes of sagas by the names of their statements. */
export interface PostgresProxy extends AsyncDisposable {
  readonly port: number;
  gate: WriteGate | undefined;
  /** Resolves when every late write has arrived and been worked on. */
  lateDone(): Promise<void>;
}

/** How long Postgres may work on a late statement before its connection is closed. */
const lateWorkMs = 400;

export async function startPostgresProxy(postgresPort: number): Promise<PostgresProxy> {
  const late = new Set<Promise<void>>();
  const sockets = new Set<Socket>();
  const proxy = { gate: undefined as WriteGate | undefined };
  const server = createServer((client) => {
    const postgres = connect({ host: "127.0.0.1", port: postgresPort });
    for (const socket of [client, postgres]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {
        // Told by the closing.
      });
      socket.on("close", () => sockets.delete(socket));
    }
    new Session(
      client,
      postgres,
      () => proxy.gate,
      (work) => {
        late.add(work);
        void work.finally(() => late.delete(work));
      },
    );
  });
  await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("postgres proxy: no address");
  return Object.assign(proxy, {
    port: address.port,
    lateDone: async () => {
      while (late.size > 0) await Promise.all(late);
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  });
}

/** One connection. Messages of the client are looked at one by one; those of Postgres only when an answer is waited for. */
class Session {
  readonly #client: Socket;
  readonly #postgres: Socket;
  readonly #gate: () => WriteGate | undefined;
  readonly #track: (late: Promise<void>) => void;
  #buffer = Buffer.alloc(0);
  #started = false;
  #working = false;
  /** Nobody hears the answers any more, and what was sent still arrives. */
  #detached = false;
  #inTransaction: SagaWrite | undefined;
  #isTransaction = false;
  #answerOf: SagaWrite | undefined;
  #back = Promise.resolve();

  constructor(
    client: Socket,
    postgres: Socket,
    gate: () => WriteGate | undefined,
    track: (late: Promise<void>) => void,
  ) {
    this.#client = client;
    this.#postgres = postgres;
    this.#gate = gate;
    this.#track = track;
    client.on("data", (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      void this.#forward();
    });
    client.on("close", () => {
      if (!this.#working && !this.#detached) postgres.destroy();
    });
    postgres.on("data", (chunk: Buffer) => {
      const write = this.#answerOf;
      this.#answerOf = undefined;
      this.#back = this.#back.then(() => this.#answer(chunk, write));
    });
    postgres.on("close", () => void this.#back.finally(() => client.destroy()));
  }

  async #forward(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    for (let message = this.#next(); message !== undefined; message = this.#next()) {
      const write = this.#look(message);
      const fate = write === undefined ? undefined : await this.#gate()?.sent(write);
      if (fate?.t === "lost" || (this.#client.destroyed && fate?.t !== "late")) return this.#break();
      if (fate?.t === "late") return this.#deliverLate(message, fate.broken);
      if (write?.t === "commit") this.#answerOf = write;
      this.#postgres.write(message);
    }
    this.#working = false;
    if (this.#client.destroyed) this.#postgres.destroy();
  }

  async #answer(chunk: Buffer, write: SagaWrite | undefined): Promise<void> {
    const fate = write === undefined ? undefined : await this.#gate()?.answered(write);
    if (fate?.t === "lost") return this.#break();
    if (fate?.t === "late") await closed(this.#client);
    if (!this.#detached && !this.#client.destroyed) this.#client.write(chunk);
  }

  #deliverLate(message: Buffer, broken: boolean): void {
    this.#detached = true;
    if (broken) this.#client.resetAndDestroy();
    const deliver = async (): Promise<void> => {
      await closed(this.#client);
      // Long enough for the sender to have tried again.
      await pause(lateWorkMs);
      this.#postgres.write(Buffer.concat([message, this.#buffer]));
      await pause(lateWorkMs);
      this.#postgres.destroy();
    };
    this.#track(deliver());
  }

  #break(): void {
    this.#client.resetAndDestroy();
    this.#postgres.destroy();
  }

  /** The next whole message of the client. */
  #next(): Buffer | undefined {
    const at = this.#started ? 1 : 0;
    if (this.#buffer.length < at + 4) return undefined;
    const end = at + this.#buffer.readInt32BE(at);
    if (this.#buffer.length < end) return undefined;
    const message = this.#buffer.subarray(0, end);
    this.#buffer = this.#buffer.subarray(end);
    this.#started = true;
    return message;
  }

  /** What a message is to the gate, keeping in mind the transaction that it is in. */
  #look(message: Buffer): SagaWrite | undefined {
    const type = String.fromCharCode(message[0] ?? 0);
    if (type === "Q") {
      const sql = message.toString("latin1", 5);
      if (sql.startsWith("BEGIN")) {
        this.#isTransaction = true;
        this.#inTransaction = undefined;
      } else if (sql.startsWith("COMMIT") || sql.startsWith("ROLLBACK")) {
        this.#isTransaction = false;
        const write = this.#inTransaction;
        this.#inTransaction = undefined;
        return sql.startsWith("COMMIT") ? write : undefined;
      }
      return undefined;
    }
    const write = type === "B" ? fromBind(message) : undefined;
    if (write === undefined || !this.#isTransaction) return write;
    this.#inTransaction = { ...write, t: "commit" };
    return undefined;
  }
}

/** Reads a Bind message of one of the statements that write a saga's row. */
function fromBind(message: Buffer): SagaWrite | undefined {
  let at = message.indexOf(0, 5) + 1;
  const end = message.indexOf(0, at);
  const statement = message.toString("latin1", at, end);
  if (statement === "weft-saga-insert") return { t: "statement", state: "recorded", step: "" };
  if (statement !== "weft-saga-write" && statement !== "weft-saga-writes") return undefined;
  at = end + 1;
  at += 2 + 2 * message.readInt16BE(at);
  const values: string[] = [];
  const count = message.readInt16BE(at);
  at += 2;
  for (let read = 0; read < count; read++) {
    const length = message.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? "" : message.toString("latin1", at, at + length));
    at += Math.max(0, length);
  }
  // After the time and the worker: saga, fence, revision, state, parked from, parked reason, step.
  const plain = (value: string | undefined): string => (value ?? "").replace(/[{}"]/g, "");
  return { t: "statement", state: plain(values[5]), step: plain(values[8]) };
}

function closed(socket: Socket): Promise<void> {
  return socket.destroyed ? Promise.resolve() : new Promise((resolve) => socket.once("close", () => resolve()));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
