import { generateKeyPairSync } from 'node:crypto';
import { createAuditTrail } from '../audit/audit-trail.js';
import type { Database } from '../database/open-database.js';
import { testSealer } from '../database/testing/databases.test.support.js';
import { createNamespaces } from '../namespaces/namespaces.js';
import { authorityOf } from '../permissions/authority.js';
import { type Permission, permissionsOf } from '../permissions/permission.js';
import type { Requester } from './actor.js';
import { createActorKeys } from './actor-keys.js';
import { createActorSources } from './actor-sources.js';
import { createActors, systemRequester } from './actors.js';

/** Everything around actors in one database, with the namespaces `root.a`, `root.a.b` and `root.team_a`. */
export async function actorStage(database: Database, now: () => number = Date.now) {
  const audit = createAuditTrail({ database, sealer: testSealer, now });
  const namespaces = createNamespaces({ database, audit, sealer: testSealer, now });
  for (const path of ['root.a.b', 'root.team_a', 'root.teamXa']) await namespaces.ensure(path, systemRequester.context);
  const deleted: string[] = [];
  const onActorDeleted = [async (_: unknown, { id }: { readonly id: string }) => void deleted.push(id)];
  const actors = createActors({ database, namespaces, audit, sealer: testSealer, onActorDeleted, now });
  const keys = createActorKeys({ database, actors, audit, sealer: testSealer, now });
  const sources = createActorSources({ database, actors, audit, now });
  return { database, audit, namespaces, actors, keys, sources, deleted };
}

/** Somebody who may do this. */
export function requester(entries: readonly Permission[], actorId = 'act_somebody'): Requester {
  return { context: { actorId }, authority: authorityOf(permissionsOf(entries)) };
}

/** A permission for everything in a namespace. */
export function all(namespace: string): Permission {
  return { namespace, resources: ['*'], verbs: ['*'] };
}

/** The public half of a new Ed25519 key, in PEM. */
export function newPublicKey(): string {
  return generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
}
