import { isIP } from 'node:net';
import { SallyportError, type Secret } from '@sallyport/sdk';
import type { Redis } from 'ioredis';
import { problemOf } from './carrier.js';

/** Where Redis is and how to get in. */
export interface RedisOptions {
  /** `redis://user:password@host:port/database`, or `rediss://` for TLS. Appears in no error. */
  readonly url: string | Secret;
  /** Instead of the one in the URL. */
  readonly username?: string;
  /** Instead of the one in the URL. */
  readonly password?: Secret;
  /** The certificates that sign Redis's own, as PEM; those that the system trusts when left out. */
  readonly ca?: string;
  /** Begins every key and channel, so that several installations can share one Redis. `sallyport` when left out. */
  readonly prefix?: string;
}

/** Connections to one Redis, which come back by themselves. */
export interface RedisConnection {
  readonly prefix: string;
  /** For commands. They fail at once when Redis is not there: nothing waits for it in a queue. */
  readonly commands: Redis;
  /** For subscriptions only. */
  readonly subscriber: Redis;
  /** Why Redis is not to be had; undefined when it is. */
  problem(): string | undefined;
  close(): Promise<void>;
}

const COMMAND_TIMEOUT_MS = 500;
const CONNECT_TIMEOUT_MS = 5_000;
const LAST_RETRY_MS = 5_000;

/**
 * Begins to connect, and goes on until it is closed; does not wait for it. Rejects with `redis_url_invalid`. Redis's certificate is checked against
 * the name in the URL.
 */
export async function openRedis(options: RedisOptions): Promise<RedisConnection> {
  const { prefix = 'sallyport' } = options;
  const connection = connectionOptions(options);
  const { Redis } = await import('ioredis');
  let lastProblem = 'connecting';

  function open(): Redis {
    const redis = new Redis({
      ...connection,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      // The bus subscribes itself, because it has to know when that is done.
      autoResubscribe: false,
      maxRetriesPerRequest: 0,
      commandTimeout: COMMAND_TIMEOUT_MS,
      connectTimeout: CONNECT_TIMEOUT_MS,
      disableClientInfo: true,
      retryStrategy: (times) => Math.min(2 ** Math.min(times, 10) * 25, LAST_RETRY_MS) * (0.5 + Math.random() / 2),
    });
    // Its message may hold the command that failed, and the first command is the one with the password.
    redis.on('error', (error) => {
      lastProblem = problemOf(error);
    });
    return redis;
  }

  const commands = open();
  const subscriber = open();
  return {
    prefix,
    commands,
    subscriber,
    problem: () => (commands.status === 'ready' && subscriber.status === 'ready' ? undefined : lastProblem),
    close: async () => {
      for (const redis of [commands, subscriber]) await closed(redis);
    },
  };
}

async function closed(redis: Redis): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    redis.once('end', resolve);
  });
  // One that waits for its next attempt has nothing to close: it gives up waiting, and reports no end.
  const waits = redis.status === 'reconnecting' || redis.status === 'end';
  redis.disconnect();
  if (!waits) await ended;
}

interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: { readonly servername?: string; readonly ca?: string };
}

function connectionOptions({ url, username, password, ca }: RedisOptions): ConnectionOptions {
  const text = typeof url === 'string' ? url : url.reveal();
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  const database = /^\/?(\d{0,5})$/.exec(parsed?.pathname ?? '')?.[1];
  if (parsed === undefined || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === '' || database === undefined || parsed.search !== '') {
    throw new SallyportError('redis_url_invalid');
  }
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1');
  const user = username ?? decoded(parsed.username);
  const secret = password?.reveal() ?? decoded(parsed.password);
  return {
    host,
    port: parsed.port === '' ? 6379 : Number(parsed.port),
    db: Number(database),
    ...(user === '' ? {} : { username: user }),
    ...(secret === '' ? {} : { password: secret }),
    ...(parsed.protocol === 'rediss:' ? { tls: { ...(isIP(host) === 0 ? { servername: host } : {}), ...(ca === undefined ? {} : { ca }) } } : {}),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new SallyportError('redis_url_invalid');
  }
}
