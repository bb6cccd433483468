import { inspect } from 'node:util';
import { Secret } from '@sallyport/sdk';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createActors, systemRequester } from '../actors/actors.js';
import type { Database } from '../database/open-database.js';
import { describeOnBoth, testSealer } from '../database/testing/databases.test.support.js';
import { everything } from '../permissions/permission.js';
import { returnUrls } from '../sessions/return-url.js';
import { createSessions } from '../sessions/sessions.js';
import { sessionStage } from '../sessions/sessions.test.support.js';
import { storedNonces } from '../tokens/nonce-store.js';
import { openIdentityProvider } from './identity-provider.js';
import { type IdentityProviderInput, readIdentityProvider } from './identity-provider-config.js';
import { clientSecret, type Desk, type LoopbackServer, providerInput, signInAt, startOidcProvider } from './identity-providers.test.support.js';
import { insertIdentity } from './identity-store.js';
import { createPeople } from './people.js';
import { createSignIn } from './sign-in.js';

const back = 'https://app.example.com/admin';
const desk: Desk = { subject: 'ada', groups: ['staff'], more: {} };
let company: LoopbackServer;
let other: LoopbackServer;

beforeAll(async () => {
  [company, other] = [await startOidcProvider(desk, 'client_secret_basic'), await startOidcProvider(desk, 'client_secret_post')];
});
afterAll(async () => {
  await company.close();
  await other.close();
});
beforeEach(() => {
  Object.assign(desk, { subject: 'ada', groups: ['staff'], more: {} });
});

function failsWith(code: string) {
  return expect.objectContaining({ code });
}

async function signInStage(database: Database, more: Partial<IdentityProviderInput> = {}) {
  const stage = await sessionStage(database);
  const { audit, namespaces, sources, clock } = stage;
  const now = () => clock.now;
  const sessions = createSessions({ database, actors: stage.actors, audit, sealer: testSealer, now });
  const people = createPeople({ database, actors: stage.actors, sources, sessions, now });
  const onActorDeleted = [sessions.onActorDeleted, people.onActorDeleted];
  const actors = createActors({ database, namespaces, audit, sealer: testSealer, onActorDeleted, now });
  const inputs = [providerInput(company.origin, more), providerInput(other.origin, { name: 'other' })];
  const providers = inputs.map((input) => openIdentityProvider(readIdentityProvider(input)));
  const signIn = createSignIn({
    ...{ service: 'admin-api', providers, people, sessions, returnUrls: returnUrls([back]), sealer: testSealer },
    ...{ useNonce: storedNonces(database), cookie: { secure: true }, now },
  });
  const begin = async (provider = 'company') => {
    const { redirectUrl, setCookie } = await signIn.begin(provider, `${back}/x`);
    const cookie = /^[^;]+/.exec(setCookie)?.[0] ?? '';
    return { redirectUrl, setCookie, cookie };
  };
  /** Both halves, in one browser. */
  const enter = async (provider = 'company') => {
    const { redirectUrl, cookie } = await begin(provider);
    return signIn.complete(provider, { query: (await signInAt(redirectUrl)).searchParams, cookie, requestId: 'req_1' });
  };
  return { ...stage, actors, sessions, people, signIn, begin, enter };
}

/** The cookie with something else sealed in it, as only a holder of the sealer could make it. */
function resealed(cookie: string, change: Record<string, unknown>): string {
  const [name = '', value = ''] = cookie.split('=');
  const attempt = JSON.parse(testSealer.open(value, 'sign-in attempt') ?? '{}') as Record<string, unknown>;
  return `${name}=${testSealer.seal(JSON.stringify({ ...attempt, ...change }), 'sign-in attempt')}`;
}

