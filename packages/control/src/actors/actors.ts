import { SallyportError } from '@sallyport/sdk';
import type { Transaction } from 'kysely';
import { type AuditTrail, type ChangeContext, SYSTEM_ACTOR } from '../audit/audit-trail.js';
import { isUniqueViolation } from '../database/database-error.js';
import { checkVersion, type VersionCondition } from '../database/entity-tag.js';
import { newId } from '../database/ids.js';
import type { Database } from '../database/open-database.js';
import { type ListDefinition, type Page, type PageRequest, planPage, readPage } from '../database/paging.js';
import { purge, softDeleted } from '../database/purge.js';
import type { Queryable, Schema } from '../database/schema.js';
import type { Sealer } from '../database/sealer.js';
import { type LabelledResource, type LabelSet, labelNew, labelsOf, unlabel, updateLabels } from '../labels/label-service.js';
import type { OnNamespaceDestroyed } from '../namespaces/namespace-destruction.js';
import { parseNamespaceMatcher } from '../namespaces/namespace-matcher.js';
import type { Namespaces } from '../namespaces/namespaces.js';
import { type Authority, authorityOf } from '../permissions/authority.js';
import { everything, type Permission, type Permissions } from '../permissions/permission.js';
import { entriesOutside, renderPermissions, widestPermissions } from '../permissions/template.js';
import { type Actor, type ActorDescription, actorOf, type Requester } from './actor.js';
import { revokeKeysOf } from './actor-key-store.js';
import {
  type ActorConditions,
  type ActorRow,
  type ActorSource,
  endTokensOf,
  findActor,
  findActorByName,
  findActorsIn,
  insertActor,
  selectActorById,
  selectActorByName,
  selectActors,
  updateActor,
} from './actor-store.js';

/** Which actors a client wants to see. `namespace` is a matcher. */
type ActorFilter = ActorConditions & { readonly namespace?: string | undefined };

/** What others do in the transaction that deletes an actor: end its sessions, for instance. */
type OnActorDeleted = (trx: Transaction<Schema>, actor: Actor) => Promise<void>;

/** The actors. Everything here asks the requester's authority itself; what it may not see does not exist for it. */
export interface Actors {
  /** Rejects with `permission_denied`, `namespace_not_found`, `actor_exists`, `permission_outside_actor` or `grant_exceeds_granter`. */
  create(input: NewActor, by: Requester): Promise<Actor>;
  /** Rejects with `actor_not_found`, also when the requester may not read it. */
  get(id: string, by: Requester): Promise<Actor>;
  getByExternalId(namespace: string, externalId: string, by: Requester): Promise<Actor>;
  /** In pages. Nothing that the requester may see at all is `permission_denied`; what is no matcher is `namespace_path_invalid`. */
  list(request: PageRequest<ActorFilter>, by: Requester): Promise<Page<Actor>>;
  /** Maps replace the ones that are there. Rejects with `precondition_failed` when it has another version than `ifMatch` names. */
  update(id: string, changes: ActorDescription, by: Requester, ifMatch?: VersionCondition): Promise<Actor>;
  /** Changes labels or annotations in a transaction of its own; the same is checked and written down as by `update`. */
  relabel(id: string, by: Requester, apply: (trx: Queryable, resource: LabelledResource) => Promise<void>): Promise<void>;
  /** Its keys end with it. Rejects with `actor_deletes_itself`. */
  remove(id: string, by: Requester, ifMatch?: VersionCondition): Promise<void>;
  /**
   * The live actor of this name, for those who find out who is calling. One whose namespace is being deleted is none from the moment that this was
   * asked for: neither its tokens nor its keys are good any more.
   */
  find(namespace: string, externalId: string): Promise<Actor | undefined>;
  /** The same by its id. */
  findById(id: string): Promise<Actor | undefined>;
  /** In the transaction that ends what they were made with: no token that this system has made for the actor up to then is good afterwards. */
  endTokens(trx: Queryable, id: string, who: ChangeContext): Promise<void>;
  /** What an actor may do under a token that limits itself to `restriction`. */
  authority(actor: Actor, restriction?: Permissions): Authority;
  /** To be called when a namespace is destroyed: its actors are deleted with all they have, some at a time. */
  readonly onNamespaceDestroyed: OnNamespaceDestroyed;
  /** Deletes for good what was deleted before this time, and answers how many. */
  purge(before: number, signal?: AbortSignal): Promise<number>;
}

/** What a new actor is made of. */
interface NewActor extends ActorDescription {
  readonly namespace: string;
  readonly external_id: string;
  readonly source?: ActorSource;
}

export interface ActorsOptions {
  readonly database: Database;
  readonly namespaces: Pick<Namespaces, 'requireActive'>;
  readonly audit: AuditTrail;
  readonly sealer: Sealer;
  readonly onActorDeleted?: readonly OnActorDeleted[];
  readonly now?: () => number;
}

