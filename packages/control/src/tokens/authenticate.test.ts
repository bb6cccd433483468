import { expect, test } from 'vitest';
import { systemRequester } from '../actors/actors.js';
import { actorStage, all, requester } from '../actors/actors.test.support.js';
import type { Database } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { createAuthenticator } from './authenticate.js';
import { amongKeys, type Issuer, systemIssuer } from './issuers.js';
import { createTokenMint } from './mint-token.js';
import { createNarrowerTokens, type Grantor } from './narrower-tokens.js';
import { purgeNonces, storedNonces } from './nonce-store.js';
import { systemKeyring } from './system-keyring.js';
import { agentPermission, forge, NOON, NOW, newSigner, sign, verifierOf } from './tokens.test.support.js';
import { publicVerificationKey } from './verification-key.js';
import { createTokenVerifier } from './verify-token.js';

const host = newSigner('P-256');
const ada = newSigner('ed25519');
const name = { namespace: 'root.a', external_id: 'ada' };
const who = { actorId: 'act_somebody' };

async function tokenStage(database: Database) {
  const actorsStage = await actorStage(database, () => NOON);
  const { actors, keys, sources } = actorsStage;
  const keyring = systemKeyring(() => [{ id: 'ekv_1', material: Buffer.alloc(32, 1) }]);
  const within = { kind: 'some', entries: [all('root.a.**')] } as const;
  const issuers = new Map<string, Issuer>([
    ['host', { findKeys: amongKeys([await verifierOf(host)]), namespace: 'root', longestLife: 3600, definesActorsWithin: within }],
    ['sallyport', systemIssuer(keyring, 3600)],
  ]);
  const actorKeys = async (actor: typeof name) => (await keys.usable(actor)).map((key) => publicVerificationKey(key));
  const verify = createTokenVerifier({ issuers, actorKeys, useNonce: storedNonces(database), clock: () => NOON });
  const sessionsThere = new Set(['sess_1']);
  const sessions = { lasts: async (id: string) => sessionsThere.has(id) };
  const authenticate = createAuthenticator({ verify, actors, sources, sessions });
  const mint = createTokenMint({ issuer: 'sallyport', keyring, longestLife: 3600, clock: () => NOON });
  const tokens = createNarrowerTokens({ database, audit: actorsStage.audit, mint });
  const narrow = (...[caller, content]: [Grantor, Parameters<typeof tokens.narrow>[1]]) => tokens.narrow(caller, content, who);
  const as = async (token: string) => {
    const caller = await authenticate({ authorization: `Bearer ${token}` }, 'api');
    if (caller.kind === 'anonymous') throw new Error('nobody');
    return caller;
  };
  const grantor = ({ actor, authority, token }: Awaited<ReturnType<typeof as>>): Grantor => ({
    ...{
      actor,
      authority,
      audiences: token.audiences,
      session: token.system?.session_id,
      notAfter: token.restriction === undefined ? undefined : token.expires,
    },
  });
  return { ...actorsStage, authenticate, as, mint, narrow, grantor, sessionsThere };
}

const request = { namespace: 'root.a', resource: 'connections', verb: 'get', resource_id: 'cxn_1' };

