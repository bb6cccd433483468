import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SallyportError } from '@sallyport/sdk';
import type { AuditTrail, ChangeContext } from '../audit/audit-trail.js';
import { canonicalJson } from '../database/canonical-json.js';
import type { Database } from '../database/open-database.js';
import { isReservedKey } from '../labels/label-grammar.js';
import { authorityOf } from '../permissions/authority.js';
import { type Permission, type Permissions, permissionsOf } from '../permissions/permission.js';
import { type Actor, type ActorDescription, readActorDescription } from './actor.js';
import { deleteActorKeys, findActorKeys, insertActorKey, revokeKeysOf } from './actor-key-store.js';
import { keyRow } from './actor-keys.js';
import { findActor, findActorsOf, updateActor, wasDeleted } from './actor-store.js';
import { type Actors, changeOf, systemRequester } from './actors.js';
import { type PublicKey, parsePublicKeys } from './public-key.js';

/** An actor as the configuration or a key directory has it. */
export interface DeclaredActor extends ActorDescription {
  readonly namespace: string;
  readonly external_id: string;
  /** OpenSSH lines, PEM or a JWK. */
  readonly public_keys: string;
}

/** What a synchronisation did. */
interface SyncResult {
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  /** Actors of this name that another source has; they are left alone. */
  readonly conflicts: readonly string[];
}

export interface ActorSourcesOptions {
  readonly database: Database;
  readonly actors: Actors;
  readonly audit: AuditTrail;
  readonly now?: () => number;
}

/** The ways besides the API that actors come by. */
export interface ActorSources {
  /**
   * Makes the actors of a source what is declared: new ones are created, changed ones updated, those that are gone deleted; those of other sources are
   * never touched. All keys are read before anything is written: one that is wrong changes nothing.
   */
  sync(source: 'config' | 'key_directory', declared: readonly DeclaredActor[]): Promise<SyncResult>;
  /**
   * The actor of a token, or of a person whom an identity provider vouches for, that comes with a description of it: created or changed if need be,
   * never with more permissions than `within`. An actor that was deleted stays deleted (`actor_not_found`), and one of another source stays as it is,
   * but for a token, which also changes what was made by API. In the audit trail the change stands as that of `issuer:ISSUER`.
   */
  define(
    name: { readonly namespace: string; readonly external_id: string; readonly issuer: string },
    description: unknown,
    within: Permissions,
    source: 'token' | 'oidc',
  ): Promise<Actor>;
  /**
   * Takes all from an actor that an identity provider had vouched for, and does not any more: its permissions, its keys, and the tokens that this system
   * has made for it. An actor of another source stays as it is.
   */
  withdraw(id: string, issuer: string): Promise<void>;
}

