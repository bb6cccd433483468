import type { Secret } from '@sallyport/sdk';
import { SallyportError } from '@sallyport/sdk';
import { type Dialect, PostgresDialect } from 'kysely';
import pg from 'pg';
import { type Guard, guardDriver } from './guarded-driver.js';

export interface PostgresDialectOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string | Secret;
  readonly maxConnections: number;
  /** How long to wait for a connection before `database_unavailable`. */
  readonly connectTimeoutMs: number;
  /** Postgres ends a statement that takes longer. */
  readonly statementTimeoutMs: number;
}

const INT8 = pg.types.builtins.INT8;

/** Postgres for Kysely over a pool. 64-bit integers come as numbers. */
export function postgresDialect(options: PostgresDialectOptions, guard: Guard): Dialect {
  const pool = new pg.Pool({
    connectionString: checkedUrl(options.url),
    max: options.maxConnections,
    connectionTimeoutMillis: options.connectTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
    // A process that was stopped in the middle must not hold its locks for ever.
    idle_in_transaction_session_timeout: options.statementTimeoutMs,
    application_name: 'sallyport',
    types: { getTypeParser },
  });
  // A connection that breaks while nobody uses it is emitted here, and would end the process. The pool has dropped it already.
  pool.on('error', () => undefined);
  const dialect = new PostgresDialect({ pool });
  return {
    createAdapter: () => dialect.createAdapter(),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createDriver: () => guardDriver(dialect.createDriver(), guard),
  };
}

/** The error of a parser quotes the whole URL, and its password. */
function checkedUrl(url: string | Secret): string {
  const text = typeof url === 'string' ? url : url.reveal();
  if (!URL.canParse(text) || !/^postgres(?:ql)?:$/.test(new URL(text).protocol)) {
    throw new SallyportError('database_url_invalid');
  }
  return text;
}

function getTypeParser(id: number, format?: 'text' | 'binary'): (value: string) => unknown {
  if (id === INT8 && format !== 'binary') return safeInteger;
  return pg.types.getTypeParser(id, format) as (value: string) => unknown;
}

/** Times and counters: all of ours fit. One that does not would come out as another number. */
function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError('A 64-bit integer of the database does not fit into a number.');
  return value;
}