/** The list of actors. */
const actorList: ListDefinition = {
  name: 'actors',
  orders: { created_at: ['created_at', 'id'], updated_at: ['updated_at', 'id'], external_id: ['external_id', 'id'] },
  defaultOrder: 'created_at ASC',
};

/** In whose name the system itself makes changes. */
export const systemRequester: Requester = { context: { actorId: SYSTEM_ACTOR }, authority: authorityOf(everything) };

/** The actors in this database. */
export function createActors(options: ActorsOptions): Actors {
  const { database, namespaces, audit, sealer, onActorDeleted = [], now = Date.now } = options;

  async function create(input: NewActor, { context, authority }: Requester): Promise<Actor> {
    const { namespace, external_id: externalId, permissions = [], labels = {}, annotations = {}, source = 'api' } = input;
    authority.require({ namespace, resource: 'actors', verb: 'create' });
    const time = now();
    const id = newId('act');
    const row: ActorRow = {
      ...{ id, namespace, external_id: externalId, permissions: JSON.stringify(permissions), source, version: 1, token_generation: 1 },
      ...{ created_at: time, updated_at: time, deleted_at: null },
    };
    const actor = actorOf(row, { labels, annotations });
    requireGrantable(actor, authority);
    try {
      await database.transaction(async (trx) => {
        await namespaces.requireActive(trx, namespace);
        await insertActor(trx, row);
        await labelNew(trx, { kind: 'act', id, namespace }, [{ kind: 'ns', id: namespace }], { labels, annotations });
        await audit.record(trx, context, { ...changeOf(actor, 'create'), after: auditedActor(actor) });
      });
    } catch (error) {
      if (isUniqueViolation(error, 'actors')) throw new SallyportError('actor_exists', { cause: error });
      throw error;
    }
    return get(id, systemRequester);
  }

  async function get(id: string, by: Requester): Promise<Actor> {
    return visible(await withLabels(database.db, await findActor(database.db, id)), 'get', by);
  }

  async function find(namespace: string, externalId: string): Promise<Actor | undefined> {
    return withLabels(database.db, await selectActorByName(database.db, namespace, externalId).executeTakeFirst());
  }

  async function findById(id: string): Promise<Actor | undefined> {
    return withLabels(database.db, await selectActorById(database.db, id).executeTakeFirst());
  }

  async function getByExternalId(namespace: string, externalId: string, by: Requester): Promise<Actor> {
    return visible(await withLabels(database.db, await findActorByName(database.db, namespace, externalId)), 'get', by);
  }

  async function list(request: PageRequest<ActorFilter>, { authority }: Requester): Promise<Page<Actor>> {
    const plan = planPage(actorList, request, sealer);
    const { namespace, ...conditions } = plan.filter;
    if (namespace !== undefined) parseNamespaceMatcher(namespace);
    const scope = authority.scope({ resource: 'actors', verb: 'list', ...(namespace === undefined ? {} : { namespace }) });
    const page = await readPage(selectActors(database.db, scope, conditions), actorList, plan, sealer);
    const labels = await labelsOf(
      database.db,
      'act',
      page.items.map(({ id }) => id),
    );
    return { ...page, items: page.items.map((row) => actorOf(row, labels.get(row.id) ?? NO_LABELS)) };
  }

  async function update(id: string, changes: ActorDescription, by: Requester, ifMatch?: VersionCondition): Promise<Actor> {
    await database.transaction(async (trx) => {
      const row = await findActor(trx, id);
      const before = changeable(await withLabels(trx, row), 'update', by);
      if (row === undefined) throw new SallyportError('actor_not_found');
      checkVersion(row, ifMatch);
      const permissions = changes.permissions ?? before.permissions;
      const after: Actor = {
        ...before,
        permissions,
        labels: changes.labels ?? before.labels,
        annotations: changes.annotations ?? before.annotations,
      };
      // Nobody takes part in making somebody mightier than themselves, whether by permissions or by the labels that fill in the templates in them.
      requireGrantable(after, by.authority);
      await updateActor(trx, row, { permissions: JSON.stringify(permissions), updated_at: now() });
      await updateLabels(trx, { type: 'act', id }, { labels: changes.labels, annotations: changes.annotations });
      await audit.record(trx, by.context, { ...changeOf(after, 'update'), before: auditedActor(before), after: auditedActor(after) });
    });
    return get(id, systemRequester);
  }

  async function relabel(id: string, by: Requester, apply: (trx: Queryable, resource: LabelledResource) => Promise<void>): Promise<void> {
    await database.transaction(async (trx) => {
      const row = await findActor(trx, id);
      const before = changeable(await withLabels(trx, row), 'update', by);
      if (row === undefined) throw new SallyportError('actor_not_found');
      await apply(trx, { type: 'act', id });
      await updateActor(trx, row, { updated_at: now() });
      const after = (await withLabels(trx, row)) ?? before;
      requireGrantable(after, by.authority);
      await audit.record(trx, by.context, { ...changeOf(after, 'update'), before: auditedActor(before), after: auditedActor(after) });
    });
  }

  async function remove(id: string, by: Requester, ifMatch?: VersionCondition): Promise<void> {
    if (by.context.actorId === id) throw new SallyportError('actor_deletes_itself');
    await database.transaction(async (trx) => {
      const row = await findActor(trx, id);
      const actor = changeable(await withLabels(trx, row), 'delete', by);
      if (row === undefined) throw new SallyportError('actor_not_found');
      checkVersion(row, ifMatch);
      await removeRow(trx, row, actor, by.context);
    });
  }

  async function removeRow(trx: Transaction<Schema>, row: ActorRow, actor: Actor, who: ChangeContext): Promise<void> {
    const time = now();
    await updateActor(trx, row, { deleted_at: time, updated_at: time });
    await revokeKeysOf(trx, row.id, time);
    await unlabel(trx, { type: 'act', id: row.id });
    for (const hook of onActorDeleted) await hook(trx, actor);
    await audit.record(trx, who, { ...changeOf(actor, 'delete'), before: auditedActor(actor) });
  }

  const onNamespaceDestroyed: OnNamespaceDestroyed = async ({ path, trx, signal }) => {
    const rows = await findActorsIn(trx, path, DESTROYED_AT_ONCE);
    const labels = await labelsOf(
      trx,
      'act',
      rows.map(({ id }) => id),
    );
    for (const row of rows) {
      signal?.throwIfAborted();
      await removeRow(trx, row, actorOf(row, labels.get(row.id) ?? NO_LABELS), systemRequester.context);
    }
    return rows.length < DESTROYED_AT_ONCE ? 'done' : 'more';
  };

  return {
    create,
    get,
    getByExternalId,
    list,
    update,
    relabel,
    remove,
    find,
    findById,
    onNamespaceDestroyed,
    async endTokens(trx, id, who) {
      const namespace = await endTokensOf(trx, id);
      if (namespace !== undefined) await audit.record(trx, who, { action: 'actors.end_tokens', resourceType: 'actors', resourceId: id, namespace });
    },
    authority: (actor, restriction) => authorityOf(renderPermissions(actor.permissions, actor), restriction),
    purge: (before, signal) => purge(database, softDeleted('actors'), { before, ...(signal === undefined ? {} : { signal }) }),
  };
}

