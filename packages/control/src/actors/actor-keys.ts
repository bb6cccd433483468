import { SallyportError } from '@sallyport/sdk';
import type { AuditTrail } from '../audit/audit-trail.js';
import { isUniqueViolation } from '../database/database-error.js';
import { newId } from '../database/ids.js';
import type { Database } from '../database/open-database.js';
import { type ListDefinition, type Page, type PageRequest, planPage, readPage } from '../database/paging.js';
import type { Sealer } from '../database/sealer.js';
import type { Actor, Requester } from './actor.js';
import {
  type ActorKeyRow,
  expireActorKeys,
  findActorKey,
  findKeysOfName,
  findUsableKeys,
  forgetEndedKeys,
  insertActorKey,
  revokeActorKey,
  selectActorKeys,
} from './actor-key-store.js';
import { type Actors, changeable, changeOf, requireGrantable } from './actors.js';
import { type PublicAlgorithm, type PublicKey, parsePublicKey } from './public-key.js';

/** A public key that an actor signs its tokens with. Times in milliseconds since 1970. */
interface ActorKey {
  readonly id: string;
  readonly thumbprint: string;
  readonly algorithm: PublicAlgorithm;
  readonly jwk: Readonly<Record<string, string>>;
  readonly name: string | null;
  readonly created_at: number;
  /** From then on it verifies nothing. */
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
}

/** A key to add: an OpenSSH line, PEM or JWK, as text. */
interface NewActorKey {
  readonly public_key: string;
  readonly name?: string;
  readonly expires_at?: number;
  /** Ends the other keys this many seconds from now, so that both are good for a while. */
  readonly expire_others_after?: number;
}

/** The keys of actors. */
export interface ActorKeys {
  /** In pages, the oldest first, also those that have ended. */
  list(actorId: string, request: PageRequest<object>, by: Requester): Promise<Page<ActorKey>>;
  /**
   * Adds a key, or rotates to it. Who adds a key can act as the actor, so the requester has to hold all that the actor may ever do:
   * `grant_exceeds_granter`. Rejects with `actor_key_invalid` or `actor_key_exists`, also for a key that was revoked; of more keys than are kept,
   * those that ended longest ago are forgotten. A person of an identity provider has no keys (`actor_key_not_allowed`): they would outlive the roles.
   */
  add(actorId: string, key: NewActorKey, by: Requester): Promise<ActorKey>;
  /**
   * Ends a key at once, and with it the tokens that this system has made for the actor. A key that has ended already stays as it is. Rejects with
   * `actor_key_not_found`.
   */
  revoke(actorId: string, keyId: string, by: Requester): Promise<void>;
  /** The keys that are good now, for verifying. None when there is no such actor. */
  usable(actor: { readonly namespace: string; readonly external_id: string }): Promise<readonly PublicKey[]>;
}

export interface ActorKeysOptions {
  readonly database: Database;
  readonly actors: Actors;
  readonly audit: AuditTrail;
  readonly sealer: Sealer;
  readonly now?: () => number;
}

/** The most keys that are good at one time. */
const MOST_KEYS = 16;
/** The most rows of one actor, with those that have ended. */
const MOST_ROWS = 256;

const actorKeyList: ListDefinition = { name: 'actor_keys', orders: { created_at: ['created_at', 'id'] }, defaultOrder: 'created_at ASC' };

/** The keys of actors in this database. */
export function createActorKeys({ database, actors, audit, sealer, now = Date.now }: ActorKeysOptions): ActorKeys {
  // Reading is not changing: who may change an actor but not read it cannot learn its keys.
  const owner = async (actorId: string, by: Requester): Promise<Actor> => changeable(await actors.findById(actorId), 'update', by);

  async function list(actorId: string, request: PageRequest<object>, by: Requester): Promise<Page<ActorKey>> {
    const { id } = await actors.get(actorId, by);
    // The actor stands in the filter, so that a cursor of one actor is refused at another.
    const plan = planPage(actorKeyList, { ...request, filter: { actor: id } }, sealer);
    const page = await readPage(selectActorKeys(database.db, id), actorKeyList, plan, sealer);
    return { ...page, items: page.items.map(keyOf) };
  }

  async function add(actorId: string, input: NewActorKey, by: Requester): Promise<ActorKey> {
    const actor = await owner(actorId, by);
    if (actor.source === 'oidc') throw new SallyportError('actor_key_not_allowed');
    requireGrantable(actor, by.authority);
    const row = keyRow(actorId, await parsePublicKey(input.public_key), 'api', now());
    const named: ActorKeyRow = { ...row, name: input.name ?? null, expires_at: input.expires_at ?? null };
    try {
      await database.transaction(async (trx) => {
        const others = await findUsableKeys(trx, actorId, now());
        if (others.length >= MOST_KEYS) throw new SallyportError('actor_key_invalid', { detail: `An actor has at most ${MOST_KEYS} keys` });
        await forgetEndedKeys(trx, actorId, now(), MOST_ROWS - 1);
        await insertActorKey(trx, named);
        if (input.expire_others_after !== undefined) {
          await expireActorKeys(
            trx,
            others.map(({ id }) => id),
            now() + input.expire_others_after * 1000,
          );
        }
        await audit.record(trx, by.context, { ...changeOf(actor, 'add_key'), after: { key: row.id, thumbprint: row.thumbprint } });
      });
    } catch (error) {
      if (isUniqueViolation(error, 'actor_keys')) throw new SallyportError('actor_key_exists', { cause: error });
      throw error;
    }
    return keyOf(named);
  }

  async function revoke(actorId: string, keyId: string, by: Requester): Promise<void> {
    const actor = await owner(actorId, by);
    await database.transaction(async (trx) => {
      const key = await findActorKey(trx, actorId, keyId);
      if (key === undefined) throw new SallyportError('actor_key_not_found');
      await revokeActorKey(trx, keyId, now());
      // Which key stood behind a token is not known: whoever had this one may have made any of them.
      await actors.endTokens(trx, actorId, by.context);
      await audit.record(trx, by.context, { ...changeOf(actor, 'revoke_key'), before: { key: keyId, thumbprint: key.thumbprint } });
    });
  }

  return {
    list,
    add,
    revoke,
    async usable({ namespace, external_id: externalId }) {
      return (await findKeysOfName(database.db, namespace, externalId, now())).map(keyOf);
    },
  };
}

/** A new row for a key. */
export function keyRow(actorId: string, key: PublicKey, source: string, time: number): ActorKeyRow {
  return {
    ...{ id: newId('akey'), actor_id: actorId, thumbprint: key.thumbprint, algorithm: key.algorithm, jwk: JSON.stringify(key.jwk) },
    ...{ name: null, source, created_at: time, expires_at: null, revoked_at: null },
  };
}

function keyOf({ actor_id: _, source: __, ...row }: ActorKeyRow): ActorKey {
  // Both were written by ourselves, after the key had been looked at.
  return { ...row, algorithm: row.algorithm as PublicAlgorithm, jwk: JSON.parse(row.jwk) as Readonly<Record<string, string>> };
}
