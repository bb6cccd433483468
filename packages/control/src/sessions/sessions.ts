import { createHash, randomBytes } from 'node:crypto';
import { SallyportError, Secret } from '@sallyport/sdk';
import type { Transaction } from 'kysely';
import type { Actor, Requester } from '../actors/actor.js';
import { type Actors, systemRequester } from '../actors/actors.js';
import { type AuditTrail, type ChangeContext, SYSTEM_ACTOR } from '../audit/audit-trail.js';
import { newId } from '../database/ids.js';
import type { Database } from '../database/open-database.js';
import { type ListDefinition, type Page, type PageRequest, planPage, readPage } from '../database/paging.js';
import { purge } from '../database/purge.js';
import type { Schema } from '../database/schema.js';
import type { Sealer } from '../database/sealer.js';
import type { OnNamespaceDestroyed } from '../namespaces/namespace-destruction.js';
import { ROOT } from '../namespaces/namespace-path.js';
import { entriesOf, type Permissions, permissionsOf } from '../permissions/permission.js';
import { type AuthenticatedSession, type OpenedSession, type Session, type SessionLifetimes, sessionOf } from './session.js';
import {
  deleteSession,
  endedSessions,
  findSession,
  findSessionsIn,
  findSessionsOf,
  insertSession,
  type SessionConditions,
  type SessionRow,
  selectSessions,
  sessionByDigest,
  touchSession,
} from './session-store.js';
import { xsrfTokens } from './xsrf.js';

/** Which sessions a client wants to see. `namespace` is a matcher. */
type SessionFilter = SessionConditions & { readonly namespace?: string | undefined };

/** Whose session begins, and how. */
export interface NewSession {
  readonly actor: Actor;
  /** What the token that it is made from limits itself to. The session keeps it; undefined when the token does not limit itself. */
  readonly restriction: Permissions | undefined;
  readonly service: string;
  /** `token`, or `oidc:` and the name of the provider. */
  readonly signedInBy: string;
  /** When it ends at the latest, whatever the lifetimes say. */
  readonly notAfter?: number | undefined;
  /** The session of the same browser, which ends with this, whosever it is. */
  readonly replaces?: Session | undefined;
  /** What its list entry says about the browser. */
  readonly client?: { readonly address?: string | undefined; readonly userAgent?: string | undefined } | undefined;
}

/** The sessions. */
export interface Sessions {
  /** Begins a session. Of an actor's sessions the hundred newest stay. */
  open(input: NewSession, requestId?: string): Promise<OpenedSession>;
  /**
   * The session of a cookie at this service. Undefined, never an error, for a value that is malformed, unknown, ended, of another service or of an
   * actor that is gone. Using a session moves its end on, with a write at most every twentieth of the idle lifetime.
   */
  authenticate(cookie: string | undefined, service: string): Promise<AuthenticatedSession | undefined>;
  /** Whether the session of this id has not ended. */
  lasts(id: string): Promise<boolean>;
  /** Ends it at once. One that has ended already stays so. */
  end(session: Session, who: ChangeContext): Promise<void>;
  /** In pages, those that have not ended. Nothing that the requester may see at all is `permission_denied`. */
  list(request: PageRequest<SessionFilter>, by: Requester): Promise<Page<Session>>;
  /** Those of the actor who is signed in, at all services. */
  listOwn(current: Pick<AuthenticatedSession, 'actor'>, request: PageRequest<Record<never, never>>): Promise<Page<Session>>;
  /** Ends any session. Rejects with `session_not_found`, also when the requester may not read it, or `permission_denied`. */
  revoke(id: string, by: Requester): Promise<void>;
  /** Ends one of the sessions of the actor who is signed in. Rejects with `session_not_found`. */
  revokeOwn(current: Pick<AuthenticatedSession, 'actor'>, id: string, who: ChangeContext): Promise<void>;
  /**
   * Ends all sessions of an actor, and the tokens that this system has made for it, and answers how many sessions; all or none. Rejects with `actor_not_found`, also when the requester may neither do this nor
   * read the actor, or `permission_denied`.
   */
  revokeAll(actorId: string, by: Requester): Promise<number>;
  /** The same in the name of the system, for the domains that have checked who asks. An actor that is gone has none. */
  endAll(actorId: string, who: ChangeContext): Promise<number>;
  /** To be called in the transaction that deletes the actor: its sessions end with it. */
  readonly onActorDeleted: (trx: Transaction<Schema>, actor: Actor) => Promise<void>;
  /** To be called when a namespace is destroyed: the sessions of its actors end. */
  readonly onNamespaceDestroyed: OnNamespaceDestroyed;
  /** Deletes what has ended by itself, and writes down how many that were. Answers the number. To be run every hour or so. */
  purge(signal?: AbortSignal): Promise<number>;
}

