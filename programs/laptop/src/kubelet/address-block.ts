import { createHash } from "node:crypto";
import { createServer, type Server } from "node:net";

/** All blocks lie in 127.16.0.0 to 127.254.255.0: clear of 127.0.0.1 and of the addresses that distributions use. */
const firstSecondOctet = 16;
const secondOctets = 239;
const attempts = 30;

/** The port on the node's own address whose listener is the lock of the block; none that a known program takes on all addresses. */
const lockPort = 17_871;

/**
 * The 127.X.Y.0/24 of one laptop: .1 is the node (API server), .2 to .254 are Pods.
 * X.Y come from the path of its state folder, so that they stay; a block that another laptop holds is passed over.
 * The lock is a listening socket: the kernel gives it to one process at a time, whoever runs it, and takes it back at its end.
 */
export interface AddressBlock extends AsyncDisposable {
  /** The first three octets, such as `127.87.12`. */
  readonly prefix: string;
  /** The node's address. */
  readonly nodeAddress: string;
  /** A free Pod address; the one freed longest ago comes first. Throws when all 253 are taken. */
  allocate(): string;
  /** Gives an address back. */
  free(address: string): void;
}

/** Claims the block of the laptop with this state folder, or the next that nobody holds. */
export async function claimAddressBlock(stateFolder: string): Promise<AddressBlock> {
  const hash = createHash("sha256").update(stateFolder).digest();
  for (let attempt = 0; attempt < attempts; attempt++) {
    const second = firstSecondOctet + (hash.readUInt16BE(attempt) % secondOctets);
    const third = (hash.readUInt8(31) + attempt * 7) % 256;
    const prefix = `127.${second}.${third}`;
    const lock = await listenOn(`${prefix}.1`);
    if (lock !== undefined) return createAddressBlock(prefix, lock);
  }
  throw new Error(`addresses: none of ${attempts} blocks of 127.0.0.0/8 is free for ${stateFolder}`);
}

function createAddressBlock(prefix: string, lock: Server): AddressBlock {
  const free = Array.from({ length: 253 }, (_, index) => `${prefix}.${index + 2}`);
  const taken = new Set<string>();
  return {
    prefix,
    nodeAddress: `${prefix}.1`,
    allocate() {
      const address = free.shift();
      if (address === undefined) throw new Error(`addresses: all 253 Pod addresses of ${prefix}.0/24 are taken`);
      taken.add(address);
      return address;
    },
    free(address) {
      if (taken.delete(address)) free.push(address);
    },
    async [Symbol.asyncDispose]() {
      if (lock.listening) await new Promise<void>((resolve) => lock.close(() => resolve()));
    },
  };
}

function listenOn(host: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error) => {
      if ("code" in error && error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen({ host, port: lockPort, exclusive: true }, () => {
      server.unref();
      resolve(server);
    });
  });
}
