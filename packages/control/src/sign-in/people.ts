import { SallyportError } from '@sallyport/sdk';
import type { Transaction } from 'kysely';
import type { Actor } from '../actors/actor.js';
import type { ActorSources } from '../actors/actor-sources.js';
import { type Actors, systemRequester } from '../actors/actors.js';
import { isUniqueViolation } from '../database/database-error.js';
import type { Database } from '../database/open-database.js';
import { purge } from '../database/purge.js';
import type { Schema } from '../database/schema.js';
import { permissionsOf } from '../permissions/permission.js';
import type { Sessions } from '../sessions/sessions.js';
import { bindIdentity, deletedIdentities, findIdentities, type Identity, type IdentityRow, insertIdentity, markDeleted } from './identity-store.js';
import type { MappedPerson } from './role-mapping.js';

export interface PeopleOptions {
  readonly database: Database;
  readonly actors: Pick<Actors, 'find'>;
  readonly sources: Pick<ActorSources, 'define' | 'withdraw'>;
  readonly sessions: Pick<Sessions, 'endAll'>;
  readonly now?: () => number;
}

/** Which people of identity providers are which actors. */
export interface People {
  /**
   * The actor of a person, made or changed to be what the roles say. Rejects with `sign_in_actor_deleted` when it was deleted, also when somebody has
   * made another one of this name since, and with `sign_in_actor_taken` when the name is somebody else's. What else the person is here loses what `expel` takes.
   */
  enter(identity: Identity, person: MappedPerson): Promise<Actor>;
  /**
   * Takes all from a person who has no role any more: permissions, keys, tokens of this system and sessions. An actor with its name stays, and is what
   * the roles say when the person comes back with some.
   */
  expel(identity: Identity): Promise<void>;
  /** To be called in the transaction that deletes the actor. */
  readonly onActorDeleted: (trx: Transaction<Schema>, actor: Actor) => Promise<void>;
  /** Forgets for good those whose actors were deleted before this time, as the actors themselves are; they may then come in anew. */
  purge(before: number, signal?: AbortSignal): Promise<number>;
}

/** The people in this database. */
export function createPeople({ database, actors, sources, sessions, now = Date.now }: PeopleOptions): People {
  async function enter(identity: Identity, person: MappedPerson): Promise<Actor> {
    const row = await identityRow(identity, person);
    // The name is the one of the first time: neither a new e-mail address nor another claim makes somebody another actor.
    const name = { namespace: row.namespace, external_id: row.external_id };
    const there = await actors.find(name.namespace, name.external_id);
    if (row.deleted_at !== null || (row.actor_id !== null && there?.id !== row.actor_id)) throw new SallyportError('sign_in_actor_deleted');
    // The actor had been begun here and never made, and somebody made another one of this name since.
    if (row.actor_id === null && there !== undefined && there.source !== 'oidc') throw new SallyportError('sign_in_actor_taken');
    const within = permissionsOf([{ namespace: `${row.namespace}.**`, resources: ['*'], verbs: ['*'] }]);
    const actor = await defined(identity, { ...name, permissions: person.permissions, labels: person.labels }, within);
    if (row.actor_id === null) await bindIdentity(database.db, row, actor.id);
    await takeAll(identity, actor.id);
    return actor;
  }

  /** The row of the person in this namespace. It is written before the actor is made, so that an actor that was begun is always found again. */
  async function identityRow(identity: Identity, { namespace, external_id: externalId }: MappedPerson): Promise<IdentityRow> {
    const known = await findIdentity(identity, namespace);
    if (known !== undefined) return known;
    const taken = (await actors.find(namespace, externalId)) !== undefined;
    // Two browsers of one person at once: the other one may have written it, and made the actor, in between.
    const meanwhile = taken ? await findIdentity(identity, namespace) : undefined;
    if (meanwhile !== undefined) return meanwhile;
    if (taken) throw new SallyportError('sign_in_actor_taken');
    const row = { ...identity, namespace, external_id: externalId, actor_id: null, created_at: now(), deleted_at: null };
    try {
      await insertIdentity(database.db, row);
      return row;
    } catch (error) {
      const other = isUniqueViolation(error, 'sign_in_identities') ? await findIdentity(identity, namespace) : undefined;
      if (other !== undefined) return other;
      throw isUniqueViolation(error, 'sign_in_identities') ? new SallyportError('sign_in_actor_taken', { cause: error }) : error;
    }
  }

  async function findIdentity(identity: Identity, namespace: string): Promise<IdentityRow | undefined> {
    return (await findIdentities(database.db, identity)).find((row) => row.namespace === namespace);
  }

  async function defined({ issuer }: Identity, description: MappedPerson, within: ReturnType<typeof permissionsOf>): Promise<Actor> {
    try {
      return await sources.define({ ...description, issuer }, description, within, 'oidc');
    } catch (error) {
      if (error instanceof SallyportError && error.code === 'actor_not_found') throw new SallyportError('sign_in_actor_deleted', { cause: error });
      throw error;
    }
  }

  async function takeAll(identity: Identity, kept: string | undefined): Promise<void> {
    for (const { actor_id: actorId } of await findIdentities(database.db, identity)) {
      if (actorId === null || actorId === kept) continue;
      await sources.withdraw(actorId, identity.issuer);
      await sessions.endAll(actorId, systemRequester.context);
    }
  }

  return {
    enter,
    expel: (identity) => takeAll(identity, undefined),
    onActorDeleted: (trx, actor) => markDeleted(trx, actor.id, now()),
    purge: (before, signal) => purge(database, deletedIdentities, { before, ...(signal === undefined ? {} : { signal }) }),
  };
}
