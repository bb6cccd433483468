import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { type ServedControl, serveControl, type TestActor } from '../server/testing/served-control.test.support.js';

const everything = [{ namespace: 'root.a.**', resources: ['*'], verbs: ['*'] }];
const onActors = [{ namespace: 'root.a', resources: ['actors'], verbs: ['*'] }];
const browsers = { 'admin-api': { baseUrl: 'http://127.0.0.1:8082' } };

describeOnBoth('a token that may do all with actors, and nothing else, becomes nothing larger', (databases) => {
  let control: ServedControl;
  let owner: TestActor;
  let limited: string;

  beforeAll(async () => {
    control = await serveControl(await databases.open(), { browsers });
    await control.plane.namespaces.create('root.a', { actorId: 'system' });
    owner = await control.actor('root.a', 'owner', everything);
    limited = await owner.token({ permissions: onActors });
  });
  afterAll(() => control.close());

  const refusals: readonly (readonly [string, string, (id: string) => string, unknown])[] = [
    [
      'by a key for its own actor',
      'POST',
      (id) => `/actors/${id}/keys`,
      { public_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKTq8WMk2JoB1A3mVq2e1hQ9hVXlPpXvRkqJrRkqzX0M' },
    ],
    ['by the permissions of its own actor', 'PATCH', (id) => `/actors/${id}`, { permissions: everything }],
    ['by a label that a template might speak of', 'PUT', (id) => `/actors/${id}/labels/team`, { value: 'b' }],
    ['by another actor', 'POST', () => '/actors', { namespace: 'root.a', external_id: 'other', permissions: everything }],
    [
      'by another actor whose template could become more',
      'POST',
      () => '/actors',
      {
        namespace: 'root.a',
        external_id: 'other',
        permissions: [
          { namespace: '{{namespace}}', resources: ['actors'], verbs: ['*'], resource_ids: ['{{id}}'] },
          { namespace: 'root.{{labels.team}}', resources: ['actors'], verbs: ['*'] },
        ],
      },
    ],
    ['by a wider token', 'POST', () => '/tokens', { audiences: ['api'], lifetime: 60, permissions: everything }],
  ];
  test.each(refusals)('not %s', async (_, method, path, body) => {
    const answer = await control.request(method, path(owner.id), { token: limited, body });
    expect([answer.status, answer.body.code]).toEqual([403, 'grant_exceeds_granter']);
  });

  test('not by a session: what its token makes, and what that becomes, has the same limit, end and service', async () => {
    const expires = Math.floor(Date.now() / 1000) + 200;
    const short = await owner.token({ permissions: onActors, exp: expires, aud: ['admin-api'] });
    const elsewhere = await control.request('POST', '/tokens', { token: short, body: { audiences: ['api'], lifetime: 60 } });
    expect(elsewhere.body.code).toBe('grant_exceeds_granter');
    const once = await control.request('POST', '/tokens', { token: short, body: { audiences: ['admin-api'], lifetime: 3600, single_use: true } });
    expect(Date.parse(once.body.expires_at)).toBe(expires * 1000);
    const begun = await control.request('POST', '/session/_initiate', { token: once.body.token, body: {} });
    expect(begun.body.session).toMatchObject({ permissions: onActors, expires_at: new Date(expires * 1000).toISOString() });
    const cookie = begun.headers.get('set-cookie')?.split(';', 1)[0] ?? '';
    const headers = { cookie, 'x-xsrf-token': begun.headers.get('x-xsrf-token') ?? '' };
    const again = await control.request('POST', '/tokens', { headers, body: { audiences: ['admin-api'], lifetime: 3600 } });
    expect(Date.parse(again.body.expires_at)).toBe(expires * 1000);
    const me = await control.request('GET', '/me', { token: again.body.token });
    expect(me.body.permissions).toEqual(onActors);
  });
});
