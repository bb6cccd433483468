import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemRequester } from '../actors/actors.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import type { TestBrowser } from '../sessions/browser.test.support.js';
import { CONNECT, CONSOLE, EVIL, type HandOff, serveHandOff } from '../sessions/hand-off.test.support.js';
import { type BrowserServiceParts, type BrowserSettings, openBrowserService } from './browser-service.js';
import { readIdentityProvider } from './identity-provider-config.js';
import { type Desk, type LoopbackServer, providerInput, signInAt, startOidcProvider } from './identity-providers.test.support.js';

const desk: Desk = { subject: 'ada', groups: ['admins'], more: {} };
let company: LoopbackServer;

beforeAll(async () => {
  company = await startOidcProvider(desk, 'client_secret_basic', [`${CONSOLE}/sign-in/company/callback`]);
});
afterAll(() => company.close());
beforeEach(() => {
  Object.assign(desk, { subject: 'ada', groups: ['admins'], more: {} });
});

describeOnBoth('/sign-in', (databases) => {
  let control: HandOff | undefined;
  afterEach(async () => control?.close());
  const problem = (status: number, code: string) => ({ status, body: { code } });

  async function served(settings: Partial<BrowserSettings> = {}): Promise<HandOff> {
    const { callback_url: _, ...provider } = providerInput(company.origin);
    control = await serveHandOff(await databases.open(), { providers: [provider], ...settings });
    await control.request('POST', '/namespaces', { as: control.admin, body: { path: 'root.a' } });
    await control.request('POST', '/namespaces', { as: control.admin, body: { path: 'root.a.b' } });
    return control;
  }

  const place = `${CONSOLE}/connections?tab=1`;
  const begin = (browser: TestBrowser, back = place) => browser.visit(`${CONSOLE}/sign-in/company?return_to_url=${encodeURIComponent(back)}`);
  /** All of it, as a browser does it: where the provider sends it, and what the callback answers. */
  async function enter(browser: TestBrowser, back = place) {
    const callback = await signInAt((await begin(browser, back)).headers.get('location') ?? '');
    return { callback, answer: await browser.visit(callback.href, company.origin) };
  }

  test('a person goes to the provider and comes back with a session', async () => {
    const { browser: newBrowser, request } = await served();
    const browser = newBrowser();
    const providers = await request('GET', '/sign-in/providers');
    expect(providers).toMatchObject({ status: 200, body: { items: [{ name: 'company' }] } });
    const initiate = () => browser.call(CONSOLE, 'POST', `${CONSOLE}/session/_initiate`, { body: { return_to_url: place } });
    const redirect = (await initiate()).body.redirect_url;
    expect(redirect).toBe(`${CONSOLE}/sign-in/company?return_to_url=${encodeURIComponent(place)}`);
    const begun = await browser.visit(redirect);
    expect(begun).toMatchObject({ status: 302, text: '' });
    expect([...browser.cookies(CONSOLE).keys()]).toEqual(['__Host-SIGN-IN']);
    const callback = await signInAt(begun.headers.get('location') ?? '');
    expect(callback.origin + callback.pathname).toBe(`${CONSOLE}/sign-in/company/callback`);
    const answer = await browser.visit(callback.href, company.origin);
    expect(answer).toMatchObject({ status: 302, text: '' });
    expect(answer.headers.get('location')).toBe(place);
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
    expect([...browser.cookies(CONSOLE)]).toEqual([['__Host-SESSION-ID', { value: expect.any(String), sameSite: 'Strict' }]]);
    const told = await initiate();
    expect(told).toMatchObject({ status: 200, body: { session: { signed_in_by: 'oidc:company', permissions: null } } });
    const me = await browser.call(CONSOLE, 'GET', `${CONSOLE}/me`);
    expect(me.body.actor).toMatchObject({ namespace: 'root.a', external_id: 'company_ada', source: 'oidc', labels: { group: 'admins' } });
    expect(await request('GET', '/actors?source=oidc', { as: control?.admin })).toMatchObject({ body: { items: [{ id: me.body.actor.id }] } });
    // The callback was good once, in this browser as in any.
    for (const each of [browser, newBrowser()]) {
      const again = await each.visit(callback.href, company.origin);
      expect(again.headers.get('location')).toBe(`${CONSOLE}/?error=sign_in_state_invalid`);
    }
    expect(await browser.call(CONSOLE, 'GET', `${CONSOLE}/me`)).toMatchObject({ status: 200 });
    // Out: here, and at the provider.
    const headers = { 'x-xsrf-token': told.headers.get('x-xsrf-token') ?? '' };
    const ended = await browser.call(CONSOLE, 'POST', `${CONSOLE}/session/_terminate?return_to_url=${CONSOLE}/bye`, { headers });
    const logout = new URL(ended.body.logout_url);
    expect(logout.origin).toBe(company.origin);
    expect(Object.fromEntries(logout.searchParams)).toEqual({ client_id: 'sallyport', post_logout_redirect_uri: `${CONSOLE}/bye` });
    expect(browser.cookies(CONSOLE).size).toBe(0);
    expect(await browser.call(CONSOLE, 'GET', `${CONSOLE}/me`)).toMatchObject({ status: 401 });
  });

  test('a session of before ends, and one that was planted is nobody’s', async () => {
    const { browser: newBrowser, request, signedIn, admin } = await served({ cookie: { sameSite: 'lax' } });
    const planted = await signedIn(admin);
    const browser = newBrowser();
    const [name = '', value = ''] = planted.cookie.split('=');
    browser.plant(CONSOLE, name, value);
    await enter(browser);
    expect(browser.cookies(CONSOLE).get(name)?.value).not.toBe(value);
    expect(await request('GET', '/session', { headers: { cookie: planted.cookie } })).toMatchObject({ status: 401 });
  });

  test('the answer for one browser is no good in another, so nobody is signed in as somebody else', async () => {
    const { browser: newBrowser, plane } = await served();
    const [victim, attacker] = [newBrowser(), newBrowser()];
    const stolen = await signInAt((await begin(attacker)).headers.get('location') ?? '');
    // Without an attempt, and in the middle of one's own.
    expect((await victim.visit(stolen.href, EVIL)).headers.get('location')).toBe(`${CONSOLE}/?error=sign_in_state_invalid`);
    await begin(victim);
    expect((await victim.visit(stolen.href, EVIL)).headers.get('location')).toBe(`${place}&error=sign_in_state_invalid`);
    expect(victim.cookies(CONSOLE).size).toBe(0);
    expect((await plane.sessions.list({}, systemRequester)).items).toEqual([]);
  });

  test('what goes wrong is told as a code, at the place that the person came from, and nothing else is', async () => {
    const { browser: newBrowser, served: log } = await served();
    desk.groups = ['strangers'];
    const stranger = await enter(newBrowser());
    expect(stranger.answer.headers.get('location')).toBe(`${place}&error=sign_in_no_role`);
    desk.subject = '';
    const refused = await enter(newBrowser());
    expect(refused.answer.headers.get('location')).toBe(`${place}&error=sign_in_denied`);
    desk.subject = 'ada';
    const browser = newBrowser();
    const callback = await signInAt((await begin(browser)).headers.get('location') ?? '');
    const code = callback.searchParams.get('code') ?? '';
    callback.searchParams.append('state', callback.searchParams.get('state') ?? '');
    const doubled = await browser.visit(callback.href, company.origin);
    expect(doubled.headers.get('location')).toBe(`${place}&error=sign_in_state_invalid`);
    for (const answer of [stranger.answer, refused.answer, doubled]) {
      expect(answer).toMatchObject({ status: 302, text: '' });
      expect(answer.headers.getSetCookie().map((field) => field.split(';')[0])).toEqual(['__Host-SIGN-IN=']);
      expect(JSON.stringify([...answer.headers])).not.toContain(code);
    }
    expect(JSON.stringify(log)).not.toContain(code);
    expect(log.filter(({ error }) => error !== undefined)).toEqual([]);
  });

  test('a provider that cannot be reached is told to the person and to the log', async () => {
    const { callback_url: _, ...provider } = providerInput('http://127.0.0.1:1');
    const { browser: newBrowser, served: log, signedIn, admin, plane } = await served({ providers: [provider] });
    const browser = newBrowser();
    const answer = await begin(browser);
    expect(answer.headers.get('location')).toBe(`${place}&error=sign_in_provider_unavailable`);
    expect(browser.cookies(CONSOLE).size).toBe(0);
    expect(log.at(-1)).toMatchObject({ route: '/sign-in/:provider', status: 302, error: { code: 'sign_in_provider_unavailable' } });
    // Who wants out is out, whether or not the provider can be asked.
    const actor = await plane.actors.get(admin.id, systemRequester);
    const opened = await plane.sessions.open({ actor, restriction: undefined, service: 'admin-api', signedInBy: 'oidc:company' });
    const { browser: other } = await signedIn(admin);
    other.plant(CONSOLE, '__Host-SESSION-ID', opened.cookie.reveal());
    const headers = { 'x-xsrf-token': opened.xsrf.token.reveal() };
    const ended = await other.call(CONSOLE, 'POST', `${CONSOLE}/session/_terminate`, { headers });
    expect(ended).toMatchObject({ status: 200, body: {} });
    expect(await plane.sessions.authenticate(opened.cookie.reveal(), 'admin-api')).toBeUndefined();
    expect(log.at(-1)).toMatchObject({ status: 200, error: { code: 'sign_in_provider_unavailable' } });
  });

  test('no way leads out of the places that are allowed, and no provider is made up', async () => {
    const { request, browser: newBrowser } = await served();
    const bad = [
      EVIL,
      `${CONSOLE}.evil.example`,
      `${CONSOLE}@evil.example`,
      '//evil.example',
      `${CONSOLE}\\.evil.example`,
      'javascript:alert(1)',
      CONNECT,
    ];
    for (const back of bad) expect(await begin(newBrowser(), back)).toMatchObject(problem(400, 'return_url_not_allowed'));
    const twice = `/sign-in/company?return_to_url=${encodeURIComponent(place)}&return_to_url=${encodeURIComponent(EVIL)}`;
    expect(await request('GET', twice)).toMatchObject(problem(400, 'request_invalid'));
    for (const path of ['/sign-in/nobody', '/sign-in/nobody/callback?state=x', '/sign-in/__proto__']) {
      expect(await request('GET', path)).toMatchObject(problem(404, 'sign_in_provider_unknown'));
    }
    // A query that says where to go says it to nobody.
    const told = await request('GET', `/sign-in/company/callback?return_to_url=${EVIL}&error=x&state=x`, { headers: { host: 'evil.example' } });
    expect(told.headers.get('location')).toBe(`${CONSOLE}/?error=sign_in_state_invalid`);
    expect(await request('GET', '/sign-in/company', {}, 'public')).toMatchObject(problem(404, 'sign_in_provider_unknown'));
    expect(await request('GET', '/sign-in/company', {}, 'api')).toMatchObject(problem(404, 'not_found'));
  });

  test('who lost the role is out with the next sign-in, and who loses the actor at once', async () => {
    const { browser: newBrowser, request, admin } = await served();
    const browser = newBrowser();
    await enter(browser);
    const id = (await browser.call(CONSOLE, 'GET', `${CONSOLE}/me`)).body.actor.id;
    desk.groups = [];
    await enter(newBrowser());
    expect(await browser.call(CONSOLE, 'GET', `${CONSOLE}/me`)).toMatchObject({ status: 401 });
    desk.groups = ['staff'];
    await enter(browser);
    expect(await request('DELETE', `/actors/${id}`, { as: admin })).toMatchObject({ status: 204 });
    expect(await browser.call(CONSOLE, 'GET', `${CONSOLE}/me`)).toMatchObject({ status: 401 });
    expect((await enter(newBrowser())).answer.headers.get('location')).toBe(`${place}&error=sign_in_actor_deleted`);
  });
});

