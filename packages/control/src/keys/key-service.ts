import { SallyportError, Secret } from '@sallyport/sdk';
import type { AuditTrail, ChangeContext } from '../audit/audit-trail.js';
import { isUniqueViolation } from '../database/database-error.js';
import { checkVersion, type VersionCondition } from '../database/entity-tag.js';
import { newId } from '../database/ids.js';
import type { Database } from '../database/open-database.js';
import type { Page, PageRequest } from '../database/paging.js';
import type { Queryable } from '../database/schema.js';
import type { Sealer } from '../database/sealer.js';
import {
  carryLabels,
  type LabelledResource,
  type LabelParent,
  type LabelSet,
  type LabelUpdate,
  labelNew,
  labelsOf,
  unlabel,
  updateLabels,
} from '../labels/label-service.js';
import { parentOf } from '../namespaces/namespace-path.js';
import type { Namespaces } from '../namespaces/namespaces.js';
import type { Authority } from '../permissions/authority.js';
import { randomKey } from './aes-gcm.js';
import { columnUsing, type EncryptedColumns, namespaceAssigned } from './encrypted-columns.js';
import { keyVersionOf } from './envelope.js';
import { createKeyAssignments, type KeyAssignments } from './key-assignments.js';
import { type KeyFilter, listKeys, listVersions } from './key-list.js';
import { replaceMaterial, type SyncResult, syncKeys } from './key-material.js';
import { changeKey, findKey, GLOBAL_KEY, insertActiveVersion, versionsOf } from './key-store.js';
import { type KeyRow, type KeyVersionRow, keyTables } from './key-tables.js';
import { auditedKey, keyTrail } from './key-trail.js';
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
interface NewKey extends LabelUpdate {
  readonly namespace: string;
  readonly name?: string | undefined;
  readonly keyData: unknown;
}

/** What may change about a key; what is left out stays. */
interface KeyUpdate extends LabelUpdate {
  /** Null takes the name away. */
  readonly name?: string | null | undefined;
  readonly state?: 'active' | 'disabled' | undefined;
  readonly keyData?: unknown;
}

/** Keys and what they are assigned to. Every change is in the trail of administrative changes. */
export interface KeyService extends KeyAssignments {
  /**
   * A new key with its first version. The provider has wrapped and unwrapped a key before anything is saved. Rejects with `key_exists` when the
   * namespace has one of this name.
   */
  create(key: NewKey, who: ChangeContext): Promise<KeyRow>;
  /** Rejects with `key_not_found`. */
  get(id: string): Promise<KeyRow>;
  /** What the key was made of, secrets included; null for the global key and for one that was destroyed. */
  keyData(key: KeyRow): Promise<Readonly<Record<string, unknown>> | null>;
  /** In the order of their making, what the authority lets one see. Nothing that one may see at all is `permission_denied`. */
  list(request: PageRequest<KeyFilter>, authority: Authority): Promise<Page<KeyRow>>;
  /** The versions of a key, the newest first. */
  versions(id: string, request: PageRequest<Record<never, never>>): Promise<Page<KeyVersionRow>>;
  /** `precondition_failed` when the condition does not hold or somebody else was faster. New `keyData` wraps all data keys anew. */
  update(id: string, update: KeyUpdate, who: ChangeContext, condition?: VersionCondition): Promise<KeyRow>;
  /** Changes labels or annotations in a transaction of its own, and counts the version of the key up. */
  relabel(id: string, who: ChangeContext, apply: (trx: Queryable, resource: LabelledResource) => Promise<void>): Promise<void>;
  /** A new active version, which is answered; the old one retires when nothing uses it. */
  rotate(id: string, who: ChangeContext, condition?: VersionCondition): Promise<KeyVersionRow>;
  /** Rejects with `key_in_use` while a namespace or a ciphertext needs the key. Its material is destroyed later, by `purgeRetired`. */
  delete(id: string, who: ChangeContext, condition?: VersionCondition): Promise<void>;
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
  const record = keyTrail(audit);

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

  async function create({ namespace, name, keyData, labels, annotations }: NewKey, who: ChangeContext): Promise<KeyRow> {
    const id = newId('key');
    await namespaces.requireActive(db, namespace);
    const { provider, change } = await admitted({ id, namespace }, keyData);
    const versionId = newId('ekv');
    const wrapped = JSON.stringify(await provider.wrap(randomKey(), versionId, AbortSignal.timeout(PROVIDER_TIMEOUT_MS)));
    const [created_at, updated_at] = [now(), now()];
    const row: KeyRow = { id, namespace, name: name ?? null, state: 'active', ...change, version: 1, created_at, updated_at, deleted_at: null };
    await unlessTaken(() =>
      database.transaction(async (trx) => {
        await namespaces.requireActive(trx, namespace);
        await keyring.requireUsable(trx, keyVersionOf(change.key_data));
        await keyTables(trx).insertInto('encryption_keys').values(row).execute();
        await insertActiveVersion(trx, { id: versionId, key_id: id, wrapped }, now());
        await labelNew(trx, identityOf(row), parentsOf(row), { labels, annotations });
        await record(trx, who, 'create', { id, namespace, after: auditedKey(row, await carried(trx, id)) });
      }),
    );
    return row;
  }

  async function get(id: string, from: Queryable = db): Promise<KeyRow> {
    const key = await findKey(from, id);
    if (key === null) throw new SallyportError('key_not_found');
    return key;
  }

