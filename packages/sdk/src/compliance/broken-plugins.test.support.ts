import type { Credential, MutableRequest, Plugin, TransactionContext } from '../index.js';
import { type ContractOptions, contractChecks } from './index.js';

/** Milliseconds that a call may take in these tests. */
export const TIMEOUT = 100;
export const never = new Promise<never>(() => undefined);

export function bearer(token: string, more: Partial<Credential> = {}): Credential {
  return { headers: { Authorization: `Bearer ${token}` }, expiresAt: Date.now() + 3_600_000, ...more };
}

/** The names of the checks that fail. */
export async function failing(plugin: Plugin, options: ContractOptions = {}): Promise<string[]> {
  const failed: string[] = [];
  for (const { name, run } of contractChecks(plugin, { timeout: TIMEOUT, ...options })) {
    await run().catch((error: unknown) => failed.push(`${name}: ${(error as Error).message}`));
  }
  return failed;
}

/** What crashes at what is not there. */
export function lengthOf(value: unknown): number {
  return (value as { length: number }).length;
}

export function returning<T>(value: T, _done: unknown): T {
  return value;
}

export type Ask = NonNullable<Plugin['getCredentials']>;

export function answering(credential: unknown): Plugin {
  return { getCredentials: () => credential as Credential };
}

export function asking(getCredentials: Ask): Plugin {
  return { getCredentials };
}

/** A slow-path plugin that does this to the request. */
export function changing(change: (request: MutableRequest, context: TransactionContext) => void | Promise<void>): Plugin {
  return {
    async getCredentials(context, request) {
      await change(request, context);
      return null;
    },
  };
}