/** Actors of a namespace that are deleted in one transaction. */
const DESTROYED_AT_ONCE = 50;
const NO_LABELS: LabelSet = { labels: {}, annotations: {} };

async function withLabels(db: Queryable, row: ActorRow | undefined): Promise<Actor | undefined> {
  return row === undefined ? undefined : actorOf(row, (await labelsOf(db, 'act', [row.id])).get(row.id) ?? NO_LABELS);
}

/** The actor, if the requester may do this with it; `actor_not_found` otherwise, so that ids cannot be tried out. */
function visible(actor: Actor | undefined, verb: string, { authority }: Requester): Actor {
  if (actor === undefined || !authority.permits(requestFor(actor, verb))) throw new SallyportError('actor_not_found');
  return actor;
}

/** The same for a change: who may read the actor and not change it gets `permission_denied`. */
export function changeable(actor: Actor | undefined, verb: string, by: Requester): Actor {
  if (actor !== undefined && by.authority.permits(requestFor(actor, verb))) return actor;
  by.authority.require(requestFor(visible(actor, 'get', by), verb));
  throw new SallyportError('permission_denied');
}

/**
 * Fails unless everything that this actor could ever do is allowed to the one who makes it so: `permission_outside_actor`, `grant_exceeds_granter`.
 * Handing out a key to an actor is such a grant too, because who has the key is the actor.
 */
export function requireGrantable(actor: Actor, authority: Authority): void {
  const [outside] = entriesOutside(actor.permissions, actor);
  if (outside !== undefined) {
    const namespace = actor.permissions[outside]?.namespace ?? '';
    throw new SallyportError('permission_outside_actor', {
      detail: `permission namespace "${namespace}" must be at or below actor namespace "${actor.namespace}"`,
    });
  }
  authority.requireGrant(widestPermissions(actor.permissions, actor));
}

/** How a change of an actor stands in the audit trail. */
export function changeOf(
  actor: Pick<Actor, 'id' | 'namespace'>,
  verb: string,
): { action: string; resourceType: string; resourceId: string; namespace: string } {
  return { action: `actors.${verb}`, resourceType: 'actors', resourceId: actor.id, namespace: actor.namespace };
}

function requestFor({ namespace, id }: Actor, verb: string): { namespace: string; resource: string; verb: string; resource_id: string } {
  return { namespace, resource: 'actors', verb, resource_id: id };
}

function auditedActor({ namespace, external_id, permissions, labels, annotations }: Actor): { [name: string]: AuditedMember } {
  return { namespace, external_id, permissions: permissions.map(auditedPermission), labels: { ...labels }, annotations: { ...annotations } };
}

type AuditedMember = string | { readonly [name: string]: string } | readonly { readonly [name: string]: string | readonly string[] }[];

function auditedPermission(permission: Permission): { readonly [name: string]: string | readonly string[] } {
  return { ...permission };
}
