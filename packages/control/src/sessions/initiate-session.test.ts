import { expect, test } from 'vitest';
import { systemRequester } from '../actors/actors.js';
import type { Database } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { createAuthenticator } from '../tokens/authenticate.js';
import { amongKeys, type Issuer, systemIssuer } from '../tokens/issuers.js';
import { createTokenMint } from '../tokens/mint-token.js';
import { storedNonces } from '../tokens/nonce-store.js';
import { systemKeyring } from '../tokens/system-keyring.js';
import { newSigner, sign, verifierOf } from '../tokens/tokens.test.support.js';
import { createTokenVerifier } from '../tokens/verify-token.js';
import { createCallerIdentification } from './identify-caller.js';
import { createInitiation } from './initiate-session.js';
import { returnUrls } from './return-url.js';
import { sessionStage } from './sessions.test.support.js';

const host = newSigner('P-256');
const back = 'https://app.example.com/market';

async function initiationStage(database: Database) {
  const stage = await sessionStage(database);
  const { sessions, actors, sources, clock } = stage;
  const keyring = systemKeyring(() => [{ id: 'ekv_1', material: Buffer.alloc(32, 1) }]);
  const issuers = new Map<string, Issuer>([
    ['host', { findKeys: amongKeys([await verifierOf(host)]), namespace: 'root', longestLife: 3600 }],
    ['sallyport', systemIssuer(keyring, 3600)],
  ]);
  const verify = createTokenVerifier({ issuers, actorKeys: async () => [], useNonce: storedNonces(database), clock: () => clock.now });
  const identify = createCallerIdentification({ authenticate: createAuthenticator({ verify, actors, sources, sessions }), sessions });
  const initiate = createInitiation({
    ...{ service: 'public', sessions, returnUrls: returnUrls([back]), configuration: () => ({ title: 'Market' }) },
    initiateSessionUrl: 'https://host.example.com/login?app=1#top',
  });
  const mint = createTokenMint({ issuer: 'sallyport', keyring, longestLife: 3600, clock: () => clock.now });
  let nonces = 0;
  const token = (claims: Record<string, unknown> = {}) => {
    const now = clock.now / 1000;
    nonces += 1;
    return sign(host, { sub: 'ada', namespace: 'root.a', aud: 'public', iat: now, exp: now + 60, nonce: `non_${nonces}`, ...claims });
  };
  const call = async (credentials: { auth_token?: string; session?: string }, returnUrl: string | undefined = back) => {
    const { caller } = await identify(credentials, 'public');
    return initiate({ caller, returnUrl, requestId: 'req_1' });
  };
  return { ...stage, identify, call, mint, token };
}

function failsWith(code: string) {
  return expect.objectContaining({ code });
}

describeOnBoth('initiating a session', (databases) => {
  test('strangers are told where to sign in, and whence they come back', async () => {
    const { call } = await initiationStage(await databases.open());
    const error = await call({}).catch((failure: unknown) => failure);
    expect(error).toMatchObject({
      code: 'session_required',
      status: 401,
      members: { redirect_url: `https://host.example.com/login?app=1&return_to_url=${encodeURIComponent(back)}#top` },
    });
    await expect(call({}, '')).rejects.toThrow(failsWith('return_url_not_allowed'));
  });

  test('a hand-off token becomes a session once, limited as the token is, and the configuration comes along', async () => {
    const { call, sessions, token } = await initiationStage(await databases.open());
    const permissions = [{ namespace: 'root.**', resources: ['*'], verbs: ['get'] }];
    const handOff = await token({ permissions });
    const { opened, configuration } = await call({ auth_token: handOff });
    expect(configuration).toEqual({ title: 'Market' });
    expect(opened?.session).toMatchObject({ permissions, signed_in_by: 'token', service: 'public' });
    await expect(call({ auth_token: handOff })).rejects.toThrow(failsWith('token_replayed'));
    const again = await call({ session: opened?.cookie.reveal() ?? '' });
    expect(again).toMatchObject({ opened: undefined, current: { session: { id: opened?.session.id } } });
    const found = await sessions.authenticate(opened?.cookie.reveal(), 'public');
    expect(found?.authority.permits({ namespace: 'root.a', resource: 'connections', verb: 'proxy' })).toBe(false);
  });

  test('the session outlives the token of a hand-off, but not a token that this system handed out for a time', async () => {
    const { call, mint, token, clock, ada } = await initiationStage(await databases.open());
    const { opened } = await call({ auth_token: await token() });
    expect(opened?.session.expires_at).toBe(clock.now + 12 * 3_600_000);
    const minted = await mint({ actor: ada, audiences: ['public'], lifetime: 90, singleUse: true });
    const bounded = await call({ auth_token: minted.token.reveal() });
    expect(bounded.opened?.session.expires_at).toBe(clock.now + 90_000);
  });

  test('a new session ends the one that the browser had, so that none is planted and none is widened', async () => {
    const { call, sessions, token, actions } = await initiationStage(await databases.open());
    const first = (await call({ auth_token: await token() })).opened?.cookie.reveal() ?? '';
    const second = (await call({ auth_token: await token({ permissions: [] }), session: first })).opened;
    expect(await sessions.authenticate(first, 'public')).toBeUndefined();
    expect((await sessions.authenticate(second?.cookie.reveal(), 'public'))?.authority.permissions).toEqual({ kind: 'nothing' });
    expect(await actions()).toEqual(['sessions.open', 'sessions.replace', 'sessions.open']);
  });

  test('a token that counts more than once begins no session, whoever signed it', async () => {
    const { call, mint, token, ada, actions } = await initiationStage(await databases.open());
    const minted = await mint({ actor: ada, audiences: ['public'], lifetime: 90 });
    for (const auth_token of [await token({ nonce: undefined }), await token({ nonce: undefined, jti: 'jti_1' }), minted.token.reveal()]) {
      await expect(call({ auth_token })).rejects.toThrow(failsWith('session_token_reusable'));
    }
    expect(await actions()).toEqual([]);
  });

  test('a return URL that is not allowed is refused whoever asks, and makes no session', async () => {
    const { call, token, actions } = await initiationStage(await databases.open());
    const bad = 'https://evil.example/market';
    for (const credentials of [{}, { auth_token: await token() }]) {
      await expect(call(credentials, bad)).rejects.toThrow(failsWith('return_url_not_allowed'));
    }
    expect(await actions()).toEqual([]);
  });
});

