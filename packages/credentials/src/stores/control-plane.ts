import { SallyportError } from '@sallyport/sdk';
import { checkedUrl, type HttpAnswer, httpClient } from './http-client.js';
import { storeFailed } from './http-failure.js';
import { checkedKey } from './http-key.js';
import { retryAfter, withRetries } from './http-retry.js';
import { checkSecret, readSecret, type SecretOrigin } from './http-secret.js';
import { writeOnCondition } from './http-write.js';
import { decodeRecord, encodeRecord } from './token-record-json.js';
import type { StoredToken, TokenRecord, TokenStore } from './token-store.js';

/** Where the control plane is, and with what right it is asked. */
export interface ControlPlaneTokenStoreOptions {
  /** Everything before `/tokens/{key}`. */
  readonly baseUrl: string;
  /** Bearer token; from a file it is read anew for every request. */
  readonly token: SecretOrigin;
  /** PEM file with the authorities that are trusted instead of the usual ones. */
  readonly caFile?: string;
  /** Milliseconds for one request; 3 s when left out. */
  readonly timeoutMs?: number;
}

const CONTRACT = 'Check `base_url`: it has to be a service that keeps the contract in docs/token-stores.md.';

/**
 * Tokens behind an HTTP service: the control plane, or anything else that keeps this contract (RFC 9110 §13).
 *
 * - `GET {base}/tokens/{key}`: 200 with the record as JSON and a strong `ETag`, or 404.
 * - `PUT {base}/tokens/{key}` with the record and either `If-Match: <etag>` or `If-None-Match: *`: 200, 201 or 204 with the new `ETag` once the
 *   record would survive a crash, or 412 when the condition does not hold and nothing was written. Comparison and write are one step.
 * - Both with `Authorization: Bearer …`: 401 and 403 are final, 429 and 5xx may be tried again.
 *
 * Writes are as exact as the service is, with any number of processes. Throws `config_invalid` for options that cannot work.
 */
export function controlPlaneTokenStore(options: ControlPlaneTokenStoreOptions): TokenStore {
  const baseUrl = checkedUrl('base_url', options.baseUrl);
  checkSecret('token', options.token);
  const name = `The token service at ${baseUrl}`;
  const client = httpClient({ name, caFile: options.caFile, timeoutMs: options.timeoutMs });
  const urlOf = (key: string): string => `${baseUrl}/tokens/${encodeURIComponent(checkedKey(key))}`;
  const authorization = async (signal: AbortSignal): Promise<string> => `Bearer ${(await readSecret(options.token, signal)).reveal().trim()}`;

  async function look(key: string, signal: AbortSignal): Promise<StoredToken | null> {
    const headers = { authorization: await authorization(signal), accept: 'application/json' };
    const answer = await client({ method: 'GET', url: urlOf(key), headers }, signal);
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw refusal(name, answer);
    const record = decodeRecord(answer.text);
    if (record === null) throw storeFailed(`${name} answered something that is not a token record.`, { retryable: false, hint: CONTRACT });
    return { record, version: versionOf(name, answer) };
  }

  async function write(key: string, expected: string | null, record: TokenRecord, signal: AbortSignal): Promise<StoredToken | null> {
    const condition: Record<string, string> = expected === null ? { 'if-none-match': '*' } : { 'if-match': expected };
    const headers = { authorization: await authorization(signal), 'content-type': 'application/json', ...condition };
    const answer = await client({ method: 'PUT', url: urlOf(key), headers, body: encodeRecord(record) }, signal);
    if (answer.status === 412) return null;
    if (answer.status !== 200 && answer.status !== 201 && answer.status !== 204) throw refusal(name, answer);
    return { record, version: versionOf(name, answer) };
  }

  return {
    description: `control plane ${baseUrl}`,
    async read(key, signal) {
      const stored = await withRetries(signal, () => look(key, signal));
      if (stored === null) throw new SallyportError('token_not_found', { detail: `${name} holds no refresh token for the key ${key}.` });
      return stored;
    },
    async replace(key, expected, record, signal) {
      const attempt = { record, write: () => write(key, expected, record, signal), look: () => look(key, signal) };
      return await writeOnCondition(attempt, signal);
    },
  };
}

/** A weak tag cannot be compared for a write (RFC 9110 §8.8.3.2), and an odd one could not be sent back. */
function versionOf(name: string, answer: HttpAnswer): string {
  const tag = answer.header('etag');
  if (tag !== null && /^"[\x21\x23-\x7e]{1,256}"$/.test(tag)) return tag;
  throw storeFailed(`${name} answered without a strong ETag.`, { retryable: false, hint: CONTRACT });
}

function refusal(name: string, answer: HttpAnswer): SallyportError {
  const { status } = answer;
  if (status === 429 || status >= 500) {
    return storeFailed(`${name} cannot answer now (${status}).`, { retryable: true, hint: 'Try again later.', retryAfter: retryAfter(answer) });
  }
  const denied = status === 401 || status === 403;
  return storeFailed(`${name} refused (${status}).`, {
    retryable: false,
    hint: denied ? 'Check the token of the store and what it may do.' : CONTRACT,
  });
}