describeOnBoth('signing in', (databases) => {
  test('a person becomes the actor that the roles make of their claims, with a session', async () => {
    desk.more = { department: 'red', groups: ['admins', 'staff'] };
    const { enter, sessions, actors } = await signInStage(await databases.open(), { label_claims: { dept: 'department' } });
    const { opened, returnUrl } = await enter();
    expect(returnUrl).toBe(`${back}/x`);
    expect(opened.session).toMatchObject({ service: 'admin-api', signed_in_by: 'oidc:company', permissions: null });
    const current = await sessions.authenticate(opened.cookie.reveal(), 'admin-api');
    expect(current?.actor).toMatchObject({ namespace: 'root.a', external_id: 'company_ada', labels: { dept: 'red', group: 'admins' } });
    expect(current?.authority.permits({ namespace: 'root.a', resource: 'connections', verb: 'proxy' })).toBe(true);
    expect(current?.authority.permits({ namespace: 'root.team_a', resource: 'connections', verb: 'get' })).toBe(false);
    // With the next time the actor is what the provider says then, and it is the same one.
    desk.more = {};
    const again = await enter();
    expect(again.opened.actor.id).toBe(opened.actor.id);
    expect(again.opened.authority.permits({ namespace: 'root.a', resource: 'connections', verb: 'proxy' })).toBe(false);
    expect(await actors.find('root.a', 'company_ada')).toMatchObject({ labels: { group: 'staff' } });
    // Who they are says the provider and not the claim alone: the same subject of another provider is somebody else.
    expect((await enter('other')).opened.actor.external_id).toBe('other_ada');
  });

  test('the request asks with PKCE, state and nonce, and the cookie is sealed, short and for this host', async () => {
    const { begin } = await signInStage(await databases.open(), { max_age_seconds: 60 });
    const { redirectUrl, setCookie, cookie } = await begin();
    const { searchParams } = new URL(redirectUrl);
    expect(Object.fromEntries(searchParams)).toMatchObject({ response_type: 'code', code_challenge_method: 'S256', max_age: '60', scope: 'openid' });
    for (const name of ['state', 'nonce', 'code_challenge']) {
      expect(searchParams.get(name)).toMatch(/^[\w-]{43}$/);
      expect(setCookie).not.toContain(searchParams.get(name));
    }
    expect(cookie).toMatch(/^__Host-SIGN-IN=/);
    expect(setCookie).toMatch(/; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
  });

  test('a callback is good once, however often and however fast it comes', async () => {
    const { signIn, begin, actions } = await signInStage(await databases.open());
    const { redirectUrl, cookie } = await begin();
    const query = (await signInAt(redirectUrl)).searchParams;
    const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => signIn.complete('company', { query, cookie })));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'sign_in_replayed' });
    expect(await actions()).toEqual(['sessions.open']);
  });

  test('a callback is good in the browser that the attempt began in, with its state, in time, at its provider and service', async () => {
    const { signIn, begin, clock } = await signInStage(await databases.open());
    const [mine, others] = [await begin(), await begin()];
    const query = (await signInAt(mine.redirectUrl)).searchParams;
    const twice = new URLSearchParams(`${query.toString()}&state=${query.get('state')}`);
    const stateless = new URLSearchParams(query);
    stateless.delete('state');
    const wrong: readonly (readonly [URLSearchParams, string | undefined])[] = [
      ...[undefined, '', 'x=y', others.cookie, mine.cookie.slice(0, -2), `${mine.cookie}; ${others.cookie}`].map(
        (cookie) => [query, cookie] as const,
      ),
      [new URLSearchParams({ ...Object.fromEntries(query), state: 'x' }), mine.cookie],
      [twice, mine.cookie],
      [stateless, mine.cookie],
      [query, resealed(mine.cookie, { service: 'public' })],
      [query, resealed(mine.cookie, { state: undefined })],
    ];
    for (const [given, cookie] of wrong) {
      await expect(signIn.complete('company', { query: given, cookie })).rejects.toThrow(failsWith('sign_in_state_invalid'));
    }
    await expect(signIn.complete('other', { query, cookie: mine.cookie })).rejects.toThrow(failsWith('sign_in_state_invalid'));
    await expect(signIn.complete('nobody', { query, cookie: mine.cookie })).rejects.toThrow(failsWith('sign_in_provider_unknown'));
    clock.now += 599_999;
    const late = await signIn.complete('company', { query, cookie: mine.cookie });
    expect(late.opened.actor.external_id).toBe('company_ada');
    clock.now += 1;
    await expect(signIn.complete('company', { query, cookie: others.cookie })).rejects.toThrow(failsWith('sign_in_expired'));
  });

  test('an answer of another issuer, with another nonce or for another verifier makes nobody anybody', async () => {
    const { signIn, begin, actors } = await signInStage(await databases.open());
    const mixedUp = await begin();
    const query = (await signInAt(mixedUp.redirectUrl)).searchParams;
    expect(query.get('iss')).toBe(company.origin);
    query.set('iss', other.origin);
    const ofOther = (await signInAt((await begin('other')).redirectUrl)).searchParams;
    const swapped = await begin();
    const state = new URL(swapped.redirectUrl).searchParams.get('state') ?? '';
    const [noIssuer, nonce, verifier] = [await begin(), await begin(), await begin()];
    const withoutIssuer = (await signInAt(noIssuer.redirectUrl)).searchParams;
    withoutIssuer.delete('iss');
    const attempts: readonly (readonly [URLSearchParams, string])[] = [
      [query, mixedUp.cookie],
      [new URLSearchParams({ ...Object.fromEntries(ofOther), state }), swapped.cookie],
      [withoutIssuer, noIssuer.cookie],
      [(await signInAt(nonce.redirectUrl)).searchParams, resealed(nonce.cookie, { nonce: 'x'.repeat(43) })],
      [(await signInAt(verifier.redirectUrl)).searchParams, resealed(verifier.cookie, { codeVerifier: 'x'.repeat(43) })],
    ];
    for (const [answer, cookie] of attempts) {
      const error = await signIn.complete('company', { query: answer, cookie }).catch((failure: unknown) => failure);
      expect(error).toMatchObject({ code: 'sign_in_answer_invalid', status: 400 });
      expect(inspect(error, { depth: 9 })).not.toContain(answer.get('code'));
      expect(inspect(error, { depth: 9 })).not.toContain(clientSecret);
    }
    expect(await actors.find('root.a', 'company_ada')).toBeUndefined();
  });

  test('whom the provider refuses is not let in', async () => {
    desk.subject = '';
    const { enter } = await signInStage(await databases.open());
    const error = await enter().catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: 'sign_in_denied', message: 'The identity provider says `access_denied`' });
  });

  test('who has no role becomes nobody, and who lost it loses the sessions too', async () => {
    const { enter, sessions, actors } = await signInStage(await databases.open());
    desk.groups = ['strangers'];
    await expect(enter()).rejects.toThrow(failsWith('sign_in_no_role'));
    expect(await actors.find('root.a', 'company_ada')).toBeUndefined();
    desk.groups = ['staff'];
    const { opened } = await enter();
    desk.groups = [];
    await expect(enter()).rejects.toThrow(failsWith('sign_in_no_role'));
    expect(await sessions.authenticate(opened.cookie.reveal(), 'admin-api')).toBeUndefined();
  });

  test('who moves to another namespace is another actor there, and what they were has no sessions any more', async () => {
    const { enter, sessions } = await signInStage(await databases.open());
    const before = (await enter()).opened;
    desk.groups = ['friends'];
    const after = (await enter()).opened;
    expect(after.actor).toMatchObject({ namespace: 'root.a.b', external_id: 'company_ada' });
    expect(await sessions.authenticate(before.cookie.reveal(), 'admin-api')).toBeUndefined();
    expect(await sessions.authenticate(after.cookie.reveal(), 'admin-api')).toBeDefined();
  });

  test('a deleted actor does not come back to life, nor as one that was made again, until it is purged', async () => {
    const { enter, actors, people, clock } = await signInStage(await databases.open());
    const { opened } = await enter();
    await actors.remove(opened.actor.id, systemRequester);
    await expect(enter()).rejects.toThrow(failsWith('sign_in_actor_deleted'));
    const again = await actors.create({ namespace: 'root.a', external_id: 'company_ada' }, systemRequester);
    await expect(enter()).rejects.toThrow(failsWith('sign_in_actor_deleted'));
    await actors.remove(again.id, systemRequester);
    clock.now += 1000;
    expect(await people.purge(clock.now - 1000)).toBe(0);
    expect(await people.purge(clock.now)).toBe(1);
    await actors.purge(clock.now);
    expect((await enter()).opened.actor.id).not.toBe(opened.actor.id);
  });

  test('nobody becomes an actor that they are not: one that is there already, or somebody else’s after a change of names', async () => {
    const { enter, actors } = await signInStage(await databases.open(), { external_id_claim: 'email' });
    await actors.create({ namespace: 'root.a', external_id: 'company_root@example.com' }, systemRequester);
    desk.more = { email: 'root@example.com', email_verified: true };
    await expect(enter()).rejects.toThrow(failsWith('sign_in_actor_taken'));
    desk.more = { email: 'ada@example.com', email_verified: false };
    await expect(enter()).rejects.toThrow(failsWith('sign_in_name_missing'));
    desk.more = { email: 'ada@example.com', email_verified: true };
    const ada = (await enter()).opened.actor;
    desk.more = { email: 'ada@new.example.com', email_verified: true };
    expect((await enter()).opened.actor.id).toBe(ada.id);
    desk.subject = 'eve';
    desk.more = { email: 'ada@example.com', email_verified: true };
    await expect(enter()).rejects.toThrow(failsWith('sign_in_actor_taken'));
  });

  test('a first time that was cut short goes on, unless the name is another’s by then', async () => {
    const database = await databases.open();
    const { people, actors, sources } = await signInStage(database);
    const person = (external_id: string) => ({ namespace: 'root.a', external_id, permissions: [], labels: {} });
    const begun = async (external_id: string) => {
      const identity = { issuer: 'https://a.example', subject: external_id };
      await insertIdentity(database.db, { ...identity, namespace: 'root.a', external_id, actor_id: null, created_at: 0, deleted_at: null });
      return identity;
    };
    const [bare, made, taken] = [await begun('bare'), await begun('made'), await begun('taken')];
    const { id } = await sources.define({ ...person('made'), issuer: 'https://a.example' }, person('made'), everything, 'oidc');
    await actors.create({ namespace: 'root.a', external_id: 'taken' }, systemRequester);
    expect((await people.enter(bare, person('bare'))).external_id).toBe('bare');
    expect((await people.enter(made, person('made'))).id).toBe(id);
    await expect(people.enter(taken, person('taken'))).rejects.toThrow(failsWith('sign_in_actor_taken'));
  });

  test('two first times of one person at once are one actor', async () => {
    const { people } = await signInStage(await databases.open());
    const person = { namespace: 'root.a', external_id: 'company_ada', permissions: [], labels: {} };
    const actors = await Promise.all(Array.from({ length: 4 }, () => people.enter({ issuer: 'https://a.example', subject: '1' }, person)));
    expect(new Set(actors.map(({ id }) => id)).size).toBe(1);
    await expect(people.enter({ issuer: 'https://a.example', subject: '2' }, person)).rejects.toThrow(failsWith('sign_in_actor_taken'));
  });

  test('a client secret that the provider does not take is told apart, and told to nobody', async () => {
    const { enter } = await signInStage(await databases.open(), { client_secret: new Secret('a wrong secret') });
    const error = await enter().catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: 'sign_in_answer_invalid' });
    expect(inspect(error, { depth: 9 })).not.toContain('a wrong secret');
  });

  test('the way out leads to the provider that the session began with, and back to an allowed place', async () => {
    const { signIn } = await signInStage(await databases.open());
    const url = new URL((await signIn.logoutUrl('oidc:company', `${back}/bye`)) ?? '');
    expect(url.origin).toBe(company.origin);
    expect(Object.fromEntries(url.searchParams)).toEqual({ client_id: 'sallyport', post_logout_redirect_uri: `${back}/bye` });
    expect(await signIn.logoutUrl('token', back)).toBeUndefined();
    expect(await signIn.logoutUrl('oidc:gone', back)).toBeUndefined();
    await expect(signIn.logoutUrl('oidc:company', 'https://evil.example')).rejects.toThrow(failsWith('return_url_not_allowed'));
    await expect(signIn.begin('company', 'https://evil.example')).rejects.toThrow(failsWith('return_url_not_allowed'));
  });
});