describeOnBoth('who is calling', (databases) => {
  test('a session, a token, both of one actor, or nobody', async () => {
    const { identify, open, token } = await initiationStage(await databases.open());
    const { cookie, session } = await open();
    expect(await identify({}, 'public')).toEqual({ caller: { kind: 'anonymous' }, forgetCookie: false });
    expect(await identify({ session: 'x' }, 'public')).toEqual({ caller: { kind: 'anonymous' }, forgetCookie: true });
    expect(await identify({ session: cookie.reveal() }, 'public')).toMatchObject({ caller: { kind: 'session', session }, forgetCookie: false });
    const both = await identify({ session: cookie.reveal(), authorization: `Bearer ${await token()}` }, 'public');
    expect(both).toMatchObject({ caller: { kind: 'token', beside: { id: session.id } }, forgetCookie: false });
  });

  test('a token of somebody else counts, and leaves the session alone unless it begins one in its place', async () => {
    const { identify, call, open, token, sessions, bob, actions } = await initiationStage(await databases.open());
    const { cookie, session } = await open();
    const { caller, forgetCookie } = await identify({ session: cookie.reveal(), auth_token: await token({ sub: 'bob' }) }, 'public');
    expect(caller).toMatchObject({ kind: 'token', actor: { id: bob.id }, beside: undefined, displaced: { id: session.id } });
    expect(forgetCookie).toBe(false);
    expect(await sessions.authenticate(cookie.reveal(), 'public')).toBeDefined();
    expect(await actions()).toEqual(['sessions.open']);
    // A token that begins no session ends none either.
    const reusable = await token({ sub: 'bob', nonce: undefined });
    await expect(call({ session: cookie.reveal(), auth_token: reusable })).rejects.toThrow(failsWith('session_token_reusable'));
    expect(await sessions.authenticate(cookie.reveal(), 'public')).toBeDefined();
    const { current } = await call({ session: cookie.reveal(), auth_token: await token({ sub: 'bob' }) });
    expect(current.actor.id).toBe(bob.id);
    expect(await sessions.authenticate(cookie.reveal(), 'public')).toBeUndefined();
    expect(await actions()).toEqual(['sessions.open', 'sessions.conflict', 'sessions.open']);
  });

  test('a token that does not hold is an error, whatever session comes along, and leaves it alone', async () => {
    const { identify, open, token, sessions, clock } = await initiationStage(await databases.open());
    const { cookie } = await open();
    const now = clock.now / 1000;
    for (const auth_token of ['', 'x', await token({ iat: now - 200, exp: now - 100 }), await token({ aud: 'api' })]) {
      await expect(identify({ session: cookie.reveal(), auth_token }, 'public')).rejects.toThrow(expect.objectContaining({ status: 401 }));
    }
    expect(await sessions.authenticate(cookie.reveal(), 'public')).toBeDefined();
  });

  test('a deleted actor is nobody', async () => {
    const { identify, open, actors, ada } = await initiationStage(await databases.open());
    const { cookie } = await open();
    await actors.remove(ada.id, systemRequester);
    expect(await identify({ session: cookie.reveal() }, 'public')).toEqual({ caller: { kind: 'anonymous' }, forgetCookie: true });
  });
});
