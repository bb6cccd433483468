import { Socket } from 'node:net';
import type { Secret } from '@sallyport/sdk';
import { sql } from 'kysely';
import pg from 'pg';
import type { Database } from '../database/open-database.js';
import { pause } from '../database/pause.js';
import type { Queryable } from '../database/schema.js';
import { deleteMessages, findMessage, insertMessage, messagesOlderThan } from './bus-store.js';
import { type Carrier, type CarrierEvents, decodeMessage, encodeMessage, parseJson, problemOf } from './carrier.js';

export interface PostgresCarrierOptions {
  readonly database: Database;
  /** The address that the database was opened with: listening needs a connection of its own. */
  readonly url: string | Secret;
  readonly sender: string;
  /** How often the connection is tried out. One that is dead without saying so is found within this time and as long again. */
  readonly heartbeatMs: number;
}

const CHANNEL = 'sallyport_bus';
/** Postgres takes 7,999 bytes. */
const MAX_NOTIFICATION_BYTES = 7900;
/** How long a large message stays for those who have its number. */
const KEPT_MS = 10 * 60_000;
const SWEEP = 100;
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 5_000;

/**
 * Processes on one Postgres: `NOTIFY` belongs to the transaction it stands in, and reaches every process that listens at the time of the commit. A
 * message that is too large for it goes into a table, and its number is what is told.
 */
export function postgresCarrier(options: PostgresCarrierOptions, events: CarrierEvents): Carrier {
  const { database, sender } = options;
  const ending = new AbortController();
  const fetching = new Set<Promise<void>>();
  const running = keepListening(options, ending.signal, { ...events, notification: hear });

  function hear(text: string): void {
    const seq = parseJson(text);
    if (typeof seq !== 'number') {
      deliver(text);
      return;
    }
    const fetched = fetch(seq).finally(() => fetching.delete(fetched));
    fetching.add(fetched);
  }

  async function fetch(seq: number): Promise<void> {
    const text = await findMessage(database.db, seq).catch(() => undefined);
    if (text === undefined) events.missed();
    else deliver(text);
  }

  function deliver(text: string): void {
    const message = decodeMessage(text);
    if (message === undefined) events.missed();
    else if (message.sender !== sender) events.message(message);
  }

  return {
    kind: 'postgres',
    publish: async (message) => {
      const text = encodeMessage(message);
      if (fits(text)) {
        await notify(database.db, text);
        return;
      }
      await database.transaction(async (trx) => notify(trx, await store(trx, text)), { isolation: 'read committed' });
      await sweep(database);
    },
    publishIn: async (trx, message) => {
      const text = encodeMessage(message);
      if (fits(text)) {
        await notify(trx, text);
        return undefined;
      }
      await notify(trx, await store(trx, text));
      // Not in the transaction, where it would meet others that do the same.
      return () => sweep(database);
    },
    close: async () => {
      ending.abort();
      await running;
      await Promise.all(fetching);
    },
  };
}

function fits(text: string): boolean {
  return Buffer.byteLength(text) <= MAX_NOTIFICATION_BYTES;
}

async function notify(db: Queryable, text: string): Promise<void> {
  await sql`select pg_notify(${CHANNEL}, ${text})`.execute(db);
}

async function store(db: Queryable, text: string): Promise<string> {
  return String(await insertMessage(db, 'postgres', text));
}

async function sweep({ db }: Database): Promise<void> {
  const old = await messagesOlderThan(db, 'postgres', KEPT_MS, SWEEP);
  if (old.length > 0)
    await deleteMessages(
      db,
      old.map(({ seq }) => seq),
    );
}

interface ListeningEvents extends Pick<CarrierEvents, 'listening' | 'silent'> {
  notification(payload: string): void;
}

/** Listens until the signal, on one connection after the other. */
async function keepListening(options: PostgresCarrierOptions, signal: AbortSignal, events: ListeningEvents): Promise<void> {
  for (let retryMs = FIRST_RETRY_MS; !signal.aborted; retryMs = Math.min(retryMs * 2, LAST_RETRY_MS)) {
    let listened = false;
    const problem = await listen(options, signal, {
      ...events,
      listening: () => {
        listened = true;
        events.listening();
      },
    });
    if (signal.aborted) return;
    events.silent(problem);
    if (listened) retryMs = FIRST_RETRY_MS;
    await pause(retryMs, signal).catch(() => undefined);
  }
}

/** Listens on one connection until it breaks or the signal, and answers why it ended. */
async function listen(options: PostgresCarrierOptions, signal: AbortSignal, events: ListeningEvents): Promise<string> {
  const { url, heartbeatMs } = options;
  // Our own socket: it is the only way to end a connection whose other end does not answer any more.
  const socket = new Socket();
  const client = new pg.Client({
    connectionString: typeof url === 'string' ? url : url.reveal(),
    application_name: 'sallyport bus',
    connectionTimeoutMillis: heartbeatMs,
    query_timeout: heartbeatMs,
    stream: () => socket,
  });
  const over = new AbortController();
  const broken = new Promise<never>((_, reject) => {
    client.on('error', reject);
    client.on('end', () => reject(new Error('The connection ended.')));
    signal.addEventListener('abort', () => reject(signal.reason), { once: true, signal: over.signal });
  });
  // It is raced below, more than once or never.
  broken.catch(() => undefined);
  client.on('notification', ({ payload = '' }) => events.notification(payload));
  try {
    await Promise.race([client.connect(), broken]);
    await Promise.race([client.query(`listen ${CHANNEL}`), broken]);
    events.listening();
    for (;;) {
      await Promise.race([pause(heartbeatMs, AbortSignal.any([signal, over.signal])), broken]);
      await Promise.race([client.query('select 1'), broken]);
    }
  } catch (error) {
    return problemOf(error);
  } finally {
    over.abort();
    socket.destroy();
  }
}
