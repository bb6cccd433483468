import { AsyncLocalStorage } from 'node:async_hooks';
import type { Transaction } from 'kysely';
import type { Schema } from './schema.js';

/** The transaction that the running code stands in. */
interface StatementContext {
  /** Whose transaction it is: several databases may be open. */
  readonly owner: object;
  readonly signal: AbortSignal | undefined;
}

const contexts = new AsyncLocalStorage<StatementContext>();

/** Runs `work` as the inside of a transaction of `owner`. */
export function insideTransaction<Result>(owner: object, signal: AbortSignal | undefined, work: () => Promise<Result>): Promise<Result> {
  return contexts.run({ owner, signal }, work);
}

/** The transaction of `owner` that the running code stands in, if it stands in one. */
export function transactionOf(owner: object): StatementContext | undefined {
  const context = contexts.getStore();
  return context?.owner === owner ? context : undefined;
}

/** What wants to be part of the first transaction of `owner` that is begun and committed. */
export interface Companion {
  readonly owner: object;
  readonly join: (trx: Transaction<Schema>) => Promise<void>;
  /** A transaction that it was part of has been committed. */
  joined: boolean;
}

const companions = new AsyncLocalStorage<Companion>();

/** Runs `work` with a companion for its first transaction. */
export function withCompanion<Result>(companion: Companion, work: () => Promise<Result>): Promise<Result> {
  return companions.run(companion, work);
}

/** The companion that still waits for a transaction of `owner`. */
export function companionOf(owner: object): Companion | undefined {
  const companion = companions.getStore();
  return companion?.owner === owner && !companion.joined ? companion : undefined;
}
