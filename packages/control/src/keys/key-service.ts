import { SallyportError, Secret } from '@sallyport/sdk';
import type { AuditTrail, ChangeContext } from '../audit/audit-trail.js';
import type { AuditedFields } from '../audit/audited-fields.js';
import { checkVersion, type VersionCondition } from '../database/entity-tag.js';
import { newId } from '../database/ids.js';
import type { Database } from '../database/open-database.js';
import type { Page, PageRequest } from '../database/paging.js';
import type { Queryable } from '../database/schema.js';
import type { Sealer } from '../database/sealer.js';
import type { NamespaceScope } from '../namespaces/namespace-matcher.js';
import { lineageOf, parentOf } from '../namespaces/namespace-path.js';
import type { Namespaces } from '../namespaces/namespaces.js';
import { randomKey } from './aes-gcm.js';
import { columnUsing, type EncryptedColumns, namespaceAssigned } from './encrypted-columns.js';
import { type KeyFilter, listKeys } from './key-list.js';
import { replaceMaterial, type SyncResult, syncKeys } from './key-material.js';
import { changeKey, findKey, GLOBAL_KEY, insertActiveVersion, versionsOf } from './key-store.js';
import { type KeyRow, type KeyVersionRow, keyTables } from './key-tables.js';
import { type Keyring, keyDataPlace } from './keyring.js';
import { generateMaterial, openProvider } from './open-provider.js';
import { probeProvider } from './provider.js';
import { type ProviderConfig, parseProviderConfig } from './provider-config.js';
import { checkProviderAllowed, DEFAULT_PROVIDER_RULES, type ProviderRule } from './provider-rules.js';