/** The sources of actors in this database. */
export function createActorSources({ database, actors, audit, now = Date.now }: ActorSourcesOptions): ActorSources {
  async function setKeys(actor: Actor, keys: readonly PublicKey[], source: string): Promise<boolean> {
    return database.transaction(async (trx) => {
      const there = await findActorKeys(trx, actor.id);
      const gone = there.filter((row) => row.source === source && !keys.some(({ thumbprint }) => thumbprint === row.thumbprint));
      const added = keys.filter(({ thumbprint }) => !there.some((row) => row.thumbprint === thumbprint));
      if (gone.length + added.length === 0) return false;
      await deleteActorKeys(
        trx,
        gone.map(({ id }) => id),
      );
      // As when a key is revoked.
      if (gone.length > 0) await actors.endTokens(trx, actor.id, systemRequester.context);
      for (const key of added) await insertActorKey(trx, keyRow(actor.id, key, source, now()));
      const change = { before: { removed: gone.map((row) => row.thumbprint) }, after: { added: added.map((key) => key.thumbprint) } };
      await audit.record(trx, systemRequester.context, { ...changeOf(actor, 'set_keys'), ...change });
      return true;
    });
  }

  async function sync(source: 'config' | 'key_directory', declared: readonly DeclaredActor[]): Promise<SyncResult> {
    const wanted = await Promise.all(declared.map(async (entry) => ({ entry, keys: await parsePublicKeys(entry.public_keys) })));
    const result = { created: 0, updated: 0, deleted: 0, conflicts: [] as string[] };
    const kept = new Set<string>();
    for (const { entry, keys } of wanted) {
      const { public_keys: _, ...description } = entry;
      const known = await actors.find(entry.namespace, entry.external_id);
      if (known !== undefined && known.source !== source) {
        result.conflicts.push(`${entry.namespace} ${entry.external_id}`);
        continue;
      }
      const actor = known ?? (await actors.create({ ...description, source }, systemRequester));
      kept.add(actor.id);
      const changed = known !== undefined && differs(known, description);
      if (changed) await actors.update(known.id, description, systemRequester);
      const rekeyed = await setKeys(actor, keys, source);
      if (known === undefined) result.created += 1;
      else if (changed || rekeyed) result.updated += 1;
    }
    for (const { id } of await findActorsOf(database.db, source)) {
      if (kept.has(id)) continue;
      await actors.remove(id, systemRequester);
      result.deleted += 1;
    }
    return result;
  }

  async function define(
    name: { namespace: string; external_id: string; issuer: string },
    input: unknown,
    within: Permissions,
    source: 'token' | 'oidc',
  ): Promise<Actor> {
    const description = readActorDescription(input);
    if (description.external_id !== name.external_id || description.namespace !== name.namespace) {
      throw new SallyportError('actor_invalid', { detail: 'The actor that is described is not the one that it is said of' });
    }
    const known = await actors.find(name.namespace, name.external_id);
    const managed = known !== undefined && known.source !== source && !(source === 'token' && known.source === 'api');
    if (known !== undefined && (managed || !differs(known, description))) return known;
    // The issuer grants: what it may not hand out it cannot put into a token either. To make and to change actors is what it is trusted with.
    const powers: Permission = { namespace: `${name.namespace}.**`, resources: ['actors'], verbs: ['create', 'update', 'get'] };
    const requester = {
      context: contextOf(name.issuer),
      authority: { ...authorityOf(permissionsOf([powers])), requireGrant: authorityOf(within).requireGrant },
    };
    if (known !== undefined) return actors.update(known.id, description, requester);
    if (await wasDeleted(database.db, name.namespace, name.external_id)) throw new SallyportError('actor_not_found');
    try {
      return await actors.create({ ...description, source }, requester);
    } catch (error) {
      // Two first tokens at once: the other one has made it.
      const made = error instanceof SallyportError && error.code === 'actor_exists' ? await actors.find(name.namespace, name.external_id) : undefined;
      if (made === undefined) throw error;
      return made;
    }
  }

  async function withdraw(id: string, issuer: string): Promise<void> {
    await database.transaction(async (trx) => {
      const row = await findActor(trx, id);
      if (row === undefined || row.source !== 'oidc') return;
      const revoked = await revokeKeysOf(trx, id, now());
      const permissions = (JSON.parse(row.permissions) as readonly Permission[]).map((entry) => ({ ...entry }));
      if (revoked === 0 && permissions.length === 0) return;
      await updateActor(trx, row, { permissions: '[]', updated_at: now() });
      await actors.endTokens(trx, id, contextOf(issuer));
      const change = { before: { permissions }, after: { permissions: [], revoked_keys: revoked } };
      await audit.record(trx, contextOf(issuer), { ...changeOf(row, 'withdraw'), ...change });
    });
  }

  return { sync, define, withdraw };
}

/** Whoever vouches for an actor makes the change. */
function contextOf(issuer: string): ChangeContext {
  return { actorId: `issuer:${issuer}` };
}

/** The actors of a directory of public keys: each file `NAME.pub` is the actor NAME with the keys in it. Other files are not looked at. */
export async function readKeyDirectory(folder: string, namespace: string, permissions: readonly Permission[]): Promise<readonly DeclaredActor[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.pub') && name.length > '.pub'.length).sort();
  const found: DeclaredActor[] = [];
  for (const name of names) {
    const file = join(folder, name);
    const { size } = await stat(file);
    if (size > LARGEST_FILE) throw new SallyportError('actor_key_invalid', { detail: `${file} is larger than ${LARGEST_FILE} bytes` });
    found.push({ namespace, external_id: name.slice(0, -'.pub'.length), permissions, public_keys: await readFile(file, 'utf8') });
  }
  return found;
}

const LARGEST_FILE = 16 * 1024;

function differs(actor: Actor, description: ActorDescription): boolean {
  const { permissions, labels, annotations } = description;
  const own = Object.fromEntries(Object.entries(actor.labels).filter(([key]) => !isReservedKey(key)));
  return (
    (permissions !== undefined && JSON.stringify(permissions) !== JSON.stringify(actor.permissions)) ||
    (labels !== undefined && canonicalJson(labels) !== canonicalJson(own)) ||
    (annotations !== undefined && canonicalJson(annotations) !== canonicalJson({ ...actor.annotations }))
  );
}
