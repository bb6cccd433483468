import { readFile } from 'node:fs/promises';
import { SallyportError } from '@sallyport/sdk';
import type { ControlConfig } from '../config/control-section.js';
import { makeKeyFile } from '../config/global-key-file.js';
import { type Bus, createBus } from '../coordination/bus.js';
import { openRedis, type RedisConnection } from '../coordination/redis-connection.js';
import { migrate, requireKnownSchema } from '../database/migrate.js';
import { type Database, type DatabaseOptions, openDatabase } from '../database/open-database.js';
import { globalKeyExists } from '../keys/global-key.js';
import { migrateTaskEngine, requireTaskEngine } from '../tasks/task-engine.js';
import { type Close, closeAll } from './close-all.js';

/** What everything of the control plane stands on. */
export interface Stores {
  /** That of the bus: news can be part of its transactions. */
  readonly database: Database;
  readonly bus: Bus;
  readonly redis: RedisConnection | undefined;
  readonly close: () => Promise<void>;
}

/**
 * Opens the database, Redis and the bus. A database in a file is this installation's own and is brought up to date here, under a lock; one on a server
 * has to be (`schema_outdated`), because other releases may be at work there: `migrateStores` does it. Makes the file of the global key before the
 * database is used for the first time. Rejects with what is not there or not in order, and leaves nothing open then.
 */
export async function openStores(config: ControlConfig): Promise<Stores> {
  const opened = openNamed(config.database);
  const closing: Close[] = [() => opened.close()];
  try {
    if (config.database.provider === 'sqlite') await migrate(opened);
    await requireKnownSchema(opened);
    await requireTaskEngine(opened);
    const { madeIn } = config.system_auth.global_key;
    if (madeIn !== null) await makeKeyFile(madeIn, async () => !(await globalKeyExists(opened)));
    const redis = config.redis === undefined ? undefined : await redisOf(config.redis);
    if (redis !== undefined) closing.push(() => redis.close());
    const bus = createBus({ database: opened, connection: config.database, ...(redis === undefined ? {} : { redis }) });
    closing.push(() => bus.close());
    return { database: bus.database, bus, redis, close: () => closeAll(closing) };
  } catch (error) {
    // What is wrong is why it does not start, not what cannot be ended on top of it.
    await closeAll(closing).catch(() => undefined);
    throw error;
  }
}

/** Says of a folder or a file that cannot be used which one it is. */
function openNamed(options: DatabaseOptions): Database {
  try {
    return openDatabase(options);
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    throw new SallyportError('database_unavailable', {
      detail: `The database cannot be opened: ${cause.message}.`,
      hint: 'Name a file in a folder that this program may write to in `control.database.path`.',
      cause,
    });
  }
}

async function redisOf({ url, ca, prefix }: NonNullable<ControlConfig['redis']>): Promise<RedisConnection> {
  return openRedis({ url, prefix, ...(ca === undefined ? {} : { ca: await readFile(ca, 'utf8') }) });
}

/** Brings the schema of the database up to date and answers the names of the steps that were taken. Rejects with `schema_unknown` when it is newer. */
export async function migrateStores({ database: options }: Pick<ControlConfig, 'database'>): Promise<readonly string[]> {
  const database = openNamed(options);
  try {
    const steps = await migrate(database);
    await migrateTaskEngine(database);
    return steps.map(({ number, name }) => `${String(number).padStart(4, '0')} ${name}`);
  } finally {
    await database.close();
  }
}