export interface SessionsOptions {
  readonly database: Database;
  readonly actors: Pick<Actors, 'get' | 'findById' | 'authority' | 'endTokens'>;
  readonly audit: AuditTrail;
  readonly sealer: Sealer;
  /** By service. */
  readonly lifetimes?: Readonly<Partial<Record<string, SessionLifetimes>>>;
  readonly now?: () => number;
}

/** The list of sessions. */
export const sessionList: ListDefinition = { name: 'sessions', orders: { created_at: ['created_at', 'id'] }, defaultOrder: 'created_at DESC' };

const HOUR = 3_600_000;
const MOST_SESSIONS = 100;
const COOKIE_BYTES = 32;
const COOKIE = /^[A-Za-z0-9_-]{43}$/;
const BATCH = 500;

/** The sessions in this database. */
export function createSessions({ database, actors, audit, sealer, lifetimes = {}, now = Date.now }: SessionsOptions): Sessions {
  for (const service of Object.keys(lifetimes)) {
    const { idleMs, absoluteMs } = lifetimesAt(service);
    if (!(idleMs >= 1000 && idleMs <= absoluteMs))
      throw new RangeError('The idle lifetime of sessions is at least a second and at most the absolute one');
  }

  function lifetimesAt(service: string): Required<SessionLifetimes> {
    return { idleMs: HOUR, absoluteMs: 12 * HOUR, ...lifetimes[service] };
  }

  function authenticated(row: SessionRow, actor: Actor, cookie: Secret): AuthenticatedSession {
    const session = sessionOf(row);
    const restriction = session.permissions === null ? undefined : permissionsOf(session.permissions);
    // The window is the idle lifetime: as long as a session lasts, the token of its last answer is good.
    const xsrf = xsrfTokens(cookie, session.id, { now: now(), windowMs: lifetimesAt(row.service).idleMs });
    return { session, actor, authority: actors.authority(actor, restriction), xsrf };
  }

  async function open(input: NewSession, requestId?: string): Promise<OpenedSession> {
    const { actor, restriction, service, signedInBy, notAfter = Number.POSITIVE_INFINITY, replaces, client = {} } = input;
    const cookie = new Secret(randomBytes(COOKIE_BYTES).toString('base64url'));
    const time = now();
    const { idleMs, absoluteMs } = lifetimesAt(service);
    const expiresAt = Math.floor(Math.min(time + absoluteMs, notAfter));
    const row: SessionRow = {
      ...{ id: newId('sess'), digest: digestOf(cookie), service, actor_id: actor.id, namespace: actor.namespace, signed_in_by: signedInBy },
      permissions: restriction === undefined ? null : JSON.stringify(entriesOf(restriction)),
      ...{ address: shortened(client.address, 64), user_agent: shortened(client.userAgent, 256) },
      ...{ created_at: time, seen_at: time, ends_at: Math.min(time + idleMs, expiresAt), expires_at: expiresAt },
    };
    const who: ChangeContext = { actorId: actor.id, requestId };
    await database.transaction(async (trx) => {
      if (replaces !== undefined) await endRow(trx, replaces, replaces.actor_id === actor.id ? 'replace' : 'conflict', who);
      for (const old of (await findSessionsOf(trx, actor.id)).slice(MOST_SESSIONS - 1)) await endRow(trx, sessionOf(old), 'replace', who);
      await insertSession(trx, row);
      await audit.record(trx, who, { ...changeOf(row, 'open'), after: audited(sessionOf(row)) });
    });
    return { ...authenticated(row, actor, cookie), cookie };
  }

  async function authenticate(value: string | undefined, service: string): Promise<AuthenticatedSession | undefined> {
    if (value === undefined || !COOKIE.test(value)) return undefined;
    const cookie = new Secret(value);
    // What the database compares is a digest, which nobody can steer towards one that is there: how long it takes tells nothing.
    const row = await sessionByDigest(database.db, digestOf(cookie)).executeTakeFirst();
    const time = now();
    if (row === undefined || row.service !== service || row.ends_at <= time) return undefined;
    const actor = await actors.findById(row.actor_id);
    if (actor === undefined) return undefined;
    const { idleMs } = lifetimesAt(service);
    if (time - row.seen_at < idleMs / 20) return authenticated(row, actor, cookie);
    const touched = { seen_at: time, ends_at: Math.min(time + idleMs, row.expires_at) };
    await touchSession(database.db, row, touched);
    return authenticated({ ...row, ...touched }, actor, cookie);
  }

  async function liveActor(id: string): Promise<Actor | undefined> {
    try {
      return await actors.get(id, systemRequester);
    } catch (error) {
      if (error instanceof SallyportError && error.code === 'actor_not_found') return undefined;
      throw error;
    }
  }

  async function endRow(trx: Transaction<Schema>, session: Session, verb: string, who: ChangeContext): Promise<void> {
    // Two that end it at once write it down once.
    if (await deleteSession(trx, session.id)) await audit.record(trx, who, { ...changeOf(session, verb), before: audited(session) });
  }

  async function list(request: PageRequest<SessionFilter>, { authority }: Requester): Promise<Page<Session>> {
    const plan = planPage(sessionList, request, sealer);
    const { namespace, ...conditions } = plan.filter;
    const scope = authority.scope({ resource: 'sessions', verb: 'list', ...(namespace === undefined ? {} : { namespace }) });
    const page = await readPage(selectSessions(database.db, scope, conditions, now()), sessionList, plan, sealer);
    return { ...page, items: page.items.map(sessionOf) };
  }

  async function listOwn({ actor }: Pick<AuthenticatedSession, 'actor'>, request: PageRequest<Record<never, never>>): Promise<Page<Session>> {
    const plan = planPage(sessionList, request, sealer);
    // The condition comes from who asks, never from the cursor.
    const page = await readPage(selectSessions(database.db, 'any', { actor_id: actor.id }, now()), sessionList, plan, sealer);
    return { ...page, items: page.items.map(sessionOf) };
  }

  async function revoke(id: string, { context, authority }: Requester): Promise<void> {
    await database.transaction(async (trx) => {
      const row = await findSession(trx, id, now());
      if (row === undefined) throw new SallyportError('session_not_found');
      if (!authority.permits(requestFor(row, 'revoke'))) {
        if (!authority.permits(requestFor(row, 'get'))) throw new SallyportError('session_not_found');
        authority.require(requestFor(row, 'revoke'));
      }
      await endRow(trx, sessionOf(row), 'revoke', context);
    });
  }

  async function revokeOwn({ actor }: Pick<AuthenticatedSession, 'actor'>, id: string, who: ChangeContext): Promise<void> {
    await database.transaction(async (trx) => {
      const row = await findSession(trx, id, now());
      if (row?.actor_id !== actor.id) throw new SallyportError('session_not_found');
      await endRow(trx, sessionOf(row), 'revoke', who);
    });
  }

  async function revokeAll(actorId: string, by: Requester): Promise<number> {
    const actor = await liveActor(actorId);
    if (actor === undefined) throw new SallyportError('actor_not_found');
    // Asked before it is known whether there is a session: who may not revoke does not learn that either.
    const asked = { namespace: actor.namespace, resource: 'sessions', verb: 'revoke' };
    if (!by.authority.permits(asked)) {
      await actors.get(actorId, by);
      by.authority.require(asked);
    }
    return endAll(actorId, by.context);
  }

  async function endAll(actorId: string, who: ChangeContext): Promise<number> {
    return database.transaction(async (trx) => {
      await actors.endTokens(trx, actorId, who);
      const rows = await findSessionsOf(trx, actorId);
      for (const row of rows) await endRow(trx, sessionOf(row), 'revoke', who);
      return rows.length;
    });
  }

  async function purgeEnded(signal?: AbortSignal): Promise<number> {
    const deleted = await purge(database, endedSessions, { before: now(), ...(signal === undefined ? {} : { signal }) });
    if (deleted > 0) {
      const change = { action: 'sessions.purge', resourceType: 'sessions', resourceId: '*', namespace: ROOT, after: { deleted } };
      await database.transaction((trx) => audit.record(trx, { actorId: SYSTEM_ACTOR }, change));
    }
    return deleted;
  }

  return {
    open,
    authenticate,
    lasts: async (id) => (await findSession(database.db, id, now())) !== undefined,
    end: (session, who) => database.transaction((trx) => endRow(trx, session, 'terminate', who)),
    list,
    listOwn,
    revoke,
    revokeOwn,
    revokeAll,
    endAll,
    async onActorDeleted(trx, actor) {
      for (const row of await findSessionsOf(trx, actor.id)) await endRow(trx, sessionOf(row), 'revoke', systemRequester.context);
    },
    async onNamespaceDestroyed({ path, trx }) {
      const rows = await findSessionsIn(trx, path, BATCH);
      for (const row of rows) await endRow(trx, sessionOf(row), 'revoke', systemRequester.context);
      return rows.length < BATCH ? 'done' : 'more';
    },
    purge: purgeEnded,
  };
}

/** SHA-256, and no more: the value is random, so nobody can try what it was. */
function digestOf(cookie: Secret): string {
  return createHash('sha256').update(cookie.reveal()).digest('base64url');
}

/** A text of a client as a list may show it: short, in one line, and storable. */
function shortened(text: string | undefined, most: number): string | null {
  return text === undefined
    ? null
    : text
        .toWellFormed()
        .replace(/\p{Cc}/gu, ' ')
        .slice(0, most)
        .toWellFormed();
}

function changeOf({ id, namespace }: Pick<Session, 'id' | 'namespace'>, verb: string) {
  return { action: `sessions.${verb}`, resourceType: 'sessions', resourceId: id, namespace };
}

function audited({ actor_id, service, signed_in_by, address, created_at, expires_at }: Session) {
  return { actor_id, service, signed_in_by, address, created_at, expires_at };
}

function requestFor({ namespace, id }: Pick<Session, 'id' | 'namespace'>, verb: string) {
  return { namespace, resource: 'sessions', verb, resource_id: id };
}
