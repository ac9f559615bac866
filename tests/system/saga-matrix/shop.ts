import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { CartService } from "@weft/contracts/shop/cart/v1";
import { OrderService } from "@weft/contracts/shop/orders/v1";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { Scope } from "@weft/foundation";
import { clusterOf, routedTarget, TestControlPlane } from "@weft/mesh/testing";
import { createDatabase, type Database } from "@weft/store";
import { startTestDatabase, startTestPostgres, type TestPostgres } from "@weft/store/testing";
import { createGrpcJsTransport } from "@weft/wire";
import { type CallProxy, startCallProxy } from "./call-proxy.js";
import { type PostgresProxy, startPostgresProxy } from "./postgres-proxy.js";
import { type ServiceProcess, startServiceProcess } from "./service-process.js";

/** The services that take part in an order. */
export const participantNames = ["cart", "catalog", "inventory", "payments", "shipping"] as const;
export type ParticipantName = (typeof participantNames)[number];

/** One participant: its process, what stands before it, and its database. */
export interface Participant {
  readonly process: ServiceProcess;
  readonly proxy: CallProxy;
  readonly database: Database;
  /** Ends it as kill -9 does. */
  kill(): Promise<void>;
  /** Starts it again. */
  restart(): Promise<void>;
}

/** An order service with a database of its own, so that what happens to one lane's orders happens to no other's. */
export interface Lane {
  readonly process: ServiceProcess;
  readonly proxy: PostgresProxy;
  readonly database: Database;
  ordersAs(user: string): Client<typeof OrderService>;
  kill(): Promise<void>;
  restart(): Promise<void>;
}

/** The shop as it runs in a cluster, each service a process; only what lies between them is the test's own. */
export interface Shop extends AsyncDisposable {
  readonly postgres: TestPostgres;
  readonly participants: Readonly<Record<ParticipantName, Participant>>;
  readonly lanes: readonly Lane[];
  cartAs(user: string): Client<typeof CartService>;
  paymentsAs(user: string): Client<typeof PaymentService>;
}

export async function startShop(options: { readonly lanes: number }): Promise<Shop> {
  const scope = new Scope();
  try {
    const postgres = scope.use(await startTestPostgres());
    const postgresPort = Number(new URL(postgres.url).port);
    const plane = scope.use(new TestControlPlane(createGrpcJsTransport(), "saga-matrix"));
    await plane.start();
    const folder = await mkdtemp(join(tmpdir(), "weft-matrix-"));
    scope.defer(() => rm(folder, { recursive: true, force: true }));

    const environmentOf = (name: string, databaseUrl: string) => ({
      DATABASE_URL: databaseUrl,
      WEFT_DATA_KEY: randomBytes(32).toString("base64"),
      WEFT_CONTROL_PLANE: plane.address,
      WEFT_SNAPSHOT_DIR: join(folder, name),
      POD_NAME: `${name}-0`,
      OTEL_SERVICE_NAME: name,
    });
    const ownDatabase = async (): Promise<{ readonly url: string; readonly database: Database }> => {
      // Goes with the server.
      const { url } = await startTestDatabase({ server: postgres });
      return { url, database: scope.use(createDatabase({ url, maxConnections: 4 })) };
    };

    const startParticipant = async (name: ParticipantName): Promise<Participant> => {
      const { url, database } = await ownDatabase();
      const process = scope.use(await startServiceProcess(name, environmentOf(name, url)));
      const proxy = scope.use(await startCallProxy(process.port));
      return {
        process,
        proxy,
        database,
        async kill() {
          await process.kill();
          await proxy.cut();
        },
        async restart() {
          await process.start();
          await proxy.join(process.port);
        },
      };
    };
    // The control plane first knows nobody; a process takes up what it learns while it runs.
    const [cart, catalog, inventory, payments, shipping] = await Promise.all([
      startParticipant("cart"),
      startParticipant("catalog"),
      startParticipant("inventory"),
      startParticipant("payments"),
      startParticipant("shipping"),
    ]);
    const participants = { cart, catalog, inventory, payments, shipping };
    plane.publish(
      participantNames.flatMap((name) => [
        ...routedTarget(`${name}.shop`),
        ...clusterOf(`${name}.shop`, [{ port: participants[name].proxy.port }]),
      ]),
    );

    const startLane = async (_: unknown, at: number): Promise<Lane> => {
      const { url, database } = await ownDatabase();
      const proxy = scope.use(await startPostgresProxy(postgresPort));
      const through = new URL(url);
      through.port = String(proxy.port);
      const process = scope.use(await startServiceProcess("orders", environmentOf(`orders-${at}`, through.href)));
      return {
        process,
        proxy,
        database,
        ordersAs: (user) => createClient(OrderService, transportTo(process.port, user)),
        kill: () => process.kill(),
        restart: () => process.start(),
      };
    };
    const lanes = await Promise.all(Array.from({ length: options.lanes }, startLane));
    return {
      postgres,
      participants,
      lanes,
      cartAs: (user) => createClient(CartService, transportTo(cart.process.port, user)),
      paymentsAs: (user) => createClient(PaymentService, transportTo(payments.process.port, user)),
      [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
    };
  } catch (error) {
    await scope[Symbol.asyncDispose]();
    throw error;
  }
}

function transportTo(port: number, user: string) {
  const asUser: Interceptor = (next) => (request) => {
    request.header.set("weft-user", user);
    return next(request);
  };
  return createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}`, interceptors: [asUser] });
}

/** Puts something into a user's cart and gives what checks it out: with a card whose bank asks a question first, so that no step is idle. */
export async function fillCart(shop: Shop, user: string, productId: string) {
  const payments = shop.paymentsAs(user);
  await shop.cartAs(user).addItem({ idempotencyKey: randomUUID(), productId, quantity: 2 });
  const { cards } = await payments.listTestCards({});
  const card = cards.find((one) => one.behaviour === "challenge");
  if (card === undefined) throw new Error("no test card is challenged");
  const { token } = await payments.tokenizeCard({ idempotencyKey: randomUUID(), cardNumber: card.cardNumber });
  return {
    idempotencyKey: randomUUID(),
    currency: "EUR",
    paymentToken: token,
    delivery: {
      address: { recipient: "Ann Example", street: "Lane 1", city: "Berlin", postalCode: "10115", country: "DE" },
    },
  };
}