  async function keyData(key: KeyRow): Promise<Readonly<Record<string, unknown>> | null> {
    if (key.key_data === null) return null;
    const { type, ...members } = await keyring.configOf(key);
    // As it was asked for. What was made here is shown to nobody.
    if (key.provider === 'random' && type === 'base64' && 'base64' in members) {
      return { random: true, num_bytes: Buffer.from(members.base64, 'base64').length };
    }
    return members;
  }

  async function update(id: string, given: KeyUpdate, who: ChangeContext, condition?: VersionCondition): Promise<KeyRow> {
    const { name, state, keyData: data, ...labels } = given;
    const key = await changeable(id);
    checkVersion(key, condition);
    const change: Partial<KeyRow> = { ...(name === undefined ? {} : { name }), ...(state === undefined ? {} : { state }) };
    const done = await unlessTaken(() => (data === undefined ? changeRow(key, change, labels, who) : replaceKeyData(key, data, change, labels, who)));
    if (!done) throw new SallyportError('precondition_failed');
    keyring.refresh();
    return get(id);
  }

  function changeRow(key: KeyRow, change: Partial<KeyRow>, labels: LabelUpdate, who: ChangeContext): Promise<boolean> {
    return database.transaction(async (trx) => {
      const changed = await changeKey(trx, key, change, now());
      if (changed) await relabelled(trx, key, { ...key, ...change }, labels, who);
      return changed;
    });
  }

  async function replaceKeyData(key: KeyRow, data: unknown, change: Partial<KeyRow>, labels: LabelUpdate, who: ChangeContext): Promise<boolean> {
    const next = await admitted(key, data);
    const changes = { ...change, ...next.change };
    return replaceMaterial(database, keyring, key, next.provider, changes, now(), async (trx) => {
      await keyring.requireUsable(trx, keyVersionOf(next.change.key_data));
      await relabelled(trx, key, { ...key, ...changes }, labels, who);
    });
  }

  /** The labels that go with a change, and the change in the trail. */
  async function relabelled(trx: Queryable, before: KeyRow, after: KeyRow, labels: LabelUpdate, who: ChangeContext): Promise<void> {
    const { id, namespace } = before;
    const carriedBefore = await carried(trx, id);
    await updateLabels(trx, { type: 'key', id }, labels);
    if (after.name !== before.name) await carryLabels(trx, identityOf(after), parentsOf(after));
    const change = { id, namespace, before: auditedKey(before, carriedBefore), after: auditedKey(after, await carried(trx, id)) };
    await record(trx, who, 'update', change);
  }

  async function relabel(id: string, who: ChangeContext, apply: (trx: Queryable, resource: LabelledResource) => Promise<void>): Promise<void> {
    await database.transaction(async (trx) => {
      const key = await changeable(id, trx);
      const before = auditedKey(key, await carried(trx, id));
      if (!(await changeKey(trx, key, {}, now()))) throw new SallyportError('precondition_failed');
      await apply(trx, { type: 'key', id });
      await record(trx, who, 'update', { id, namespace: key.namespace, before, after: auditedKey(key, await carried(trx, id)) });
    });
  }

  async function rotate(id: string, who: ChangeContext, condition?: VersionCondition): Promise<KeyVersionRow> {
    const key = await get(id);
    checkVersion(key, condition);
    const added = await keyring.addVersion(key, (trx) => record(trx, who, 'rotate', { id, namespace: key.namespace }));
    if (added === null) throw new SallyportError('precondition_failed');
    return added;
  }

  async function remove(id: string, who: ChangeContext, condition?: VersionCondition): Promise<void> {
    await database.transaction(async (trx) => {
      const key = await changeable(id, trx);
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
      await record(trx, who, 'delete', { id, namespace: key.namespace, before: auditedKey(key, await carried(trx, id)) });
      await unlabel(trx, { type: 'key', id });
    });
    keyring.refresh();
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
      await record(trx, who, 'shred', { id: key.id, namespace, before: auditedKey(key, await carried(trx, key.id)) });
      await unlabel(trx, { type: 'key', id: key.id });
    }
    keyring.forget();
  }

  async function changeable(id: string, from: Queryable = db): Promise<KeyRow> {
    if (id === GLOBAL_KEY) throw new SallyportError('key_global');
    return get(id, from);
  }

  return {
    ...createKeyAssignments({ database, keyring, namespaces, record, now }),
    ...{ create, keyData, update, relabel, rotate, delete: remove, shred },
    get: (id) => get(id),
    list: (request, authority) => listKeys(db, options.sealer, request, authority),
    versions: async (id, request) => listVersions(db, options.sealer, (await get(id)).id, request),
    sync: (signal) => syncKeys(database, keyring, now(), signal),
  };
}

/** The members alone: how a form is recognised, whether it comes from outside or from the database, is one and the same thing. */
function storedKeyData(config: ProviderConfig): Secret {
  const { type: _type, ...members } = config;
  return new Secret(JSON.stringify(members));
}

function identityOf({ id, namespace, name }: KeyRow) {
  return { kind: 'key' as const, id, namespace, ...(name === null ? {} : { name }) };
}

function parentsOf({ namespace }: KeyRow): readonly LabelParent[] {
  return [{ kind: 'ns', id: namespace }];
}

async function carried(db: Queryable, id: string): Promise<LabelSet> {
  return (await labelsOf(db, 'key', [id])).get(id) ?? { labels: {}, annotations: {} };
}

async function unlessTaken<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw isUniqueViolation(error, 'encryption_keys', 'name') ? new SallyportError('key_exists', { cause: error }) : error;
  }
}
