import { expect, test } from 'vitest';
import { systemRequester } from '../actors/actors.js';
import { all } from '../actors/actors.test.support.js';
import type { Database } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { sessionStage } from '../sessions/sessions.test.support.js';
import { createPeople } from './people.js';

const identity = { issuer: 'https://idp.example', subject: 'u1' };
const ada = { namespace: 'root.a', external_id: 'corp_ada', permissions: [all('root.a.**')], labels: {} };

async function peopleStage(database: Database) {
  const stage = await sessionStage(database);
  const people = createPeople({ database, actors: stage.actors, sources: stage.sources, sessions: stage.sessions, now: () => stage.clock.now });
  return { ...stage, people };
}

describeOnBoth('people without a role', (databases) => {
  test('have no permissions, no tokens and no sessions any more, and are who they were when they come back', async () => {
    const database = await databases.open();
    const { people, actors, sessions, audit } = await peopleStage(database);
    const actor = await people.enter(identity, ada);
    const { cookie } = await sessions.open({ actor, restriction: undefined, service: 'public', signedInBy: 'oidc:corp' }, 'req_1');
    expect(actors.authority(actor).permits({ namespace: 'root.a', resource: 'actors', verb: 'get' })).toBe(true);

    await people.expel(identity);
    const expelled = await actors.get(actor.id, systemRequester);
    expect(expelled.permissions).toEqual([]);
    expect(actors.authority(expelled).permissions).toEqual({ kind: 'nothing' });
    expect(expelled.token_generation).not.toBe(actor.token_generation);
    expect(await sessions.authenticate(cookie.reveal(), 'public')).toBeUndefined();
    const trail = await audit.list({ filter: { resource_id: actor.id, action: 'actors.withdraw' } }, [{ path: 'root', subtree: true }]);
    expect(trail.items).toMatchObject([{ actorId: 'issuer:https://idp.example', after: { permissions: [], revoked_keys: 0 } }]);

    await people.expel(identity);
    expect((await actors.get(actor.id, systemRequester)).version).toBe(expelled.version);
    const back = await people.enter(identity, ada);
    expect(back).toMatchObject({ id: actor.id, permissions: ada.permissions });
  });

  test('lose what they were elsewhere when the roles move them', async () => {
    const { people, actors } = await peopleStage(await databases.open());
    const former = await people.enter(identity, ada);
    const present = await people.enter(identity, { ...ada, namespace: 'root.team_a', permissions: [all('root.team_a')] });
    expect((await actors.get(former.id, systemRequester)).permissions).toEqual([]);
    expect((await actors.get(present.id, systemRequester)).permissions).toEqual([all('root.team_a')]);
  });
});