export interface KeyServiceOptions {
  readonly database: Database;
  readonly keyring: Keyring;
  readonly columns: EncryptedColumns;
  /** As for the keyring. */
  readonly rules?: readonly ProviderRule[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly audit: AuditTrail;
  readonly namespaces: Pick<Namespaces, 'requireActive'>;
  /** Seals the cursors of lists. */
  readonly sealer: Sealer;
  readonly now?: () => number;
}

/** What a new key is made of. `keyData` is what came from outside: it has not been checked. */
interface NewKey {
  readonly namespace: string;
  readonly name?: string | undefined;
  readonly keyData: unknown;
}

/** What may change about a key; what is left out stays. */
interface KeyUpdate {
  readonly name?: string;
  readonly state?: 'active' | 'disabled';
  readonly keyData?: unknown;
}

interface Change {
  readonly id: string;
  readonly namespace: string;
  readonly before?: AuditedFields;
  readonly after?: AuditedFields;
}

/** Keys and what they are assigned to. Every change is in the trail of administrative changes. */
export interface KeyService {
  /** A new key with its first version. The provider has wrapped and unwrapped a key before anything is saved. */
  create(key: NewKey, who: ChangeContext): Promise<KeyRow>;
  /** Rejects with `key_not_found`. */
  get(id: string): Promise<KeyRow>;
  /** In the order of their making. `visible` is what the caller may see: what it does not contain does not exist for the caller. */
  list(request: PageRequest<KeyFilter>, visible: NamespaceScope): Promise<Page<KeyRow>>;
  /** The versions of a key, the newest first. */
  versions(id: string): Promise<readonly KeyVersionRow[]>;
  /** `precondition_failed` when the condition does not hold or somebody else was faster. New `keyData` wraps all data keys anew. */
  update(id: string, update: KeyUpdate, who: ChangeContext, condition?: VersionCondition): Promise<KeyRow>;
  /** A new active version; the old one retires when nothing uses it. */
  rotate(id: string, who: ChangeContext): Promise<void>;
  /** Rejects with `key_in_use` while a namespace or a ciphertext needs the key. Its material is destroyed later, by `purgeRetired`. */
  delete(id: string, who: ChangeContext, condition?: VersionCondition): Promise<void>;
  /** Lets a key of the namespace itself or of one above it encrypt for the namespace and what is below it. */
  assign(namespace: string, keyId: string, who: ChangeContext): Promise<void>;
  /** The namespace inherits again. */
  unassign(namespace: string, who: ChangeContext): Promise<void>;
  /** The key of the namespace itself, or null when it inherits. */
  assigned(namespace: string): Promise<string | null>;
  /** Destroys the material of all keys that live in the namespace: nothing they encrypted can be read again. Part of deleting a namespace. */
  shred(trx: Queryable, namespace: string, who: ChangeContext): Promise<void>;
  /** See `syncKeys`. */
  sync(signal: AbortSignal): Promise<SyncResult>;
}

const PROVIDER_TIMEOUT_MS = 30_000;

/** The keys in this database. */
export function createKeyService(options: KeyServiceOptions): KeyService {
  const { database, keyring, columns, rules = DEFAULT_PROVIDER_RULES, env = process.env, audit, namespaces, now = Date.now } = options;
  const { db } = database;

  async function record(trx: Queryable, who: ChangeContext, verb: string, place: Change): Promise<void> {
    const { id: resourceId, namespace, before, after } = place;
    await audit.record(trx, who, { action: `keys.${verb}`, resourceType: 'key', resourceId, namespace, before, after });
  }

  /** Checks the provider in every way, and seals it for its row. */
  async function admitted(key: Pick<KeyRow, 'id' | 'namespace'>, keyData: unknown) {
    const asked = parseProviderConfig(keyData);
    await checkProviderAllowed(rules, key.namespace, asked);
    const config = generateMaterial(asked);
    const provider = openProvider(config, { env });
    await probeProvider(provider, AbortSignal.timeout(PROVIDER_TIMEOUT_MS));
    const sealed = await keyring.encrypt(keyDataPlace(key), storedKeyData(config), parentOf(key.namespace) ?? null);
    return { provider, change: { provider: asked.type, key_data: sealed } };
  }

  async function create({ namespace, name, keyData }: NewKey, who: ChangeContext): Promise<KeyRow> {
    const id = newId('key');
    await namespaces.requireActive(db, namespace);
    const { provider, change } = await admitted({ id, namespace }, keyData);
    const versionId = newId('ekv');
    const wrapped = JSON.stringify(await provider.wrap(randomKey(), versionId, AbortSignal.timeout(PROVIDER_TIMEOUT_MS)));
    const [created_at, updated_at] = [now(), now()];
    const row: KeyRow = { id, namespace, name: name ?? null, state: 'active', ...change, version: 1, created_at, updated_at, deleted_at: null };
    await database.transaction(async (trx) => {
      await namespaces.requireActive(trx, namespace);
      await keyTables(trx).insertInto('encryption_keys').values(row).execute();
      await insertActiveVersion(trx, { id: versionId, key_id: id, wrapped }, now());
      await record(trx, who, 'create', { id, namespace, after: audited(row) });
    });
    return row;
  }

  async function get(id: string): Promise<KeyRow> {
    const key = await findKey(db, id);
    if (key === null) throw new SallyportError('key_not_found');
    return key;
  }

  async function update(id: string, { name, state, keyData }: KeyUpdate, who: ChangeContext, condition?: VersionCondition): Promise<KeyRow> {
    const key = await changeable(id);
    checkVersion(key, condition);
    const change: Partial<KeyRow> = { ...(name === undefined ? {} : { name }), ...(state === undefined ? {} : { state }) };
    const done =
      keyData === undefined
        ? await database.transaction(async (trx) => {
            const changed = await changeKey(trx, key, change, now());
            if (changed) await recordUpdate(trx, who, key, change);
            return changed;
          })
        : await replaceKeyData(key, keyData, change, who);
    if (!done) throw new SallyportError('precondition_failed');
    keyring.refresh();
    return get(id);
  }

  async function replaceKeyData(key: KeyRow, keyData: unknown, change: Partial<KeyRow>, who: ChangeContext): Promise<boolean> {
    const next = await admitted(key, keyData);
    const changes = { ...change, ...next.change };
    return replaceMaterial(database, keyring, key, next.provider, changes, now(), (trx) => recordUpdate(trx, who, key, changes));
  }

  function recordUpdate(trx: Queryable, who: ChangeContext, key: KeyRow, change: Partial<KeyRow>): Promise<void> {
    const { id, namespace } = key;
    return record(trx, who, 'update', { id, namespace, before: audited(key), after: audited({ ...key, ...change }) });
  }

  async function rotate(id: string, who: ChangeContext): Promise<void> {
    const { namespace } = await get(id);
    const done = await keyring.addVersion(await get(id), (trx) => record(trx, who, 'rotate', { id, namespace }));
    if (!done) throw new SallyportError('precondition_failed');
  }

  async function remove(id: string, who: ChangeContext, condition?: VersionCondition): Promise<void> {
    await changeable(id);
    await database.transaction(async (trx) => {
      const key = await findKey(trx, id);
      if (key === null) throw new SallyportError('key_not_found');
      checkVersion(key, condition);
      const namespace = await namespaceAssigned(trx, id);
      if (namespace !== null) throw new SallyportError('key_in_use', { detail: `The namespace ${namespace} uses this key.`, members: { namespace } });
      const versions = await versionsOf(trx, id);
      const using = await columnUsing(
        trx,
        columns,
        versions.map((version) => version.id),
      );
      if (using !== null) {
        const detail = `There are values in ${using.table}.${using.column} that only this key can read.`;
        throw new SallyportError('key_in_use', { detail, members: { table: using.table, column: using.column } });
      }
      if (!(await changeKey(trx, key, { deleted_at: now() }, now()))) throw new SallyportError('precondition_failed');
      const retired = { state: 'retired' as const, updated_at: now() };
      await keyTables(trx).updateTable('encryption_key_versions').set(retired).where('key_id', '=', id).execute();
      await record(trx, who, 'delete', { id, namespace: key.namespace, before: audited(key) });
    });
    keyring.refresh();
  }

  async function assign(namespace: string, keyId: string, who: ChangeContext): Promise<void> {
    await database.transaction(async (trx) => {
      await namespaces.requireActive(trx, namespace);
      const key = await findKey(trx, keyId);
      if (key === null) throw new SallyportError('key_not_found');
      if (!lineageOf(namespace).includes(key.namespace)) {
        const detail = `The key belongs to the namespace ${key.namespace}, which is neither ${namespace} nor above it.`;
        throw new SallyportError('key_out_of_reach', { detail });
      }
      // Counts the key's version up, so that a deletion under way at the same time notices.
      if (!(await changeKey(trx, key, {}, now()))) throw new SallyportError('precondition_failed');
      const row = { namespace, key_id: keyId, updated_at: now() };
      const insert = keyTables(trx).insertInto('namespace_encryption_keys').values(row);
      await insert.onConflict((conflict) => conflict.column('namespace').doUpdateSet({ key_id: keyId, updated_at: now() })).execute();
      await record(trx, who, 'assign', { id: keyId, namespace });
    });
    keyring.refresh();
  }

  async function unassign(namespace: string, who: ChangeContext): Promise<void> {
    await database.transaction(async (trx) => {
      const removed = await keyTables(trx)
        .deleteFrom('namespace_encryption_keys')
        .where('namespace', '=', namespace)
        .returning('key_id')
        .executeTakeFirst();
      if (removed !== undefined) await record(trx, who, 'unassign', { id: removed.key_id, namespace });
    });
    keyring.refresh();
  }

  async function assigned(namespace: string): Promise<string | null> {
    const query = keyTables(db).selectFrom('namespace_encryption_keys').select('key_id').where('namespace', '=', namespace);
    return (await query.executeTakeFirst())?.key_id ?? null;
  }

  async function shred(trx: Queryable, namespace: string, who: ChangeContext): Promise<void> {
    const tables = keyTables(trx);
    const keys = await tables.selectFrom('encryption_keys').selectAll().where('namespace', '=', namespace).where('id', '!=', GLOBAL_KEY).execute();
    await tables.deleteFrom('namespace_encryption_keys').where('namespace', '=', namespace).execute();
    for (const key of keys) {
      await tables.deleteFrom('namespace_encryption_keys').where('key_id', '=', key.id).execute();
      const destroyed = { wrapped: null, state: 'retired' as const, updated_at: now() };
      await tables.updateTable('encryption_key_versions').set(destroyed).where('key_id', '=', key.id).execute();
      const gone = { key_data: null, deleted_at: key.deleted_at ?? now(), version: key.version + 1, updated_at: now() };
      await tables.updateTable('encryption_keys').set(gone).where('id', '=', key.id).execute();
      await record(trx, who, 'shred', { id: key.id, namespace, before: audited(key) });
    }
    keyring.forget();
  }

  async function changeable(id: string): Promise<KeyRow> {
    if (id === GLOBAL_KEY) throw new SallyportError('key_global');
    return get(id);
  }

  return {
    ...{ create, get, update, rotate, delete: remove, assign, unassign, assigned, shred },
    list: (request, visible) => listKeys(db, options.sealer, request, visible),
    versions: async (id) => versionsOf(db, (await get(id)).id),
    sync: (signal) => syncKeys(database, keyring, now(), signal),
  };
}

/** The members alone: how a form is recognised, whether it comes from outside or from the database, is one and the same thing. */
function storedKeyData(config: ProviderConfig): Secret {
  const { type: _type, ...members } = config;
  return new Secret(JSON.stringify(members));
}

/** What the trail shows of a key: the provider stands for its data, whose ciphertext is different each time. */
function audited({ name, state, provider }: KeyRow): AuditedFields {
  return { name, state, provider };
}
