import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Saga, SagaState } from "@weft/contracts/weft/saga/v1";
import type { KubeClient } from "@weft/kube";
import { CommandError } from "../terminal.js";
import { reachSagas, type SagaDoor } from "./reach.js";
import { countTable, parseSagaState, sagaLine, sagaPage, sagaTable, stateNames } from "./tables.js";

const bounds = { timeoutMs: 10_000 };
const mostListed = 10_000;
const pageSize = 500;

/** One command line. */
export interface SagaAsk {
  /** What to do, then the names that it is done to. */
  readonly operands: readonly string[];
  readonly options: ReadonlyMap<string, string>;
  /** The Deployment whose sagas are meant. */
  readonly service: string;
  /** Who asks: it stands in the audit row. */
  readonly operator: string;
}

type SagaRequest =
  | { readonly t: "list"; readonly states: readonly SagaState[]; readonly name: string; readonly limit: number }
  | { readonly t: "show"; readonly id: string }
  | { readonly t: "retry"; readonly id: string; readonly reason: string }
  | { readonly t: "skip"; readonly id: string; readonly step: string; readonly result: string; readonly reason: string }
  | { readonly t: "compensate"; readonly id: string; readonly force: boolean; readonly reason: string };

const operandsOf = {
  list: [],
  show: ["an ID"],
  retry: ["an ID"],
  skip: ["an ID", "a STEP"],
  compensate: ["an ID"],
} as const;

/** Reads a command line; what it can't mean is a {@link CommandError} with exit code 2. */
export function parseRequest({ operands, options }: SagaAsk): SagaRequest {
  const [act = "", id = "", step = ""] = operands;
  if (!isAct(act)) throw new CommandError(`there is no "weft sagas ${act}": see "weft help sagas"`, 2);
  const wanted = operandsOf[act];
  if (operands.length - 1 !== wanted.length) {
    const takes = wanted.length === 0 ? "no name" : wanted.join(" and ");
    throw new CommandError(`"weft sagas ${act}" takes ${takes}: see "weft help sagas"`, 2);
  }
  switch (act) {
    case "list":
      return { t: act, ...parseFilter(options), name: options.get("name") ?? "" };
    case "show":
      return { t: act, id };
    case "retry":
      return { t: act, id, reason: parseReason(options) };
    case "skip":
      return { t: act, id, step, result: options.get("result") ?? "", reason: parseReason(options) };
    case "compensate":
      return { t: act, id, force: options.has("force"), reason: parseReason(options) };
  }
}

/** Does what was asked for and gives what to print. A service that can't or won't is told in one line, as a {@link CommandError}. */
export async function actOnSagas(client: Pick<KubeClient, "list" | "portForward">, ask: SagaAsk): Promise<string> {
  const request = parseRequest(ask);
  await using door = await reachSagas(client, ask.service, ask.operator);
  try {
    return await carryOut(door, request);
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    switch (error.code) {
      case Code.NotFound:
        throw new CommandError(`${ask.service} has no saga "${request.t === "list" ? "" : request.id}"`);
      case Code.FailedPrecondition:
      case Code.InvalidArgument:
        throw new CommandError(`${ask.service} refused: ${error.rawMessage}`);
      case Code.Unimplemented:
        throw new CommandError(`${ask.service} keeps no sagas: it does not serve weft.saga.v1.SagaAdminService`);
      default:
        throw new CommandError(`${ask.service} (Pod ${door.pod}) gave no good answer: ${error.message}`);
    }
  }
}

async function carryOut({ admin }: SagaDoor, request: SagaRequest): Promise<string> {
  const idempotencyKey = randomUUID();
  switch (request.t) {
    case "list":
      return await list(admin, request);
    case "show":
      return sagaPage(await admin.getSaga({ sagaId: request.id }, bounds), new Date());
    case "retry": {
      const { id: sagaId, reason } = request;
      return told("goes on now", (await admin.retrySaga({ idempotencyKey, sagaId, reason }, bounds)).saga);
    }
    case "skip": {
      const { id: sagaId, step, result: resultJson, reason } = request;
      const { saga } = await admin.skipStep({ idempotencyKey, sagaId, step, resultJson, reason }, bounds);
      return told(`step ${step} is taken as decided`, saga);
    }
    case "compensate": {
      const { id: sagaId, force, reason } = request;
      return told("turns back", (await admin.compensateSaga({ idempotencyKey, sagaId, force, reason }, bounds)).saga);
    }
  }
}

async function list(admin: SagaDoor["admin"], request: Extract<SagaRequest, { t: "list" }>): Promise<string> {
  const { states, name, limit } = request;
  const read = async (wanted: readonly SagaState[], most: number): Promise<readonly Saga[]> => {
    const found: Saga[] = [];
    for (let pageToken = ""; wanted.length > 0 && found.length < most; ) {
      const size = Math.min(pageSize, most - found.length);
      const page = await admin.listSagas({ states: [...wanted], name, pageSize: size, pageToken }, bounds);
      found.push(...page.sagas);
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    return found;
  };
  // Parked ones first, however old: each waits for somebody.
  const isParked = (state: SagaState): boolean => state === SagaState.PARKED;
  const parked = await read(states.filter(isParked), limit);
  const others = await read(
    states.filter((state) => !isParked(state)),
    limit - parked.length,
  );
  const left = countTable((await admin.countSagas({}, bounds)).counts);
  const found = [...parked, ...others];
  const table = found.length === 0 ? "no sagas\n" : sagaTable(found, new Date());
  return left === "" ? table : `${table}\n${left}`;
}

function isAct(word: string): word is SagaRequest["t"] {
  return Object.hasOwn(operandsOf, word);
}

function parseFilter(options: ReadonlyMap<string, string>): {
  readonly states: readonly SagaState[];
  readonly limit: number;
} {
  const states = (options.get("only") ?? stateNames.join(",")).split(",").map((word) => {
    const state = parseSagaState(word.trim().toLowerCase());
    if (state === undefined) throw new CommandError(`--only takes ${stateNames.join(", ")}, not "${word}"`, 2);
    return state;
  });
  const limit = options.get("limit") ?? "50";
  if (!/^\d+$/.test(limit) || Number(limit) < 1 || Number(limit) > mostListed)
    throw new CommandError(`--limit takes a number from 1 to ${mostListed}, not "${limit}"`, 2);
  return { states, limit: Number(limit) };
}

function parseReason(options: ReadonlyMap<string, string>): string {
  const reason = options.get("reason")?.trim() ?? "";
  if (reason === "") throw new CommandError("say why with --reason TEXT: it is kept in the audit row", 2);
  return reason;
}

function told(what: string, saga: Saga | undefined): string {
  return `weft: ${what}${saga === undefined ? "" : `: ${sagaLine(saga)}`}\n`;
}
