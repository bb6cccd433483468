import { type CredentialProvider, SallyportError, type Secret } from '@sallyport/sdk';
import { nameProblem, valueProblem } from './header-field.js';

/** Header fields that every call gets. */
export interface StaticProviderOptions {
  /** By name, at least one; each value as it goes on the wire. */
  readonly headers: Readonly<Record<string, Secret>>;
  /** Milliseconds after which the gateway asks again; an hour when left out. */
  readonly ttlMs?: number;
}

const TTL_MS = 60 * 60 * 1000;

/** A provider that gives every call the same header fields. Throws `config_invalid` for names and values that a request cannot carry. */
export function staticProvider({ headers, ttlMs = TTL_MS }: StaticProviderOptions): CredentialProvider {
  const entries = Object.entries(headers);
  if (entries.length === 0) throw new SallyportError('config_invalid', { detail: 'headers: has no header field' });
  for (const [name, value] of entries) {
    const problem = nameProblem(name) ?? valueProblem(value.reveal());
    if (problem !== null) throw new SallyportError('config_invalid', { detail: `headers.${JSON.stringify(name)}: ${problem}` });
  }
  if (!(ttlMs > 0) || !Number.isFinite(ttlMs)) throw new SallyportError('config_invalid', { detail: 'ttl: is not a positive number' });
  return {
    getCredentials: () => ({
      headers: Object.fromEntries(entries.map(([name, value]) => [name, value.reveal()])),
      expiresAt: Date.now() + ttlMs,
    }),
  };
}
