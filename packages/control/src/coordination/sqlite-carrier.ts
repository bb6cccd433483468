import type { Database } from '../database/open-database.js';
import { deleteMessagesUpTo, insertMessage, lastMessage, messagesAfter } from './bus-store.js';
import { type BusMessage, type Carrier, type CarrierEvents, decodeMessage, encodeMessage, problemOf } from './carrier.js';

export interface SqliteCarrierOptions {
  readonly database: Database;
  readonly sender: string;
  /** How often to look for what other processes wrote: the longest time that a message takes. */
  readonly pollMs: number;
}

/** How many messages stay. A process that was stopped for longer than it took to write them is told that it missed some. */
const KEPT = 1000;
/** Each so-many-th message takes those away that need not stay. */
const SWEEP_EVERY = 100;
const PAGE = 200;

/**
 * Processes on one SQLite file: messages are rows, written with the change that they are about, and every process looks for new ones a few times a
 * second. That is one read of the end of an index, which costs microseconds and waits for no writer.
 */
export function sqliteCarrier({ database, sender, pollMs }: SqliteCarrierOptions, events: CarrierEvents): Carrier {
  let closed = false;
  /** The number of the last message that was read; undefined until the first look. */
  let last: number | undefined;
  let silent = false;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = look();

  async function look(): Promise<void> {
    try {
      await readOn();
      silent = false;
    } catch (error) {
      // What was published meanwhile is not read later: to begin anew makes every cache drop everything, which is the same and simpler.
      if (!silent) events.silent(problemOf(error));
      silent = true;
      last = undefined;
    }
    if (closed) return;
    timer = setTimeout(() => {
      looking = look();
    }, pollMs);
    timer.unref();
  }

  async function readOn(): Promise<void> {
    if (last === undefined) {
      last = await lastMessage(database.db);
      events.listening();
      return;
    }
    for (;;) {
      const page = await messagesAfter(database.db, last, PAGE);
      const [next] = page;
      if (next === undefined) return;
      // Numbers have no holes, so one that is not there has been taken away before this process saw it.
      if (next.seq !== last + 1) events.missed();
      for (const { seq, message } of page) {
        last = seq;
        hear(message);
      }
      if (page.length < PAGE) return;
    }
  }

  function hear(text: string): void {
    const message = decodeMessage(text);
    if (message === undefined) events.missed();
    else if (message.sender !== sender) events.message(message);
  }

  async function write(trx: Parameters<Carrier['publishIn']>[0], message: BusMessage): Promise<void> {
    const seq = await insertMessage(trx, 'sqlite', encodeMessage(message));
    if (seq % SWEEP_EVERY === 0 && seq > KEPT) await deleteMessagesUpTo(trx, seq - KEPT);
  }

  return {
    kind: 'sqlite',
    publish: (message) => database.transaction((trx) => write(trx, message)),
    publishIn: async (trx, message) => {
      await write(trx, message);
      return undefined;
    },
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await looking;
    },
  };
}
