import { SallyportError, Secret } from '@sallyport/sdk';
import { isObject, parseObject } from '../json-object.js';
import { checkedUrl, type HttpAnswer, type HttpCall, httpClient } from './http-client.js';
import { optionInvalid, storeFailed } from './http-failure.js';
import { checkedKey } from './http-key.js';
import { withRetries } from './http-retry.js';
import { writeOnCondition } from './http-write.js';
import { decodeRecord, encodeRecord, freshRecord, SUPERSEDED_LIMIT } from './token-record-json.js';
import type { StoredToken, TokenRecord, TokenStore } from './token-store.js';
import { type VaultAuth, vaultLogin } from './vault-login.js';
import { vaultPath } from './vault-path.js';
import { vaultRefusal } from './vault-refusal.js';

/** Where the tokens are in Vault or OpenBao, and how to get in. */
export interface VaultTokenStoreOptions {
  /** `https://vault.example:8200`; http only for loopback addresses, where an agent may listen. */
  readonly address: string;
  readonly auth: VaultAuth;
  /** Where the KV secrets engine (version 2) is mounted; `secret` when left out. */
  readonly mount?: string;
  /** Path below the mount, with `{key}` once where the key goes; `tenants/{key}` when left out. */
  readonly path?: string;
  /** Namespace of Vault Enterprise, HCP or OpenBao. */
  readonly namespace?: string;
  /** PEM file with the authorities that are trusted instead of the usual ones. */
  readonly caFile?: string;
  /** Milliseconds for one request; 3 s when left out. */
  readonly timeoutMs?: number;
}

/** What is there, and under which number; a deleted secret keeps its number, and a secret that never was has 0. */
interface Look {
  readonly stored: StoredToken | null;
  readonly version: number;
}

const ONBOARD = 'Write the token anew, or bring an earlier version back with `vault kv rollback`.';
const NOT_KV2 = 'Check `mount`: it has to be a KV secrets engine of version 2 (vault secrets list -detailed).';

/**
 * Tokens in HashiCorp Vault or OpenBao, KV version 2. One secret for each key with the fields `refresh_token` (for people, and the only one that
 * has to be there) and `record`; further fields are not kept. Every write is a check-and-set on the version number, so it is exact with any number
 * of processes, and Vault keeps the versions before. Throws `config_invalid` for options that cannot work.
 */
export function vaultTokenStore(options: VaultTokenStoreOptions): TokenStore {
  const { mount = 'secret', path = 'tenants/{key}', namespace } = options;
  const address = checkedUrl('address', options.address);
  if (path.split('{key}').length !== 2) throw optionInvalid('path', 'has to hold {key} once', 'Write it as in tenants/{key}.');
  const urlOf = (key: string): string => {
    return `${address}/v1/${vaultPath('mount', mount)}/data/${vaultPath(
      'path',
      path.replace('{key}', () => checkedKey(key)),
    )}`;
  };
  urlOf('a');
  const name = `Vault at ${address}`;
  const client = httpClient({ name, caFile: options.caFile, timeoutMs: options.timeoutMs });
  const headers = { 'x-vault-request': 'true', ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }) };
  const login = vaultLogin({ name, address, auth: options.auth, headers, client });

  async function call(request: HttpCall, signal: AbortSignal): Promise<HttpAnswer> {
    const send = async (): Promise<HttpAnswer> => {
      const token = await login.token(signal);
      const answer = await client({ ...request, headers: { ...headers, 'x-vault-token': token.secret.reveal() } }, signal);
      if (answer.status === 403) login.refused(token);
      return answer;
    };
    const answer = await send();
    // 403 says either that the token is over or that it may not do this; a new token tells which.
    return answer.status === 403 ? await send() : answer;
  }

  async function look(key: string, signal: AbortSignal): Promise<Look> {
    const answer = await call({ method: 'GET', url: urlOf(key) }, signal);
    const body = parseObject(answer.text);
    const data = isObject(body?.data) ? body.data : null;
    const version = versionOf(data?.metadata);
    if (answer.status === 404 && isObject(data)) return { stored: null, version: version ?? 0 };
    // A path that no engine serves is a 404 as well, but one with a reason.
    if (answer.status === 404 && Array.isArray(body?.errors) && body.errors.length === 0) return { stored: null, version: 0 };
    if (answer.status !== 200) throw vaultRefusal(name, answer);
    if (version === null || !isObject(data?.data)) throw malformed(name, 'answered something that is not a KV version 2 secret', NOT_KV2);
    return { stored: { record: recordOf(name, key, data.data), version: String(version) }, version };
  }

  async function write(key: string, cas: number, record: TokenRecord, signal: AbortSignal): Promise<StoredToken | null> {
    const data = { refresh_token: record.refreshToken.reveal(), record: encodeRecord(record) };
    const answer = await call({ method: 'POST', url: urlOf(key), body: JSON.stringify({ options: { cas }, data }) }, signal);
    if (answer.status === 400 && answer.text.includes('check-and-set parameter did not match')) return null;
    if (answer.status !== 200 && answer.status !== 204) throw vaultRefusal(name, answer);
    const written = parseObject(answer.text);
    const version = versionOf(written?.data);
    if (version === null) throw malformed(name, 'did not say which version it wrote', NOT_KV2);
    return { record, version: String(version) };
  }

  return {
    description: `vault ${mount}/${path.replace('/{key}', '')}`,
    async read(key, signal) {
      const { stored } = await withRetries(signal, () => look(key, signal));
      if (stored === null) throw new SallyportError('token_not_found', { detail: `${name} holds no refresh token for the key ${key}.` });
      return stored;
    },
    async replace(key, expected, record, signal) {
      const cas = expected === null ? 0 : Number(expected);
      // Anything but a number would be sent as no condition at all.
      if (!Number.isSafeInteger(cas)) return null;
      const attempt = async (): Promise<StoredToken | null> => {
        const stored = await write(key, cas, record, signal);
        if (stored !== null || expected !== null) return stored;
        // A deleted secret is nothing to a reader, but its number goes on.
        const there = await look(key, signal);
        return there.stored === null && there.version > 0 ? await write(key, there.version, record, signal) : null;
      };
      return await writeOnCondition({ record, write: attempt, look: async () => (await look(key, signal)).stored }, signal);
    },
  };
}

/** A token that was put there by hand wins over the record beside it: whoever writes one means it. The one from the record is kept as superseded. */
function recordOf(name: string, key: string, data: Readonly<Record<string, unknown>>): TokenRecord {
  const { refresh_token: field, record: text } = data;
  if (typeof field !== 'string' || field.trim() === '')
    throw malformed(name, `holds no text in the field refresh_token under the key ${key}`, ONBOARD);
  if (text === undefined) return freshRecord(new Secret(field.trim()));
  const record = typeof text === 'string' ? decodeRecord(text) : null;
  if (record === null) throw malformed(name, `holds a damaged field record under the key ${key}`, ONBOARD);
  if (record.refreshToken.reveal() === field) return record;
  return { ...freshRecord(new Secret(field.trim())), superseded: [record.refreshToken, ...record.superseded].slice(0, SUPERSEDED_LIMIT) };
}

function versionOf(metadata: unknown): number | null {
  const version = isObject(metadata) ? metadata.version : null;
  return typeof version === 'number' && Number.isSafeInteger(version) && version > 0 ? version : null;
}

function malformed(name: string, what: string, hint: string): SallyportError {
  return storeFailed(`${name} ${what}.`, { retryable: false, hint });
}
