import { AsyncLocalStorage } from 'node:async_hooks';

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
