import { createHash } from 'node:crypto';
import { SallyportError, Secret } from '@sallyport/sdk';
import { parseObject } from '../json-object.js';
import { azureKeyVaultClient, type SecretVersion } from './azure-key-vault-client.js';
import type { AzureIdentity } from './azure-key-vault-identity.js';
import { inTurn } from './azure-key-vault-turn.js';
import { optionInvalid, storeFailed } from './http-failure.js';
import { checkedKey } from './http-key.js';
import { pause, withRetries } from './http-retry.js';
import { decodeRecord, encodeRecord, freshRecord } from './token-record-json.js';
import type { StoredToken, TokenRecord, TokenStore } from './token-store.js';

/** Which vault holds the tokens, and who asks it. */
export interface AzureKeyVaultTokenStoreOptions {
  /** `https://NAME.vault.azure.net`. */
  readonly vaultUrl: string;
  readonly identity: AzureIdentity;
  /** Begins the name of every secret; letters, digits and hyphens, at most 63; `chaperone-rt-` when left out. */
  readonly prefix?: string;
  /** What tokens are asked for; `https://` and the host of the vault without its first label when left out. */
  readonly resource?: string;
  /**
   * Milliseconds that a write rests before it counts, longer than a look and a write take together; 1 s when left out, 0 when only this process
   * writes.
   */
  readonly settleMs?: number;
  /** PEM file with the authorities that are trusted instead of the usual ones. */
  readonly caFile?: string;
  /** Milliseconds for one request; 3 s when left out. */
  readonly timeoutMs?: number;
}

const SETTLE_MS = 1_000;
const NAME_LIMIT = 127;
const DIGEST_LENGTH = 64;
/** The service takes 25 kB. */
const VALUE_LIMIT = 25_000;

/**
 * Tokens in Azure Key Vault: one secret for each key, named by prefix and SHA-256 of the key, so that any key fits. Needs get and set, nothing more.
 * A secret that holds the bare token is read as well. Throws `config_invalid` for options that cannot work.
 *
 * Key Vault has no conditional write: every write makes a new version, the newest one counts, and the older ones stay. What stands in for it:
 *
 * - Writes of this store take turns for each key, so within one process the comparison is exact.
 * - Between processes a look precedes the write. Two looks may precede two writes, so the write then rests for `settleMs` and is looked at again.
 *   Whoever looked before it was there has written by the end of the rest, or took longer than `settleMs`, and who took longer has to write anew
 *   (Fischer's timed mutual exclusion). Of all who replace the same version the one whose write is on top after the rest has won; the others get
 *   null. Each version says in a tag which one it replaces, so a write that somebody has properly built on is not mistaken for a lost one.
 * - What is left is a request that the network holds up for longer than `settleMs` after its sender has given up on it: it can put an older record on
 *   top. It erases no version.
 */
export function azureKeyVaultTokenStore(options: AzureKeyVaultTokenStoreOptions): TokenStore {
  const { prefix = 'chaperone-rt-', settleMs = SETTLE_MS } = options;
  if (!/^[0-9a-zA-Z-]*$/.test(prefix) || prefix.length + DIGEST_LENGTH > NAME_LIMIT) {
    throw optionInvalid('prefix', 'has other characters than letters, digits and hyphens, or more than 63', 'Shorten it or leave it out.');
  }
  const vault = azureKeyVaultClient(options);
  const turns = inTurn();
  const secretOf = (key: string): string => prefix + createHash('sha256').update(checkedKey(key)).digest('hex');

  async function look(key: string, signal: AbortSignal): Promise<StoredToken | null> {
    const secret = await vault.get(secretOf(key), signal);
    return secret === null ? null : { record: recordOf(vault.name, key, secret), version: secret.version };
  }

  async function replace(key: string, expected: string | null, record: TokenRecord, signal: AbortSignal): Promise<StoredToken | null> {
    const secret = secretOf(key);
    const value = encodeBounded(record);
    let newest = expected;
    let uncertain = false;
    return await withRetries(signal, async () => {
      const began = performance.now();
      const before = await vault.get(secret, signal);
      if ((before?.version ?? null) !== newest) {
        // A write whose answer was lost may have been made. The lease has a random owner and a rotated token is new, so this is ours.
        if (!uncertain || before?.value !== value) return null;
        newest = before.version;
      }
      const tags = { tenantID: key, managedBy: 'sallyport', ...(newest === null ? {} : { replaces: newest }) };
      const version = await vault.set(secret, { value, tags }, signal).catch((error: unknown) => {
        uncertain = true;
        throw error;
      });
      newest = version;
      if (settleMs > 0) {
        // Made anew on top of itself: then everything that was said about a write holds for the new one.
        if (performance.now() - began > settleMs) throw tooSlow(vault.name, settleMs);
        await pause(settleMs, signal);
      }
      const after = await vault.get(secret, signal);
      if (after === null) return null;
      // An earlier attempt may have arrived after this one.
      if (after.version === version || (uncertain && after.value === value)) return { record, version: after.version };
      return record.lease === null && after.replaces === version ? { record, version } : null;
    });
  }

  return {
    description: vault.name,
    async read(key, signal) {
      const stored = await withRetries(signal, () => look(key, signal));
      if (stored === null) throw new SallyportError('token_not_found', { detail: `${vault.name} holds no refresh token for the key ${key}.` });
      return stored;
    },
    replace: async (key, expected, record, signal) => await turns(checkedKey(key), signal, () => replace(key, expected, record, signal)),
  };
}

/** A bare token is what other products keep in such a secret. */
function recordOf(name: string, key: string, { value }: SecretVersion): TokenRecord {
  const record = decodeRecord(value);
  if (record !== null) return record;
  const token = value.trim();
  if (token !== '' && parseObject(value) === null) return freshRecord(new Secret(token));
  throw storeFailed(`${name} holds a secret that is neither a record nor a token under the key ${key}.`, {
    retryable: false,
    hint: 'Set the secret to the bare refresh token, or enable an earlier version of it.',
  });
}

/** The record as text that the vault takes. The oldest superseded tokens go first when there is no room: they are in earlier versions. */
function encodeBounded(record: TokenRecord): string {
  for (let kept = record.superseded.length; kept >= 0; kept -= 1) {
    const value = encodeRecord({ ...record, superseded: record.superseded.slice(0, kept) });
    if (Buffer.byteLength(value) <= VALUE_LIMIT) return value;
  }
  throw storeFailed(`The refresh token is larger than the ${VALUE_LIMIT} bytes that Key Vault takes.`, {
    retryable: false,
    hint: 'Keep it in another store.',
  });
}

function tooSlow(name: string, settleMs: number): SallyportError {
  return storeFailed(`${name} took longer than ${settleMs} ms to store a token, so it has to be stored anew.`, {
    retryable: true,
    hint: 'Raise `settle_ms` if this happens often.',
  });
}
