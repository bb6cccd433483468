import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Transaction } from 'kysely';
import type { Database, DatabaseOptions } from '../database/open-database.js';
import type { Schema } from '../database/schema.js';
import type { BusMessage, Carrier, CarrierEvents, CarrierKind } from './carrier.js';
import { postgresCarrier } from './postgres-carrier.js';
import { redisCarrier } from './redis-carrier.js';
import type { RedisConnection } from './redis-connection.js';
import { sqliteCarrier } from './sqlite-carrier.js';

/** Hears what is published under a topic, in this process and in all others. It may not throw: a cache that cannot be dropped must not live on. */
export interface BusListener {
  /** At least once for every message, in no order. */
  message(payload: string): void;
  /** Messages may have been lost, or may be from now on (`listening` of the bus says which): whatever was built on them is worthless. */
  missed(): void;
}

/** How the bus does. */
interface BusHealth {
  readonly carrier: CarrierKind;
  readonly listening: boolean;
  /** Why it does not listen; a code or a short sentence without values. */
  readonly problem?: string;
}

/** What the processes of one installation tell each other. Nothing is lost silently: what may not have arrived is announced by `missed`. */
export interface Bus {
  readonly carrier: CarrierKind;
  /** The database, with transactions in which messages can be published. Services that publish work on this one. */
  readonly database: Database;
  /**
   * Tells the listeners of this process at once, and the others soon. Rejects with `bus_unavailable` or `database_unavailable` when the others could
   * not be told. Cannot be called inside a transaction.
   */
  publish(topic: string, payload: string): Promise<void>;
  /**
   * The same, if and when this transaction of {@link Bus.database} commits. Listeners of this process have heard it when the transaction resolves.
   * A process that dies after the commit has told the others, or one of them finds out.
   */
  publishIn(trx: Transaction<Schema>, topic: string, payload: string): Promise<void>;
  /** Answers what ends it. */
  subscribe(topic: string, listener: BusListener): () => void;
  /** True while everything that others publish arrives. */
  listening(): boolean;
  /** Resolves when the bus listens, now or later. */
  whenListening(signal: AbortSignal): Promise<void>;
  health(): BusHealth;
  /** The database and Redis stay open. */
  close(): Promise<void>;
}

export interface BusOptions {
  readonly database: Database;
  /** What the database was opened with. */
  readonly connection: DatabaseOptions;
  /** Takes the messages instead of the database. */
  readonly redis?: RedisConnection;
  /** How long a dead connection may go unnoticed, twice; until then caches can be behind. 5 s when left out. */
  readonly heartbeatMs?: number;
}

/** The longest time that a message takes between two processes on one SQLite file. */
const SQLITE_POLL_MS = 250;
const MAX_PAYLOAD_LENGTH = 2 ** 20;
const TOPIC = /^[a-z][a-z0-9_.-]{0,62}$/;

/** Begins to listen: through Redis when there is one, otherwise through the database. */
export function createBus(options: BusOptions): Bus {
  const { database } = options;
  const sender = randomUUID();
  const listeners = new Map<string, Set<BusListener>>();
  const began = new EventTarget();
  /** What is left to do when a transaction has committed. */
  const inTransactions = new WeakMap<Transaction<Schema>, { message: BusMessage; rest: (() => Promise<void>) | undefined }[]>();
  const resting = new Set<Promise<void>>();
  let problem: string | undefined = 'connecting';
  const carrier = openCarrier(options, sender, {
    message: deliver,
    missed: tellMissed,
    listening: () => {
      problem = undefined;
      tellMissed();
      began.dispatchEvent(new Event('listening'));
    },
    silent: (why) => {
      const listened = problem === undefined;
      problem = why;
      if (listened) tellMissed();
    },
  });

  function deliver({ topic, payload }: BusMessage): void {
    for (const listener of listeners.get(topic) ?? []) listener.message(payload);
  }

  function tellMissed(): void {
    for (const ofTopic of listeners.values()) for (const listener of ofTopic) listener.missed();
  }

  function messageOf(topic: string, payload: string): BusMessage {
    if (!TOPIC.test(topic)) throw new TypeError(`"${topic}" is no topic.`);
    if (payload.length > MAX_PAYLOAD_LENGTH) throw new RangeError(`A message of ${payload.length} characters is too long.`);
    return { sender, topic, payload };
  }

  const transaction: Database['transaction'] = async (work, given) => {
    let last: Transaction<Schema> | undefined;
    const result = await database.transaction((trx) => {
      // Only the transaction that commits counts: one that lost and is run again is another one.
      last = trx;
      inTransactions.set(trx, []);
      return work(trx);
    }, given);
    for (const { message, rest } of (last && inTransactions.get(last)) ?? []) {
      deliver(message);
      if (rest !== undefined) finishLater(rest);
    }
    return result;
  };

  function finishLater(rest: () => Promise<void>): void {
    // The change has been made and is not undone by a failure here. What is left lies in the database, where it is found again.
    const done = rest()
      .catch(() => undefined)
      .finally(() => resting.delete(done));
    resting.add(done);
  }

  return {
    carrier: carrier.kind,
    database: { ...database, transaction },
    publish: async (topic, payload) => {
      const message = messageOf(topic, payload);
      deliver(message);
      await carrier.publish(message);
    },
    publishIn: async (trx, topic, payload) => {
      const message = messageOf(topic, payload);
      const published = inTransactions.get(trx);
      if (published === undefined) throw new Error('A message can be published only in a transaction of the database of the bus.');
      published.push({ message, rest: await carrier.publishIn(trx, message) });
    },
    subscribe: (topic, listener) => {
      const ofTopic = listeners.get(topic) ?? new Set();
      listeners.set(topic, ofTopic.add(listener));
      return () => void ofTopic.delete(listener);
    },
    listening: () => problem === undefined,
    whenListening: async (signal) => {
      while (problem !== undefined) {
        // What waits here says only that it was aborted; the signal says why.
        await once(began, 'listening', { signal }).catch(() => signal.throwIfAborted());
      }
    },
    health: () => ({ carrier: carrier.kind, listening: problem === undefined, ...(problem === undefined ? {} : { problem }) }),
    close: async () => {
      problem = 'closed';
      await carrier.close();
      await Promise.all(resting);
    },
  };
}

function openCarrier({ database, connection, redis, heartbeatMs = 5_000 }: BusOptions, sender: string, events: CarrierEvents): Carrier {
  if (redis !== undefined) return redisCarrier({ database, redis, sender, heartbeatMs }, events);
  if (connection.provider === 'sqlite') return sqliteCarrier({ database, sender, pollMs: SQLITE_POLL_MS }, events);
  return postgresCarrier({ database, url: connection.url, sender, heartbeatMs }, events);
}
