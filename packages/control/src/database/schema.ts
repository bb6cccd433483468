import type { Kysely, Transaction } from 'kysely';

/** A stored outcome of a request that carried an idempotency key. `outcome` is sealed; empty while the request is being worked on. */
interface IdempotencyKeysTable {
  actor_id: string;
  key: string;
  request_digest: string;
  outcome: string;
  created_at: number;
  expires_at: number;
}

/** One migration that has been applied. */
export interface SchemaMigrationsTable {
  number: number;
  name: string;
  checksum: string;
  applied_at: number;
}

/**
 * The tables of the database layer itself. A domain names its own tables in its store and gets at them with {@link withTables}, so that the compiler
 * refuses a query on another domain's tables.
 */
export interface Schema {
  idempotency_keys: IdempotencyKeysTable;
  schema_migrations: SchemaMigrationsTable;
}

/** What a store runs its queries on: the database, or the transaction of a change that several stores make together. */
export type Queryable = Kysely<Schema> | Transaction<Schema>;

/** The same connection or transaction, with the tables of a domain. */
export function withTables<Tables>(db: Queryable): Kysely<Schema & Tables> {
  // Tables are a matter of types only. Kysely's own method of this name does not take interfaces.
  return db as unknown as Kysely<Schema & Tables>;
}

/** Which of the two databases is spoken to. */
export type Dialect = 'sqlite' | 'postgres';