describeOnBoth('authentication', (databases) => {
  test('only a request without any token is anonymous', async () => {
    const { authenticate } = await tokenStage(await databases.open());
    expect(await authenticate({}, 'api')).toEqual({ kind: 'anonymous' });
    const good = await sign(host, { sub: 'ada', namespace: 'root.a', actor: name });
    expect(await authenticate({ auth_token: good }, 'api')).toMatchObject({ kind: 'actor' });
    const bad = [
      ...['', ' ', 'Bearer', 'Bearer ', 'Basic YTpi', good, `Bearer ${good} x`, `Token ${good}`].map((authorization) => ({ authorization })),
      ...['', 'x', forge({ alg: 'none' }, {}, '')].map((auth_token) => ({ auth_token })),
      { authorization: `Bearer ${good}`, auth_token: good },
      { authorization: `Bearer ${await sign(host, { exp: NOW - 100 })}` },
      { authorization: `Bearer ${await sign(host, { sub: 'nobody' })}` },
    ];
    for (const carrier of bad) await expect(authenticate(carrier, 'api')).rejects.toThrow(expect.objectContaining({ status: 401 }));
  });

  test('a token narrows what its actor may do, and never widens it', async () => {
    const { actors, as } = await tokenStage(await databases.open());
    await actors.create({ ...name, permissions: [{ namespace: 'root.a', resources: ['connections'], verbs: ['get', 'list'] }] }, systemRequester);
    const whole = await as(await sign(host, name.external_id === 'ada' ? { namespace: 'root.a' } : {}));
    expect(whole.authority.permits(request)).toBe(true);
    expect(whole.authority.permits({ ...request, verb: 'proxy' })).toBe(false);
    const one = [{ namespace: 'root.**', resources: ['*'], verbs: ['*'], resource_ids: ['cxn_1'] }];
    const narrow = await as(await sign(host, { namespace: 'root.a', permissions: one }));
    expect(narrow.authority.permits(request)).toBe(true);
    expect(narrow.authority.permits({ ...request, resource_id: 'cxn_2' })).toBe(false);
    expect(narrow.authority.permits({ ...request, verb: 'proxy' })).toBe(false);
    expect(narrow.authority.explain({ ...request, verb: 'proxy' })).toMatchObject({
      allowed: false,
      actor: { allowed: false },
      token: { allowed: true },
    });
    const elsewhere = await as(await sign(host, { namespace: 'root.a', permissions: [all('root.team_a.**')] }));
    expect(elsewhere.authority.permissions).toEqual({ kind: 'nothing' });
    expect(() => elsewhere.authority.scope({ resource: 'connections', verb: 'list' })).toThrow(
      expect.objectContaining({ code: 'permission_denied' }),
    );
  });

  test('a self-signing actor cannot widen itself: its claims only narrow what it has', async () => {
    const { actors, keys, as } = await tokenStage(await databases.open());
    const { id } = await actors.create(
      { ...name, permissions: [{ namespace: 'root.a', resources: ['connections'], verbs: ['get'] }] },
      systemRequester,
    );
    await keys.add(id, { public_key: JSON.stringify(ada.publicJwk) }, systemRequester);
    const described = { ...name, permissions: [all('root.a.**')], labels: { 'apxy/ns/-/id': 'root' } };
    const caller = await as(await sign(ada, { iss: 'ada', namespace: 'root.a', actor: described, permissions: [all('root.**')] }));
    expect(caller.authority.permits(request)).toBe(true);
    expect(caller.authority.permits({ ...request, verb: 'proxy' })).toBe(false);
    expect((await actors.get(id, systemRequester)).version).toBe(1);
    await keys.revoke(id, (await keys.list(id, {}, systemRequester)).items[0]?.id ?? '', requester([all('root.**')]));
    await expect(as(await sign(ada, { iss: 'ada', namespace: 'root.a' }))).rejects.toThrow(expect.objectContaining({ code: 'token_invalid' }));
  });

  test('a description that hands out too much, or is of a deleted actor, makes the token bad', async () => {
    const { actors, as } = await tokenStage(await databases.open());
    const tooMuch = { ...name, permissions: [all('root.**')] };
    await expect(as(await sign(host, { namespace: 'root.a', actor: tooMuch }))).rejects.toThrow(expect.objectContaining({ code: 'token_invalid' }));
    const { actor } = await as(await sign(host, { namespace: 'root.a', actor: { ...name, permissions: [all('root.a')] } }));
    await actors.remove(actor.id, systemRequester);
    await expect(as(await sign(host, { namespace: 'root.a', actor: name }))).rejects.toThrow(expect.objectContaining({ code: 'token_invalid' }));
  });

  test('of many requests with one nonce at once, one gets through', async () => {
    const database = await databases.open();
    const { as } = await tokenStage(database);
    const token = await sign(host, { namespace: 'root.a', actor: name, nonce: 'non_1' });
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => as(token)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'token_replayed' });
    expect(await purgeNonces(database, NOON)).toBe(0);
    expect(await purgeNonces(database, NOON + 3_600_000)).toBe(1);
  });

  test('an agent’s token goes down to a connection, a method and a path, and cannot make itself a wider or a longer one', async () => {
    const { as, narrow, grantor } = await tokenStage(await databases.open());
    const caller = await as(await sign(host, { namespace: 'root.a', actor: { ...name, permissions: [all('root.a.**')] } }));
    const agentToken = await narrow(grantor(caller), { audiences: ['api'], lifetime: 60, permissions: [agentPermission] });
    const agent = await as(agentToken.token.reveal());
    const call = { namespace: 'root.a', resource: 'connections', verb: 'proxy', resource_id: 'cxn_1', proxied: { method: 'GET', path: '/repos/x' } };
    expect(agent.authority.permits(call)).toBe(true);
    expect(agent.authority.permits({ ...call, proxied: { method: 'DELETE', path: '/repos/x' } })).toBe(false);
    expect(agent.authority.permits({ ...call, proxied: { method: 'GET', path: '/repos/../user' } })).toBe(false);
    const wider = narrow(grantor(agent), { audiences: ['api'], lifetime: 60, permissions: [{ ...agentPermission, methods: ['GET', 'POST'] }] });
    await expect(wider).rejects.toThrow(expect.objectContaining({ code: 'grant_exceeds_granter' }));
    const again = await narrow(grantor(agent), { audiences: ['api'], lifetime: 3000 });
    expect(again.expires).toBe(agentToken.expires);
    expect((await as(again.token.reveal())).authority.permissions).toEqual(agent.authority.permissions);
    await expect(narrow(grantor(caller), { audiences: ['api'], lifetime: 3601 })).rejects.toThrow(
      expect.objectContaining({ code: 'token_request_invalid' }),
    );
    const elsewhere = narrow(grantor(caller), { audiences: ['api', 'admin-api'], lifetime: 60 });
    await expect(elsewhere).rejects.toThrow(expect.objectContaining({ code: 'grant_exceeds_granter' }));
    await expect(narrow(grantor(caller), { audiences: [], lifetime: 60 })).rejects.toThrow(
      expect.objectContaining({ code: 'token_request_invalid' }),
    );
    const nothing = await narrow(grantor(caller), { audiences: ['api'], lifetime: 60, permissions: [] });
    expect((await as(nothing.token.reveal())).authority.permissions).toEqual({ kind: 'nothing' });
  });

  test('a token of this system for single use is used once', async () => {
    const { as, mint } = await tokenStage(await databases.open());
    const { actor } = await as(await sign(host, { namespace: 'root.a', actor: name }));
    const { token } = await mint({ actor, audiences: ['api'], lifetime: 60, singleUse: true });
    await as(token.reveal());
    await expect(as(token.reveal())).rejects.toThrow(expect.objectContaining({ code: 'token_replayed' }));
  });

  test('a token of this system holds for the actor that it was made for, not for the next one of this name', async () => {
    const { actors, as, mint } = await tokenStage(await databases.open());
    const before = await actors.create(name, systemRequester);
    const token = (await mint({ actor: before, audiences: ['api'], lifetime: 60 })).token.reveal();
    expect((await as(token)).actor.id).toBe(before.id);
    await actors.remove(before.id, systemRequester);
    const after = await actors.create({ ...name, permissions: [all('root.a.**')] }, systemRequester);
    await expect(as(token)).rejects.toThrow(expect.objectContaining({ code: 'token_invalid' }));
    expect((await as((await mint({ actor: after, audiences: ['api'], lifetime: 60 })).token.reveal())).actor.id).toBe(after.id);
  });

  test('the tokens that this system has made end with a key of the actor, at once, and none that is made after that', async () => {
    const { actors, keys, sources, as, mint, audit } = await tokenStage(await databases.open());
    const { id } = await actors.create(name, systemRequester);
    const key = await keys.add(id, { public_key: JSON.stringify(ada.publicJwk) }, systemRequester);
    const made = async () => (await mint({ actor: await actors.get(id, systemRequester), audiences: ['api'], lifetime: 60 })).token.reveal();
    const first = await made();
    await as(first);
    // Asked for before the key was revoked, and made after it: the clock of both is the same.
    const stale = await actors.get(id, systemRequester);
    await keys.revoke(id, key.id, systemRequester);
    const late = (await mint({ actor: stale, audiences: ['api'], lifetime: 60 })).token.reveal();
    for (const token of [first, late]) await expect(as(token)).rejects.toThrow(expect.objectContaining({ code: 'token_invalid' }));
    await as(await made());
    const trail = await audit.list({ filter: { action: 'actors.end_tokens' } }, [{ path: 'root', subtree: true }]);
    expect(trail.items).toMatchObject([{ resourceId: id, namespace: 'root.a', actorId: 'system' }]);
    // The same for a key that its directory does not hold any more.
    const declared = { namespace: 'root.a', external_id: 'bob', permissions: [], public_keys: JSON.stringify(ada.publicJwk) };
    await sources.sync('key_directory', [declared]);
    const bob = await actors.getByExternalId('root.a', 'bob', systemRequester);
    const ofBob = (await mint({ actor: bob, audiences: ['api'], lifetime: 60 })).token.reveal();
    await as(ofBob);
    await sources.sync('key_directory', [{ ...declared, public_keys: JSON.stringify(newSigner('ed25519').publicJwk) }]);
    await expect(as(ofBob)).rejects.toThrow(expect.objectContaining({ code: 'token_invalid' }));
  });

  test('a token that was made in a session ends with it, and so does what it makes', async () => {
    const { actors, as, mint, narrow, grantor, sessionsThere } = await tokenStage(await databases.open());
    const actor = await actors.create(name, systemRequester);
    const token = (await mint({ actor, session: 'sess_1', audiences: ['api'], lifetime: 60 })).token.reveal();
    const next = (await narrow(grantor(await as(token)), { audiences: ['api'], lifetime: 60 })).token.reveal();
    await as(next);
    sessionsThere.clear();
    for (const ended of [token, next]) await expect(as(ended)).rejects.toThrow(expect.objectContaining({ code: 'token_invalid' }));
  });
});
