import { inspect } from 'node:util';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { systemRequester } from '../actors/actors.js';
import { requester } from '../actors/actors.test.support.js';
import { migrate } from '../database/migrate.js';
import { pageQuery, planPage } from '../database/paging.js';
import { describeOnBoth, testSealer } from '../database/testing/databases.test.support.js';
import { requireIndexed } from '../database/testing/query-plan.test.support.js';
import { openCounted } from '../database/testing/statement-count.test.support.js';
import { nothing } from '../permissions/permission.js';
import { selectSessions, sessionByDigest } from './session-store.js';
import { createSessions, sessionList } from './sessions.js';
import { operator, readOnly, sessionStage } from './sessions.test.support.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function failsWith(code: string) {
  return expect.objectContaining({ code });
}

const request = { namespace: 'root.a', resource: 'connections', verb: 'get', resource_id: 'cxn_1' };

describeOnBoth('sessions', (databases) => {
  test('the cookie stands for the actor, at the service that it was made for and at no other', async () => {
    const { sessions, open, ada } = await sessionStage(await databases.open());
    const { cookie, session } = await open({ client: { address: '127.0.0.1', userAgent: 'Test\r\n1.0' } });
    expect(session).toMatchObject({ service: 'public', actor_id: ada.id, namespace: 'root.a', permissions: null, signed_in_by: 'token' });
    expect(session).toMatchObject({ address: '127.0.0.1', user_agent: 'Test  1.0' });
    const found = await sessions.authenticate(cookie.reveal(), 'public');
    expect(found).toMatchObject({ session, actor: { id: ada.id } });
    expect(found?.authority.permits({ ...request, verb: 'proxy' })).toBe(true);
    expect(await sessions.authenticate(cookie.reveal(), 'admin-api')).toBeUndefined();
  });

  test.each([undefined, '', 'x', 'A'.repeat(43), 'A'.repeat(44), `${'A'.repeat(42)}=`, '\0'.repeat(43), 'A'.repeat(100_000)])(
    'a cookie that cannot be one is no session and no error (%#)',
    async (value) => {
      const { sessions, open } = await sessionStage(await databases.open());
      await open();
      expect(await sessions.authenticate(value, 'public')).toBeUndefined();
    },
  );

  test('nothing in the database or in what is printed makes a session', async () => {
    const database = await databases.open();
    const { open, sessions } = await sessionStage(database);
    const opened = await open();
    const { rows } = await sql<Record<string, unknown>>`select * from sessions`.execute(database.db);
    const events = await sql<Record<string, unknown>>`select * from audit_events`.execute(database.db);
    const text = JSON.stringify([rows, events.rows]) + inspect(opened, { depth: 9 }) + JSON.stringify(opened);
    expect(text).not.toContain(opened.cookie.reveal());
    expect(text).not.toContain(opened.xsrf.token.reveal());
    for (const value of Object.values(rows[0] ?? {})) expect(await sessions.authenticate(String(value), 'public')).toBeUndefined();
  });

  test('it keeps the restriction of the token, also «nothing», and never has more than the actor', async () => {
    const { sessions, open, actors, ada } = await sessionStage(await databases.open());
    const narrow = await sessions.authenticate((await open({ restriction: readOnly })).cookie.reveal(), 'public');
    expect(narrow?.authority.permits(request)).toBe(true);
    expect(narrow?.authority.permits({ ...request, verb: 'proxy' })).toBe(false);
    expect(narrow?.authority.permits({ ...request, resource: 'keys' })).toBe(false);
    const none = await open({ restriction: nothing });
    expect(none.session.permissions).toEqual([]);
    expect((await sessions.authenticate(none.cookie.reveal(), 'public'))?.authority.permissions).toEqual({ kind: 'nothing' });
    // What the actor loses its sessions lose with the next request.
    const whole = await open();
    await actors.update(ada.id, { permissions: [] }, systemRequester);
    expect((await sessions.authenticate(whole.cookie.reveal(), 'public'))?.authority.permissions).toEqual({ kind: 'nothing' });
  });

  test('it lasts as long as it is used, and no longer than the absolute lifetime', async () => {
    const { sessions, open, clock } = await sessionStage(await databases.open(), { idleMs: HOUR, absoluteMs: 3 * HOUR });
    const idle = (await open()).cookie.reveal();
    const used = (await open()).cookie.reveal();
    for (let passed = 0; passed < 3 * HOUR - 50 * MINUTE; passed += 50 * MINUTE) {
      clock.now += 50 * MINUTE;
      expect(await sessions.authenticate(used, 'public')).toBeDefined();
    }
    expect(await sessions.authenticate(idle, 'public')).toBeUndefined();
    clock.now += 30 * MINUTE;
    expect(await sessions.authenticate(used, 'public')).toBeUndefined();
  });

  test('it can be told to end earlier', async () => {
    const { sessions, open, clock } = await sessionStage(await databases.open());
    const { cookie, session } = await open({ notAfter: clock.now + MINUTE });
    expect(session).toMatchObject({ ends_at: clock.now + MINUTE, expires_at: clock.now + MINUTE });
    clock.now += MINUTE;
    expect(await sessions.authenticate(cookie.reveal(), 'public')).toBeUndefined();
  });

  test('to authenticate costs one read of the session and what the actor needs; using it writes now and then', async () => {
    const options = await databases.empty();
    const database = openCounted(options);
    await migrate(database);
    const { sessions, open, clock, actors, ada } = await sessionStage(database, { idleMs: HOUR });
    const cookie = (await open()).cookie.reveal();
    const ofActor = await database.statementsOf(() => actors.get(ada.id, systemRequester));
    const once = () => database.statementsOf(() => sessions.authenticate(cookie, 'public'));
    const read = await once();
    expect(read).toHaveLength(1 + ofActor.length);
    expect(read.filter((text) => text.startsWith('update'))).toEqual([]);
    clock.now += 3 * MINUTE;
    expect(await once()).toHaveLength(read.length + 1);
    expect(await once()).toHaveLength(read.length);
    expect(await database.statementsOf(() => sessions.authenticate('x', 'public'))).toEqual([]);
    await database.close();
  });

  test('a session that is ended while it is used stays ended', async () => {
    const { sessions, open, clock, actions } = await sessionStage(await databases.open());
    const { cookie, session } = await open();
    clock.now += 10 * MINUTE;
    await Promise.all([
      ...Array.from({ length: 4 }, () => sessions.authenticate(cookie.reveal(), 'public')),
      ...Array.from({ length: 3 }, () => sessions.end(session, { actorId: session.actor_id })),
    ]);
    expect(await sessions.authenticate(cookie.reveal(), 'public')).toBeUndefined();
    expect(await actions()).toEqual(['sessions.open', 'sessions.terminate']);
  });

  test('deleting the actor ends its sessions in the same transaction, and those that begin at the same moment are no good', async () => {
    const database = await databases.open();
    const { sessions, open, ada, bob, audit, namespaces } = await sessionStage(database);
    const { createActors } = await import('../actors/actors.js');
    const actors = createActors({ database, namespaces, audit, sealer: testSealer, onActorDeleted: [sessions.onActorDeleted] });
    const [first, second, other] = [await open(), await open({ service: 'admin-api' }), await open({ actor: bob })];
    await actors.remove(ada.id, systemRequester);
    expect(await sessions.authenticate(first.cookie.reveal(), 'public')).toBeUndefined();
    expect(await sessions.authenticate(second.cookie.reveal(), 'admin-api')).toBeUndefined();
    expect(await sessions.authenticate(other.cookie.reveal(), 'public')).toBeDefined();
    const late = await open();
    expect(await sessions.authenticate(late.cookie.reveal(), 'public')).toBeUndefined();
  });

  test('destroying a namespace ends the sessions of its actors', async () => {
    const database = await databases.open();
    const { sessions, open, newActor } = await sessionStage(database);
    const [inside, outside] = [await open(), await open({ actor: await newActor('eve', 'root.team_a') })];
    const destroy = () => database.transaction((trx) => sessions.onNamespaceDestroyed({ path: 'root.a', trx, signal: undefined }));
    expect(await destroy()).toBe('done');
    expect(await sessions.authenticate(inside.cookie.reveal(), 'public')).toBeUndefined();
    expect(await sessions.authenticate(outside.cookie.reveal(), 'public')).toBeDefined();
  });

  test('of the sessions of an actor the hundred newest stay', async () => {
    const { sessions, open, clock, bob } = await sessionStage(await databases.open());
    const others = await open({ actor: bob });
    const first = await open();
    for (let made = 0; made < 100; made += 1) {
      clock.now += 1;
      await open();
    }
    expect(await sessions.authenticate(first.cookie.reveal(), 'public')).toBeUndefined();
    expect(await sessions.authenticate(others.cookie.reveal(), 'public')).toBeDefined();
    expect((await sessions.listOwn(first, { limit: 1000 })).items).toHaveLength(100);
  });

  test('one sees and ends what one may, and one’s own', async () => {
    const { sessions, open, bob, ada, newActor } = await sessionStage(await databases.open());
    const eve = await newActor('eve', 'root.team_a');
    const [mine, other, elsewhere] = [await open(), await open({ actor: bob }), await open({ actor: eve })];
    const team = requester([{ namespace: 'root.a', resources: ['sessions'], verbs: ['get', 'list'] }]);
    expect((await sessions.list({}, team)).items.map(({ actor_id }) => actor_id)).toEqual([bob.id, ada.id]);
    expect((await sessions.list({ filter: { actor_id: ada.id, service: 'public' } }, team)).items).toHaveLength(1);
    expect((await sessions.list({ filter: { namespace: 'root.team_a' } }, operator)).items).toEqual([elsewhere.session]);
    await expect(sessions.list({}, requester([]))).rejects.toThrow(failsWith('permission_denied'));
    await expect(sessions.revoke(mine.session.id, team)).rejects.toThrow(failsWith('permission_denied'));
    await expect(sessions.revoke(elsewhere.session.id, team)).rejects.toThrow(failsWith('session_not_found'));
    // Who may not revoke is told nothing of actors that it may not read, whether they have sessions or not.
    for (const { id } of [ada, await newActor('idle')]) {
      await expect(sessions.revokeAll(id, team)).rejects.toThrow(failsWith('actor_not_found'));
      const readers = requester([{ namespace: 'root.a', resources: ['actors'], verbs: ['get'] }]);
      await expect(sessions.revokeAll(id, readers)).rejects.toThrow(failsWith('permission_denied'));
    }
    await expect(sessions.revokeAll('act_nobody', operator)).rejects.toThrow(failsWith('actor_not_found'));
    await sessions.revoke(elsewhere.session.id, operator);
    await expect(sessions.revoke(elsewhere.session.id, operator)).rejects.toThrow(failsWith('session_not_found'));
    // Also one that is limited to nothing may end what is its own.
    const limited = await open({ restriction: nothing });
    expect((await sessions.listOwn(limited, {})).items.map(({ id }) => id).sort()).toEqual([mine.session.id, limited.session.id].sort());
    await expect(sessions.revokeOwn(limited, other.session.id, { actorId: ada.id })).rejects.toThrow(failsWith('session_not_found'));
    await sessions.revokeOwn(limited, mine.session.id, { actorId: ada.id });
    expect(await sessions.authenticate(mine.cookie.reveal(), 'public')).toBeUndefined();
    expect(await sessions.revokeAll(bob.id, operator)).toBe(1);
    expect(await sessions.authenticate(other.cookie.reveal(), 'public')).toBeUndefined();
  });

  test('a cursor of somebody else’s list shows one’s own sessions only', async () => {
    const { sessions, open, bob } = await sessionStage(await databases.open());
    const [mine] = [await open(), await open(), await open({ actor: bob })];
    const page = await sessions.list({ limit: 1 }, operator);
    const own = await sessions.listOwn(mine, { cursor: page.cursor });
    expect(new Set(own.items.map(({ actor_id }) => actor_id))).toEqual(new Set([mine.actor.id]));
  });

  test('what has ended by itself is deleted, and that is written down once', async () => {
    const { sessions, open, clock, actions } = await sessionStage(await databases.open());
    await open();
    clock.now += 2 * HOUR;
    const { cookie } = await open();
    expect(await sessions.purge()).toBe(1);
    expect(await sessions.purge()).toBe(0);
    expect(await sessions.authenticate(cookie.reveal(), 'public')).toBeDefined();
    expect(await actions()).toEqual(['sessions.open', 'sessions.open', 'sessions.purge']);
  });

  test('is read by indexes', async () => {
    const database = await databases.open();
    await requireIndexed(database, sessionByDigest(database.db, 'x').compile());
    const scope = systemRequester.authority.scope({ resource: 'sessions', verb: 'list' });
    const some = requester([{ namespace: 'root.a', resources: ['sessions'], verbs: ['list'] }]).authority.scope({
      resource: 'sessions',
      verb: 'list',
    });
    const lists = [
      selectSessions(database.db, scope, {}, 1),
      selectSessions(database.db, 'any', { actor_id: 'act_1' }, 1),
      selectSessions(database.db, some, {}, 1),
    ];
    for (const list of lists) await requireIndexed(database, pageQuery(list, planPage(sessionList, {}, testSealer)).compile());
  });
});

describe('the lifetimes of sessions', () => {
  test.each([{ idleMs: 0 }, { idleMs: Number.NaN }, { idleMs: 10_000, absoluteMs: 5_000 }])('%o are refused', (lifetimes) => {
    const parts = {} as Parameters<typeof createSessions>[0];
    expect(() => createSessions({ ...parts, lifetimes: { public: lifetimes } })).toThrow(RangeError);
  });
});
