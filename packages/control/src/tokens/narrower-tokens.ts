import { SallyportError } from '@sallyport/sdk';
import type { Actor } from '../actors/actor.js';
import type { AuditTrail, ChangeContext } from '../audit/audit-trail.js';
import type { Database } from '../database/open-database.js';
import { covers } from '../permissions/algebra.js';
import type { Authority } from '../permissions/authority.js';
import { entriesOf, permissionsOf } from '../permissions/permission.js';
import type { MintToken } from './mint-token.js';

/** Who asks for a narrower token, and what bounds it. */
export interface Grantor {
  readonly actor: Actor;
  /** What is left to the caller under its own token or session. */
  readonly authority: Authority;
  /** The services that its own token or session is for. */
  readonly audiences: readonly string[];
  /** The id of the session that it is made in, by a token of that session too: it ends with it. */
  readonly session: string | undefined;
  /**
   * Seconds since 1970: nothing that is made outlives it, and all of it says what it is limited to. Undefined only for what an actor has signed for
   * itself, without limits, to be used more than once: whoever holds that holds the key, and what is made ends when the key is revoked.
   */
  readonly notAfter: number | undefined;
}

type Minting = Parameters<MintToken>[0];

/** What actors make for their agents. */
export interface NarrowerTokens {
  /**
   * A narrower token for the caller's own actor, as for an agent: down to single connections, methods and paths. It is in the audit trail before it
   * is handed out. Rejects with `token_request_invalid`, and with `grant_exceeds_granter` when it would allow more than the caller's own token or
   * session, or another service; what anything but a key of the actor makes does not outlive it, and neither does what that makes.
   */
  narrow(caller: Grantor, content: Omit<Minting, 'actor' | 'session' | 'notAfter'>, who: ChangeContext): ReturnType<MintToken>;
}

export interface NarrowerTokensOptions {
  readonly database: Database;
  readonly audit: Pick<AuditTrail, 'record'>;
  readonly mint: MintToken;
}

/** Tokens of this mint, written down in this database. */
export function createNarrowerTokens({ database, audit, mint }: NarrowerTokensOptions): NarrowerTokens {
  return {
    async narrow({ actor, authority, audiences, session, notAfter }, content, who) {
      // A token for one service must not become one for another.
      if (content.audiences.some((audience) => !audiences.includes(audience))) {
        throw new SallyportError('grant_exceeds_granter', {
          detail: 'A token is for no service that the token or the session it is asked with is not for',
        });
      }
      // Who is limited and asks for no limit asks for its own.
      const permissions = content.permissions ?? (notAfter === undefined ? undefined : entriesOf(authority.permissions));
      if (permissions !== undefined && !covers(authority.permissions, permissionsOf(permissions))) throw new SallyportError('grant_exceeds_granter');
      const minted = await mint({ ...content, actor, session, notAfter, permissions });
      await database.transaction((trx) =>
        audit.record(trx, who, {
          ...{ action: 'tokens.create', resourceType: 'tokens', resourceId: minted.jti, namespace: actor.namespace },
          after: {
            ...{ actor_id: actor.id, session_id: session, audiences: content.audiences, lifetime: content.lifetime, expires: minted.expires },
            single_use: content.singleUse ?? false,
            permissions: permissions?.map((permission) => ({ ...permission })) ?? null,
          },
        }),
      );
      return minted;
    },
  };
}
