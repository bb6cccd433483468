import { SallyportError } from '@sallyport/sdk';
import type { Redis } from 'ioredis';
import type { Database } from '../database/open-database.js';
import { deleteMessages, insertMessage, messagesOlderThan, type StoredMessage } from './bus-store.js';
import { type Carrier, type CarrierEvents, decodeMessage, encodeMessage, problemOf } from './carrier.js';
import type { RedisConnection } from './redis-connection.js';

export interface RedisCarrierOptions {
  readonly database: Database;
  readonly redis: RedisConnection;
  readonly sender: string;
  /** How often the connection is tried out, and how often messages are looked for that did not get to Redis. */
  readonly heartbeatMs: number;
}

const PAGE = 100;

/** False when nothing comes back on a connection: then it is dead, whatever the socket says, and another one is made. */
async function isAlive(connection: Redis): Promise<boolean> {
  if (connection.status !== 'ready') return true;
  try {
    await connection.ping();
    return true;
  } catch {
    connection.disconnect(true);
    return false;
  }
}

/**
 * Processes that share a Redis. What is published in a transaction is a row of the database first and in Redis after the commit; a row whose process
 * died in between, or that Redis did not take, is published by whoever finds it. So a message may come twice.
 */
export function redisCarrier({ database, redis, sender, heartbeatMs }: RedisCarrierOptions, events: CarrierEvents): Carrier {
  const { commands, subscriber, prefix } = redis;
  const channel = `${prefix}:bus`;
  let closed = false;
  let beating: Promise<void> | undefined;

  async function listen(): Promise<void> {
    try {
      await subscriber.subscribe(channel);
      if (!closed) events.listening();
    } catch (error) {
      fallSilent(problemOf(error));
      subscriber.disconnect(true);
    }
  }

  function fallSilent(problem: string): void {
    if (!closed) events.silent(problem);
  }

  function hear(from: string, text: string): void {
    if (from !== channel || closed) return;
    const message = decodeMessage(text);
    if (message === undefined) events.missed();
    else if (message.sender !== sender) events.message(message);
  }

  async function beat(): Promise<void> {
    const [hears] = await Promise.all([isAlive(subscriber), isAlive(commands)]);
    if (!hears) fallSilent('no answer');
    // A database or a Redis that is down keeps the rows where they are; the next beat tries again.
    if (commands.status === 'ready') await publishLeftOver().catch(() => undefined);
  }

  async function publishLeftOver(): Promise<void> {
    for (;;) {
      // The process whose message it is has this long to publish it.
      const rows = await messagesOlderThan(database.db, database.dialect, heartbeatMs, PAGE);
      for (const row of rows) await publishRow(row);
      if (rows.length < PAGE || closed) return;
    }
  }

  async function publishRow({ seq, message }: StoredMessage): Promise<void> {
    await commands.publish(channel, message);
    await deleteMessages(database.db, [seq]);
  }

  const ready = (): void => void listen();
  const gone = (): void => fallSilent(redis.problem() ?? 'disconnected');
  subscriber.on('ready', ready);
  subscriber.on('close', gone);
  subscriber.on('message', hear);
  if (subscriber.status === 'ready') ready();
  const timer = setInterval(() => {
    beating ??= beat().finally(() => {
      beating = undefined;
    });
  }, heartbeatMs);
  timer.unref();

  return {
    kind: 'redis',
    publish: async (message) => {
      try {
        await commands.publish(channel, encodeMessage(message));
      } catch (error) {
        // The error itself may hold the command, and with it the message.
        throw new SallyportError('bus_unavailable', { detail: `Redis: ${problemOf(error)}.` });
      }
    },
    publishIn: async (trx, message) => {
      const text = encodeMessage(message);
      const seq = await insertMessage(trx, database.dialect, text);
      return () => publishRow({ seq, message: text });
    },
    close: async () => {
      closed = true;
      clearInterval(timer);
      subscriber.off('ready', ready);
      subscriber.off('close', gone);
      subscriber.off('message', hear);
      await beating;
      if (subscriber.status === 'ready') await subscriber.unsubscribe(channel).catch(() => undefined);
    },
  };
}
