import { afterEach, expect, test } from 'vitest';
import { systemRequester } from '../actors/actors.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { type ServedControl, serveControl, type TestActor, type TestAnswer } from '../server/testing/served-control.test.support.js';

const browsers = { 'admin-api': { baseUrl: 'http://127.0.0.1:8082' } };
const body = { audiences: ['admin-api'], lifetime: 3600 };
const now = () => Math.floor(Date.now() / 1000);

describeOnBoth('POST /tokens', (databases) => {
  let control: ServedControl;
  afterEach(() => control.close());

  async function served() {
    control = await serveControl(await databases.open(), { browsers });
    const { plane, request } = control;
    const ask = (token: string): Promise<TestAnswer> => request('POST', '/tokens', { token, body });
    const statusOf = async (token: string): Promise<number> => (await request('GET', '/me', { token })).status;
    async function signedIn(actor: TestActor) {
      const live = await plane.actors.get(actor.id, systemRequester);
      const opened = await plane.sessions.open({ actor: live, restriction: undefined, service: 'admin-api', signedInBy: 'token' });
      const name = plane.browsers.get('admin-api')?.cookie.name ?? '';
      const headers = { cookie: `${name}=${opened.cookie.reveal()}`, 'x-xsrf-token': opened.xsrf.token.reveal() };
      const made = await request('POST', '/tokens', { headers, body });
      return { headers, session: opened.session, token: made.body.token as string };
    }
    return { ...control, ask, statusOf, signedIn };
  }

  test('a token that counts once makes nothing that outlives it; one of a key of the actor does, and ends when the key is revoked', async () => {
    const { ask, statusOf, actor, plane } = await served();
    const eve = await actor('root', 'eve');
    const exp = now() + 60;
    const once = await ask(await eve.token({ exp, nonce: 'n1' }));
    expect(Date.parse(once.body.expires_at)).toBe(exp * 1000);
    const long = await ask(await eve.token({ exp }));
    expect(Date.parse(long.body.expires_at)).toBeGreaterThan((exp + 3000) * 1000);
    const [key] = (await plane.actorKeys.list(eve.id, {}, systemRequester)).items;
    expect(await Promise.all([statusOf(once.body.token), statusOf(long.body.token)])).toEqual([200, 200]);
    await plane.actorKeys.revoke(eve.id, key?.id ?? '', systemRequester);
    expect(await Promise.all([statusOf(once.body.token), statusOf(long.body.token)])).toEqual([401, 401]);
  });

  test('what it has made does not make itself last longer', async () => {
    const { ask, actor } = await served();
    const eve = await actor('root', 'eve');
    const first = await control.request('POST', '/tokens', { as: eve, body: { ...body, lifetime: 60 } });
    const second = await ask(first.body.token);
    const third = await ask(second.body.token);
    for (const { body: made } of [second, third]) expect(made.expires_at).toBe(first.body.expires_at);
  });

  test('what is made in a session ends when the person signs out, or the session is revoked, or the person is expelled', async () => {
    const { ask, statusOf, signedIn, actor, request, plane } = await served();
    const eve = await actor('root', 'eve');
    const ends: ((made: Awaited<ReturnType<typeof signedIn>>) => Promise<unknown>)[] = [
      ({ headers }) => request('POST', '/session/_terminate', { headers }),
      ({ session }) => plane.sessions.revoke(session.id, systemRequester),
      () => plane.sessions.revokeAll(eve.id, systemRequester),
      () => plane.sessions.endAll(eve.id, systemRequester.context),
    ];
    for (const end of ends) {
      const made = await signedIn(eve);
      const next = (await ask(made.token)).body.token as string;
      expect(await Promise.all([statusOf(made.token), statusOf(next)])).toEqual([200, 200]);
      await end(made);
      expect(await Promise.all([statusOf(made.token), statusOf(next)])).toEqual([401, 401]);
    }
  });

  test('ending all sessions of an actor ends what its key has made, and what it makes afterwards is good', async () => {
    const { ask, statusOf, actor, plane } = await served();
    const eve = await actor('root', 'eve');
    const before = (await ask(await eve.token())).body.token as string;
    expect(await plane.sessions.endAll(eve.id, systemRequester.context)).toBe(0);
    expect(await statusOf(before)).toBe(401);
    // In the same second as the end, too.
    expect(await statusOf((await ask(await eve.token())).body.token)).toBe(200);
  });

  test('a token of a deleted actor is not good for whoever has its name next', async () => {
    const { ask, statusOf, actor, plane } = await served();
    const bob = await actor('root', 'bob', [{ namespace: 'root', resources: ['tasks'], verbs: ['list'] }]);
    const token = (await ask(await bob.token())).body.token as string;
    expect(await statusOf(token)).toBe(200);
    await plane.actors.remove(bob.id, systemRequester);
    await actor('root', 'bob');
    expect(await statusOf(token)).toBe(401);
  });

  test('is written down: what was made and for whom, and never the token; what is refused leaves no line', async () => {
    const { request, actor, plane } = await served();
    const eve = await actor('root', 'eve');
    const permissions = [{ namespace: 'root', resources: ['actors'], verbs: ['list'] }];
    const made = await request('POST', '/tokens', { as: eve, body: { ...body, permissions, single_use: true } });
    const wide = [{ namespace: 'other.**', resources: ['*'], verbs: ['*'] }];
    expect((await request('POST', '/tokens', { as: eve, body: { ...body, permissions: wide } })).status).toBeGreaterThanOrEqual(400);
    const { items } = await plane.audit.list({ filter: { action: 'tokens.create' } }, [{ path: 'root', subtree: true }]);
    expect(items).toMatchObject([
      {
        ...{ actorId: eve.id, resourceType: 'tokens', resourceId: made.body.jti, namespace: 'root', requestId: made.headers.get('x-request-id') },
        after: { actor_id: eve.id, audiences: ['admin-api'], lifetime: 3600, single_use: true, permissions },
      },
    ]);
    const [, claims = '', signature = ''] = (made.body.token as string).split('.');
    for (const part of [claims, signature]) expect(JSON.stringify(items)).not.toContain(part);
  });
});
