import type { KeyObject } from 'node:crypto';
import { SallyportError, Secret } from '@sallyport/sdk';
import { LRUCache } from 'lru-cache';
import { newId } from '../database/ids.js';
import type { Database } from '../database/open-database.js';
import type { Queryable } from '../database/schema.js';
import { ciphertextInvalid, randomKey } from './aes-gcm.js';
import { type CiphertextPlace, openEnvelope, parseEnvelope, sealEnvelope } from './envelope.js';
import { createHeldProviders } from './held-providers.js';
import {
  activeVersionOf,
  changeKey,
  findKey,
  findKeyOrDeleted,
  findVersion,
  GLOBAL_KEY,
  insertActiveVersion,
  reserveMessages,
  resolveKeyId,
} from './key-store.js';
import type { KeyRow, KeyVersionRow } from './key-tables.js';
import { openProvider } from './open-provider.js';
import { type KeyProvider, parseWrappedKey, withPrevious } from './provider.js';
import { type ProviderConfig, parseProviderConfig } from './provider-config.js';
import { DEFAULT_PROVIDER_RULES, type ProviderRule } from './provider-rules.js';

export interface KeyringOptions {
  readonly database: Database;
  /** The provider of the global key, and those whose material it had before. */
  readonly globalKey: { readonly current: ProviderConfig; readonly previous?: readonly ProviderConfig[] };
  /** Which providers the keys of which namespaces may name; `DEFAULT_PROVIDER_RULES` when left out. The global key needs none. */
  readonly rules?: readonly ProviderRule[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** How long this process goes on with the key version of a namespace before it looks again. 10 s when left out. */
  readonly activeForMs?: number;
  /** How long this process holds a data key; then what another process shredded is gone here too. 1 h when left out. */
  readonly holdKeysMs?: number;
  /** The most messages that one data key encrypts. 2^31 when left out: half of what random nonces of 96 bit allow. */
  readonly messageLimit?: number;
  /** How many messages a process reserves at once. 65,536 when left out. */
  readonly messageBlock?: number;
  readonly now?: () => number;
}

/** The key version that encrypts for a namespace. */
interface ActiveVersion {
  readonly keyId: string;
  readonly id: string;
}

/** Encrypts and decrypts what is stored. Data keys are held in memory, at most 10,000 of them. */
export interface Keyring {
  /**
   * The envelope of a secret for its place, under the key of the namespace (or of `keyNamespace`; null is the global key). Call it before a
   * transaction begins: it may have to write. Rejects with `key_unavailable` when the key is disabled; there is no other key to fall back on.
   *
   * The key may be destroyed before the envelope is stored, and another process may have destroyed it already. So whoever stores the envelope calls
   * `requireUsable` in the transaction that does.
   */
  encrypt(place: CiphertextPlace, plaintext: Secret, keyNamespace?: string | null): Promise<string>;
  /**
   * Rejects with `key_unavailable` when a key version is destroyed or its key is deleted: what it encrypted must not be stored, nobody could read it.
   * Encrypting once more then takes the key that the namespace has now. Call it with the version of an envelope (`keyVersionOf`) in the transaction
   * that stores the envelope.
   */
  requireUsable(trx: Queryable, versionId: string): Promise<void>;
  /** The secret of an envelope; `ciphertext_invalid` unless it was made for exactly this place. */
  decrypt(place: CiphertextPlace, envelope: string): Promise<Secret>;
  /** Which version encrypts for a namespace now. */
  activeVersion(keyNamespace: string | null): Promise<ActiveVersion>;
  /** The data key of a version. */
  dataKey(versionId: string): Promise<KeyObject>;
  readonly globalProvider: KeyProvider;
  /** Where the material of a key is, secrets included; not of the global key, which is configured. `ciphertext_invalid` once it was destroyed. */
  configOf(key: KeyRow): Promise<ProviderConfig>;
  /** The provider of a key, after the rules of its namespace have let it pass. It stays open, with what it has cached, until the key data changes. */
  providerOf(key: KeyRow): Promise<KeyProvider>;
  /** A new data key for a key, unless somebody changed the key meanwhile: then nothing happens and the answer is null. */
  addVersion(key: KeyRow, recorded?: (trx: Queryable) => Promise<void>): Promise<KeyVersionRow | null>;
  /** Looks up anew which versions are active, here; other processes notice within `activeForMs`. */
  refresh(): void;
  /** Drops the data keys and the open providers as well, here: after their material was destroyed. */
  forget(): void;
}

/** Where the provider of a key is stored. */
export function keyDataPlace(key: Pick<KeyRow, 'id' | 'namespace'>): CiphertextPlace {
  return { table: 'encryption_keys', column: 'key_data', row: key.id, namespace: key.namespace };
}

const HELD_KEYS = 10_000;
const HELD_NAMESPACES = 10_000;
const PROVIDER_TIMEOUT_MS = 30_000;
const ROTATION_ATTEMPTS = 8;

/** Opens a keyring. Reads nothing yet. */
export function openKeyring(options: KeyringOptions): Keyring {
  const { database, globalKey, rules = DEFAULT_PROVIDER_RULES, env = process.env, now = Date.now } = options;
  const { activeForMs = 10_000, holdKeysMs = 3_600_000, messageLimit = 2 ** 31, messageBlock = 2 ** 16 } = options;
  const { db } = database;
  const dataKeys = new LRUCache<string, Promise<KeyObject>>({ max: HELD_KEYS, ttl: holdKeysMs });
  const active = new LRUCache<string, { readonly version: Promise<ActiveVersion>; readonly until: number }>({ max: HELD_NAMESPACES });
  const reserved = new LRUCache<string, { left: number }>({ max: HELD_KEYS });
  const reservations = new Map<string, Promise<void>>();
  const globalProvider = withPrevious(
    openProvider(globalKey.current, { env }),
    (globalKey.previous ?? []).map((previous) => openProvider(previous, { env })),
  );

  const providers = createHeldProviders({ configOf, rules, env, heldForMs: holdKeysMs });

  async function configOf(key: KeyRow): Promise<ProviderConfig> {
    if (key.key_data === null) throw ciphertextInvalid('Its key was destroyed.');
    return parseProviderConfig(JSON.parse((await decrypt(keyDataPlace(key), key.key_data)).reveal()));
  }

  async function providerOf(key: KeyRow): Promise<KeyProvider> {
    return key.id === GLOBAL_KEY ? globalProvider : await providers.of(key);
  }

  async function loadDataKey(id: string): Promise<KeyObject> {
    const version = await findVersion(db, id);
    const key = version === null ? null : await findKeyOrDeleted(db, version.key_id);
    if (version === null || key === null) throw ciphertextInvalid('It names a key version that does not exist.');
    if (version.wrapped === null) throw ciphertextInvalid('Its key was destroyed.');
    const provider = await providerOf(key);
    return provider.unwrap(parseWrappedKey(version.wrapped), id, AbortSignal.timeout(PROVIDER_TIMEOUT_MS));
  }

  /** One load for all who ask at once; a load that failed is not remembered. */
  function dataKey(id: string): Promise<KeyObject> {
    const held = dataKeys.get(id);
    if (held !== undefined) return held;
    const loading = loadDataKey(id);
    dataKeys.set(id, loading);
    loading.catch(() => {
      if (dataKeys.peek(id) === loading) dataKeys.delete(id);
    });
    return loading;
  }

  async function findActive(keyNamespace: string | null): Promise<ActiveVersion> {
    const keyId = keyNamespace === null ? GLOBAL_KEY : await resolveKeyId(db, keyNamespace);
    const [key, version] = [await findKey(db, keyId), await activeVersionOf(db, keyId)];
    if (key?.state !== 'active' || version === null) {
      throw new SallyportError('key_unavailable', {
        detail: `The key ${keyId} of ${keyNamespace ?? 'everything'} is disabled or has no active version.`,
      });
    }
    return { keyId, id: version.id };
  }

  function activeVersion(keyNamespace: string | null): Promise<ActiveVersion> {
    const slot = keyNamespace ?? '';
    const held = active.get(slot);
    if (held !== undefined && held.until > performance.now()) return held.version;
    const version = findActive(keyNamespace);
    active.set(slot, { version, until: performance.now() + activeForMs });
    version.catch(() => active.delete(slot));
    return version;
  }

  async function addVersion(key: KeyRow, recorded?: (trx: Queryable) => Promise<void>): Promise<KeyVersionRow | null> {
    const id = newId('ekv');
    const provider = await providerOf(key);
    const made = randomKey();
    const wrapped = JSON.stringify(await provider.wrap(made, id, AbortSignal.timeout(PROVIDER_TIMEOUT_MS)));
    const done = await database.transaction(async (trx) => {
      if (!(await changeKey(trx, key, {}, now()))) return null;
      const version = await insertActiveVersion(trx, { id, key_id: key.id, wrapped }, now());
      await recorded?.(trx);
      return version;
    });
    refresh();
    return done;
  }

  async function reserve({ id, keyId }: ActiveVersion): Promise<void> {
    if (await reserveMessages(db, id, messageBlock, messageLimit)) {
      reserved.set(id, { left: messageBlock });
      return;
    }
    refresh();
    const [key, current] = [await findKey(db, keyId), await activeVersionOf(db, keyId)];
    // Still the active one, so it is used up. Whoever loses the race for a new one finds the winner's at the next attempt.
    if (key?.state === 'active' && current?.id === id) await addVersion(key);
  }

  /** The version to encrypt one message with, which has been counted. */
  async function countedVersion(keyNamespace: string | null): Promise<string> {
    for (let attempt = 1; attempt <= ROTATION_ATTEMPTS; ) {
      const version = await activeVersion(keyNamespace);
      const counter = reserved.get(version.id);
      if (counter !== undefined && counter.left > 0) {
        counter.left -= 1;
        return version.id;
      }
      const waiting = reservations.get(version.id);
      if (waiting === undefined) {
        const reservation = reserve(version).finally(() => reservations.delete(version.id));
        reservations.set(version.id, reservation);
        attempt += 1;
        await reservation;
      } else {
        await waiting;
      }
    }
    throw new SallyportError('key_unavailable', { detail: 'The key of the namespace is rotated faster than it can be used.' });
  }

  async function encrypt(place: CiphertextPlace, plaintext: Secret, keyNamespace: string | null = place.namespace): Promise<string> {
    const versionId = await countedVersion(keyNamespace);
    const bytes = Buffer.from(plaintext.reveal(), 'utf8');
    const envelope = sealEnvelope(versionId, await dataKey(versionId), place, bytes);
    bytes.fill(0);
    return envelope;
  }

  async function requireUsable(trx: Queryable, versionId: string): Promise<void> {
    const version = await findVersion(trx, versionId);
    const key = version === null ? null : await findKey(trx, version.key_id);
    if (version !== null && version.wrapped !== null && key !== null) return;
    refresh();
    reserved.delete(versionId);
    dataKeys.delete(versionId);
    throw new SallyportError('key_unavailable', {
      detail: 'The key that encrypted the value was destroyed before the value was stored.',
      hint: 'Try again: the key that the namespace has now is used then.',
    });
  }

  async function decrypt(place: CiphertextPlace, text: string): Promise<Secret> {
    const envelope = parseEnvelope(text);
    const bytes = openEnvelope(envelope, await dataKey(envelope.keyVersion), place);
    const secret = new Secret(bytes.toString('utf8'));
    bytes.fill(0);
    return secret;
  }

  function refresh(): void {
    active.clear();
  }

  function forget(): void {
    refresh();
    dataKeys.clear();
    providers.clear();
  }

  return { encrypt, requireUsable, decrypt, activeVersion, dataKey, globalProvider, configOf, providerOf, addVersion, refresh, forget };
}
