import { afterEach, expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { CONSOLE, type HandOff, serveHandOff } from './hand-off.test.support.js';

describeOnBoth('/sessions', (databases) => {
  let control: HandOff | undefined;
  afterEach(async () => control?.close());
  const served = async (): Promise<HandOff> => {
    control = await serveHandOff(await databases.open());
    return control;
  };
  const problem = (status: number, code: string) => ({ status, body: { code } });
  const sessionsOnly = (verbs: readonly string[]) => [{ namespace: 'root.a', resources: ['sessions'], verbs: [...verbs] }];

  test('operators see and end those that they may; the next request of the browser is nobody’s', async () => {
    const { request, signedIn, actor, admin } = await served();
    await request('POST', '/namespaces', { as: admin, body: { path: 'root.a' } });
    const [ada, bob] = [await actor('root.a', 'ada'), await actor('root.a', 'bob')];
    const [reader, guard] = [
      await actor('root.a', 'reader', sessionsOnly(['list', 'get'])),
      await actor('root.a', 'guard', sessionsOnly(['revoke'])),
    ];
    const [atAda, atBob, atAdmin] = [await signedIn(ada), await signedIn(bob), await signedIn(admin)];
    const ids = async (query: string, as = admin) =>
      (await request('GET', `/sessions${query}`, { as })).body.items?.map(({ id }: { id: string }) => id).sort();
    expect(await ids('')).toEqual([atAda.id, atBob.id, atAdmin.id].sort());
    expect(await ids('', reader)).toEqual([atAda.id, atBob.id].sort());
    expect(await ids(`?actor_id=${bob.id}`, reader)).toEqual([atBob.id]);
    expect(await ids('?service=public')).toEqual([]);
    const page = await request('GET', '/sessions?limit=1&namespace=root.a', { as: reader });
    expect(page.body.items).toHaveLength(1);
    expect((await request('GET', `/sessions?cursor=${page.body.cursor}`, { as: reader })).body.items).toHaveLength(1);
    expect(await request('GET', '/sessions', { as: guard })).toMatchObject(problem(403, 'permission_denied'));
    // What is listed makes nobody anybody.
    const listed = (await request('GET', '/sessions', { as: admin })).text;
    for (const { cookie, xsrf } of [atAda, atBob, atAdmin]) {
      expect(listed).not.toContain(cookie.split('=')[1]);
      expect(listed).not.toContain(xsrf);
    }
    expect(await request('DELETE', `/sessions/${atAda.id}`, { as: reader })).toMatchObject(problem(403, 'permission_denied'));
    expect(await request('DELETE', `/sessions/${atAdmin.id}`, { as: guard })).toMatchObject(problem(404, 'session_not_found'));
    expect(await request('DELETE', `/sessions/${atAda.id}`, { as: guard })).toMatchObject({ status: 204 });
    expect(await request('DELETE', `/sessions/${atAda.id}`, { as: guard })).toMatchObject(problem(404, 'session_not_found'));
    const next = await atAda.browser.call(CONSOLE, 'GET', `${CONSOLE}/me`);
    expect(next).toMatchObject(problem(401, 'authentication_required'));
    expect(atAda.browser.cookies(CONSOLE).size).toBe(0);
    expect(await atBob.browser.call(CONSOLE, 'GET', `${CONSOLE}/me`)).toMatchObject({ status: 200 });
  });

  test('all sessions of an actor end together, for those who may do that', async () => {
    const { request, signedIn, actor, admin } = await served();
    await request('POST', '/namespaces', { as: admin, body: { path: 'root.a' } });
    const [ada, bob] = [await actor('root.a', 'ada'), await actor('root.a', 'bob')];
    const [reader, guard] = [
      await actor('root.a', 'reader', sessionsOnly(['get', 'list'])),
      await actor('root.a', 'guard', sessionsOnly(['revoke'])),
    ];
    const browsers = [await signedIn(ada), await signedIn(ada)];
    const revoke = (id: string, as = guard) => request('POST', `/actors/${id}/sessions/_revoke`, { as });
    // Whether there are sessions shows to nobody who may not end them, nor whether there is such an actor.
    for (const id of [ada.id, bob.id, 'act_nobody']) expect(await revoke(id, reader)).toMatchObject(problem(404, 'actor_not_found'));
    expect(await revoke(admin.id)).toMatchObject(problem(404, 'actor_not_found'));
    const one = await actor('root.a', 'one', [
      { namespace: 'root.a', resources: ['sessions'], verbs: ['revoke'], resource_ids: browsers.map(({ id }) => id) },
    ]);
    expect(await revoke(ada.id, one)).toMatchObject(problem(404, 'actor_not_found'));
    expect(await revoke(ada.id)).toMatchObject({ status: 200, body: { revoked: 2 } });
    expect(await revoke(ada.id)).toMatchObject({ status: 200, body: { revoked: 0 } });
    for (const { browser } of browsers) expect((await browser.call(CONSOLE, 'GET', `${CONSOLE}/session`)).status).toBe(401);
  });

  test('one’s own sessions are one’s own; an agent with a part of one’s rights does not have them', async () => {
    const { request, signedIn, actor } = await served();
    const [ada, bob] = [await actor('root', 'ada', []), await actor('root', 'bob')];
    const [here, there, others] = [await signedIn(ada), await signedIn(ada), await signedIn(bob)];
    const mine = await here.browser.call(CONSOLE, 'GET', `${CONSOLE}/me/sessions`);
    const items = mine.body.items as readonly { readonly id: string; readonly current: boolean }[];
    expect(new Map(items.map(({ id, current }) => [id, current]))).toEqual(
      new Map([
        [here.id, true],
        [there.id, false],
      ]),
    );
    const headers = { 'x-xsrf-token': here.xsrf };
    const end = (id: string) => here.browser.call(CONSOLE, 'DELETE', `${CONSOLE}/me/sessions/${id}`, { headers });
    expect(await end(others.id)).toMatchObject(problem(404, 'session_not_found'));
    const agent = await bob.token({ permissions: [{ namespace: 'root.**', resources: ['connections'], verbs: ['*'] }] });
    expect(await request('GET', '/me/sessions', { token: agent })).toMatchObject(problem(403, 'permission_denied'));
    expect(await request('DELETE', `/me/sessions/${others.id}`, { token: agent })).toMatchObject(problem(403, 'permission_denied'));
    const warden = await bob.token({ permissions: [{ namespace: 'root', resources: ['sessions'], verbs: ['list'] }] });
    expect((await request('GET', '/me/sessions', { token: warden })).body.items).toHaveLength(1);
    expect(await request('GET', '/me/sessions', { token: await bob.token(), headers: {} }, 'api')).toMatchObject({ status: 200 });
    expect(await end(there.id)).toMatchObject({ status: 204 });
    expect(here.browser.cookies(CONSOLE).size).toBe(1);
    expect((await there.browser.call(CONSOLE, 'GET', `${CONSOLE}/session`)).status).toBe(401);
    expect(await end(here.id)).toMatchObject({ status: 204 });
    expect(here.browser.cookies(CONSOLE).size).toBe(0);
  });
});