test.each([
  ['http://127.0.0.1:8082', 'http://localhost:8082', 'pass'],
  ['http://localhost:8082', 'http://127.0.0.1:8082', 'pass'],
  ['http://127.0.0.1:8082', 'http://localhost:8083', 'refused'],
  ['http://127.0.0.1:8082', 'http://127.0.0.2:8082', 'refused'],
  ['https://a.example', 'https://localhost', 'refused'],
  ['https://a.example', 'https://a.example', 'pass'],
])('at %s a page of %s may: %s', (baseUrl, origin, kind) => {
  const { cors, returnUrls } = openBrowserService('admin-api', { baseUrl }, {} as BrowserServiceParts);
  expect(cors({ method: 'POST', origin }).kind).toBe(kind);
  expect(returnUrls.allows(`${origin}/x`)).toBe(kind === 'pass');
});

test.each(['', 'x', 'ftp://a.example', 'https://a.example/x', 'https://a.example?x', 'https://u@a.example', 'null'])(
  '%j is no base URL',
  (baseUrl) => {
    const open = () => openBrowserService('admin-api', { baseUrl }, {} as BrowserServiceParts);
    expect(open).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  },
);

test('a provider may not have the name of the list', () => {
  expect(() => readIdentityProvider(providerInput('http://127.0.0.1', { name: 'providers' }))).toThrow(
    expect.objectContaining({ code: 'config_invalid' }),
  );
});
