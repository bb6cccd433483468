import { systemRequester } from '../actors/actors.js';
import { actorStage } from '../actors/actors.test.support.js';
import type { Database } from '../database/open-database.js';
import { testSealer } from '../database/testing/databases.test.support.js';
import type { Permission, Permissions } from '../permissions/permission.js';
import type { SessionLifetimes } from './session.js';
import { createSessions, type NewSession } from './sessions.js';

const NOON = 1_800_000_000_000;

/** Sessions over actors, and a clock that the test moves. `ada` and `bob` may do what `permissions` say in their namespace. */
export async function sessionStage(database: Database, lifetimes: SessionLifetimes = {}) {
  const clock = { now: NOON };
  const now = () => clock.now;
  const stage = await actorStage(database, now);
  const sessions = createSessions({
    database,
    actors: stage.actors,
    audit: stage.audit,
    sealer: testSealer,
    lifetimes: { public: lifetimes, 'admin-api': lifetimes },
    now,
  });
  const permissions: readonly Permission[] = [{ namespace: '{{namespace}}', resources: ['connections'], verbs: ['get', 'list', 'proxy'] }];
  const newActor = (external_id: string, namespace = 'root.a') => stage.actors.create({ namespace, external_id, permissions }, systemRequester);
  const ada = await newActor('ada');
  const bob = await newActor('bob');
  const open = (input: Partial<NewSession> = {}) =>
    sessions.open({ actor: ada, restriction: undefined, service: 'public', signedInBy: 'token', ...input }, 'req_1');
  const actions = async (): Promise<readonly string[]> => {
    const events = await stage.audit.list({ filter: { resource_type: 'sessions' } }, [{ path: 'root', subtree: true }]);
    return events.items.map(({ action }) => action).reverse();
  };
  return { ...stage, sessions, clock, ada, bob, open, actions, newActor };
}

/** What a session may do that is limited to reading. */
export const readOnly: Permissions = { kind: 'some', entries: [{ namespace: 'root.**', resources: ['*'], verbs: ['get'] }] };

/** Somebody who may do everything. */
export const operator = { context: { actorId: 'act_operator' }, authority: systemRequester.authority };
