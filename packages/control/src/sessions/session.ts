import type { Secret } from '@sallyport/sdk';
import type { Actor } from '../actors/actor.js';
import type { Authority } from '../permissions/authority.js';
import type { Permission } from '../permissions/permission.js';
import type { SessionRow } from './session-store.js';
import type { XsrfTokens } from './xsrf.js';

/** Somebody signed in to one service with one browser. Times in milliseconds since 1970. */
export interface Session {
  readonly id: string;
  /** Good at this service and at no other. */
  readonly service: string;
  readonly actor_id: string;
  readonly namespace: string;
  /** What the token that it was made from limited itself to; null when it did not. An empty list is «nothing». */
  readonly permissions: readonly Permission[] | null;
  /** `token`, or `oidc:` and the name of the provider. */
  readonly signed_in_by: string;
  readonly address: string | null;
  readonly user_agent: string | null;
  readonly created_at: number;
  /** When it was last used, give or take a twentieth of the idle lifetime. */
  readonly seen_at: number;
  /** When it ends if it is not used again. */
  readonly ends_at: number;
  /** When it ends however much it is used. */
  readonly expires_at: number;
}

/** The session of a request: who it is and what they may do, never more than the token allowed that the session was made from. */
export interface AuthenticatedSession {
  readonly session: Session;
  readonly actor: Actor;
  readonly authority: Authority;
  readonly xsrf: XsrfTokens;
}

/** A session that has just begun, and what its browser is told. */
export interface OpenedSession extends AuthenticatedSession {
  /** The value of the cookie. It is nowhere else; who has it has the session. */
  readonly cookie: Secret;
}

/** A row as a session. What could help somebody else to the session stays behind. */
export function sessionOf({ digest: _, permissions, ...rest }: SessionRow): Session {
  // Written by ourselves, after it was read with the schema.
  return { ...rest, permissions: permissions === null ? null : (JSON.parse(permissions) as readonly Permission[]) };
}

/** The lifetimes of the sessions of one service, in milliseconds. */
export interface SessionLifetimes {
  /** How long it lasts without being used. One hour when left out. */
  readonly idleMs?: number;
  /** How long it lasts at most. Twelve hours when left out. */
  readonly absoluteMs?: number;
}
