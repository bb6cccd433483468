import { afterEach, expect, test } from 'vitest';
import { systemRequester } from '../actors/actors.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { CONNECT, CONSOLE, EVIL, type HandOff, MARKET, serveHandOff } from './hand-off.test.support.js';

describeOnBoth('/session', (databases) => {
  let control: HandOff | undefined;
  afterEach(async () => control?.close());
  const served = async (...settings: Parameters<typeof serveHandOff> extends [unknown, ...infer Rest] ? Rest : never): Promise<HandOff> => {
    control = await serveHandOff(await databases.open(), ...settings);
    return control;
  };
  const problem = (status: number, code: string) => ({ status, body: { code } });

  test('the whole way: nobody, the host, its token, a session, what it is good for, and its end', async () => {
    const { browser: newBrowser, handOff, actor } = await served();
    const ada = await actor('root', 'ada');
    const browser = newBrowser();
    const initiate = (query = '') =>
      browser.call(MARKET, 'POST', `${CONNECT}/session/_initiate${query}`, { body: { return_to_url: `${MARKET}/shop/x?y=1` } });
    const back = encodeURIComponent(`${MARKET}/shop/x?y=1`);
    expect(await initiate()).toMatchObject({
      status: 401,
      body: { code: 'session_required', redirect_url: `https://host.example/login?app=1&return_to_url=${back}` },
    });
    // As the host sends the browser back.
    const token = await handOff(ada);
    const begun = await initiate(`?auth_token=${token}`);
    expect(begun).toMatchObject({
      status: 200,
      body: { actor_id: ada.id, configuration: { title: 'Market', features: ['a'] } },
    });
    expect(begun.body.session).toMatchObject({ service: 'public', actor_id: ada.id, signed_in_by: 'token', permissions: null, current: true });
    expect(begun.text + begun.headers.get('x-xsrf-token')).not.toContain(browser.cookies(CONNECT).get('__Host-SESSION-ID')?.value);
    const current = await browser.call(MARKET, 'GET', `${CONNECT}/session`);
    expect(current).toMatchObject({ status: 200, body: { id: begun.body.session.id, current: true } });
    expect((await initiate()).body.session.id).toBe(begun.body.session.id);
    // The token is used up, here and in anybody else's browser.
    for (const each of [browser, newBrowser()]) {
      const again = each.call(MARKET, 'POST', `${CONNECT}/session/_initiate?auth_token=${token}`, { body: {} });
      expect(await again).toMatchObject(problem(401, 'token_replayed'));
    }
    expect(await browser.call(MARKET, 'GET', `${CONNECT}/me`)).toMatchObject({ status: 200, body: { actor: { external_id: 'ada' } } });
    // A session of one service is none of another.
    const { value = '' } = browser.cookies(CONNECT).get('__Host-SESSION-ID') ?? {};
    browser.plant(CONSOLE, '__Host-SESSION-ID', value);
    expect(await browser.call(CONSOLE, 'GET', `${CONSOLE}/session`)).toMatchObject(problem(401, 'authentication_required'));
    expect(browser.cookies(CONSOLE).size).toBe(0);
    const xsrf = { 'x-xsrf-token': current.headers.get('x-xsrf-token') ?? '' };
    const end = () => browser.call(MARKET, 'POST', `${CONNECT}/session/_terminate`, { headers: xsrf });
    expect(await end()).toMatchObject({ status: 200, body: {} });
    expect(browser.cookies(CONNECT).size).toBe(0);
    expect(await end()).toMatchObject({ status: 200, body: {} });
    browser.plant(CONNECT, '__Host-SESSION-ID', value);
    expect(await browser.call(MARKET, 'GET', `${CONNECT}/session`)).toMatchObject(problem(401, 'authentication_required'));
  });

  test('a token that counts more than once begins no session', async () => {
    const { browser: newBrowser, handOff, actor } = await served();
    const ada = await actor('root', 'ada');
    for (const token of [await handOff(ada, { nonce: undefined }), await ada.token()]) {
      const browser = newBrowser();
      const answer = await browser.call(CONSOLE, 'POST', `${CONSOLE}/session/_initiate?auth_token=${token}`, { body: {} });
      expect(answer).toMatchObject(problem(403, 'session_token_reusable'));
      expect(browser.cookies(CONSOLE).size).toBe(0);
    }
  });

  test('the cookie says to the browser what fits the service', async () => {
    const { request, handOff, actor, plane } = await served();
    const ada = await actor('root', 'ada');
    const cookieAt = async (service: 'public' | 'admin-api') => {
      const answer = await request('POST', '/session/_initiate', { token: await handOff(ada), body: {} }, service);
      expect(answer.headers.get('cache-control')).toBe('no-store');
      return answer.headers.getSetCookie().map((field) => field.replace(/=[\w-]{43};/, '=VALUE;'));
    };
    expect(await cookieAt('public')).toEqual(['__Host-SESSION-ID=VALUE; Max-Age=43200; Path=/; HttpOnly; Secure; SameSite=None']);
    expect(await cookieAt('admin-api')).toEqual(['__Host-SESSION-ID=VALUE; Max-Age=43200; Path=/; HttpOnly; Secure; SameSite=Strict']);
    // A browser that comes with a cookie that is over gets one field and not two.
    const stale = { cookie: `__Host-SESSION-ID=${'A'.repeat(43)}` };
    const anew = await request('POST', '/session/_initiate', { token: await handOff(ada), body: {}, headers: stale });
    expect(anew.headers.getSetCookie()).toHaveLength(1);
    expect((await request('GET', '/sign-in/providers', { headers: stale })).headers.getSetCookie()).toEqual([
      plane.browsers.get('admin-api')?.cookie.clear(),
    ]);
  });

  test('without TLS, with a domain and with other lifetimes', async () => {
    const cookie = { domain: 'example.com', sameSite: 'lax' } as const;
    const { request, handOff, actor } = await served({
      baseUrl: 'http://console.example.com',
      cookie,
      lifetimes: { idleMs: 1000, absoluteMs: 60_000 },
    });
    const answer = await request('POST', '/session/_initiate', { token: await handOff(await actor('root', 'ada')), body: {} });
    expect(answer.headers.get('set-cookie')).toMatch(/^SESSION-ID=[\w-]{43}; Max-Age=60; Domain=example\.com; Path=\/; HttpOnly; SameSite=Lax$/);
    const { created_at, ends_at, expires_at } = answer.body.session;
    expect([Date.parse(ends_at) - Date.parse(created_at), Date.parse(expires_at) - Date.parse(created_at)]).toEqual([1000, 60_000]);
  });

  test('pages of other origins call it if they are allowed, also with DELETE; nobody else’s request does anything', async () => {
    const { request, browser: newBrowser, handOff, actor, plane } = await served();
    const [ada, mallory] = [await actor('root', 'ada'), await actor('root', 'mallory')];
    const preflight = (origin: string, service: 'public' | 'admin-api' | 'api', path = '/me/sessions/x') =>
      request('OPTIONS', path, { headers: { origin, 'access-control-request-method': 'DELETE' } }, service);
    const allowed = await preflight(MARKET, 'public');
    expect(allowed).toMatchObject({ status: 204, text: '' });
    expect(Object.fromEntries(allowed.headers)).toMatchObject({
      'access-control-allow-origin': MARKET,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE, HEAD',
      'access-control-max-age': '43200',
      vary: 'Origin',
    });
    expect(allowed.headers.get('access-control-allow-headers')).toContain('X-XSRF-Token');
    for (const origin of [EVIL, 'null', `${MARKET}.evil.example`, 'http://market.host.example']) {
      const refused = await preflight(origin, 'public');
      expect(refused).toMatchObject({ status: 403, text: '' });
      expect(refused.headers.get('access-control-allow-origin')).toBeNull();
    }
    expect((await preflight(MARKET, 'admin-api')).status).toBe(403);
    expect((await preflight(MARKET, 'api')).headers.get('access-control-allow-origin')).toBeNull();
    // Planting a session of one's own in somebody's browser, with a request that needs no preflight.
    const planted = await request('POST', `/session/_initiate?auth_token=${await handOff(mallory)}`, { headers: { origin: EVIL } });
    expect(planted).toMatchObject({ status: 403, text: '' });
    expect(planted.headers.get('set-cookie')).toBeNull();
    await expect(newBrowser().call(EVIL, 'GET', `${CONNECT}/session`)).rejects.toThrow('CORS');
    expect((await plane.sessions.list({ filter: { actor_id: mallory.id } }, systemRequester)).items).toEqual([]);
    // The browser ends a session from the page of the host.
    const browser = newBrowser();
    const url = `${CONNECT}/session/_initiate?auth_token=${await handOff(ada)}`;
    const begun = await browser.call(MARKET, 'POST', url, { body: {} });
    const headers = { 'x-xsrf-token': begun.headers.get('x-xsrf-token') ?? '' };
    const ended = await browser.call(MARKET, 'DELETE', `${CONNECT}/me/sessions/${begun.body.session.id}`, { headers });
    expect(ended.status).toBe(204);
    expect(browser.cookies(CONNECT).size).toBe(0);
  });

  test('every operation that changes something needs the XSRF token of the session', async () => {
    const { plane, request, signedIn, actor } = await served();
    const { cookie, xsrf } = await signedIn(await actor('root', 'ada'));
    const others = (await signedIn(await actor('root', 'bob'))).xsrf;
    const changing = plane.operations.filter(({ method, services }) => method !== 'GET' && services.includes('admin-api'));
    expect(changing.length).toBeGreaterThan(20);
    for (const { method, path, withoutXsrf, name } of changing) {
      if (withoutXsrf === true) {
        expect(name).toBe('initiateSession');
        continue;
      }
      const at = path.replace(/:[a-z_]+/g, 'x');
      const send = (token?: string) => request(method, at, { headers: { cookie, ...(token === undefined ? {} : { 'x-xsrf-token': token }) } });
      expect({ name, ...(await send()) }).toMatchObject({ name, ...problem(403, 'xsrf_token_missing') });
      for (const token of ['x', others, `${xsrf}x`]) {
        expect({ name, ...(await send(token)) }).toMatchObject({ name, ...problem(403, 'xsrf_token_invalid') });
      }
    }
    const headers = { cookie, 'x-xsrf-token': xsrf };
    expect(await request('POST', '/namespaces', { headers, body: { path: 'root.made' } })).toMatchObject({ status: 201 });
    // Who shows a token has shown more than a browser sends by itself.
    const told = { token: await (await actor('root', 'eve')).token(), body: { path: 'root.told' } };
    expect(await request('POST', '/namespaces', told)).toMatchObject({ status: 201 });
  });

  test('a token of somebody else beside the session decides, and leaves the session alone', async () => {
    const { request, signedIn, actor } = await served();
    const [ada, bob] = [await actor('root', 'ada'), await actor('root', 'bob')];
    const { cookie, xsrf } = await signedIn(ada);
    const same = await request('GET', '/me', { as: ada, headers: { cookie } });
    expect(same).toMatchObject({ status: 200, body: { actor: { id: ada.id } } });
    expect(same.headers.get('set-cookie')).toBeNull();
    const other = await request('GET', '/me', { as: bob, headers: { cookie } });
    expect(other).toMatchObject({ status: 200, body: { actor: { id: bob.id } } });
    expect(other.headers.get('set-cookie')).toBeNull();
    const alone = await request('GET', '/me', { headers: { cookie, 'x-xsrf-token': xsrf } });
    expect(alone).toMatchObject({ status: 200, body: { actor: { id: ada.id } } });
  });

  test('the session of a narrow token stays narrow, and so does what it makes', async () => {
    const { request, signedIn, actor } = await served();
    const ada = await actor('root', 'ada');
    const permissions = [{ namespace: 'root.a', resources: ['namespaces'], verbs: ['get', 'list'] }];
    const { cookie, xsrf, id } = await signedIn(ada, { permissions });
    const headers = { cookie, 'x-xsrf-token': xsrf };
    expect((await request('GET', '/session', { headers })).body.permissions).toEqual(permissions);
    expect((await request('GET', '/me', { headers })).body.permissions).toEqual(permissions);
    expect(await request('POST', '/namespaces', { headers, body: { path: 'root.b' } })).toMatchObject(problem(403, 'permission_denied'));
    expect(await request('GET', '/me/sessions', { headers })).toMatchObject(problem(403, 'permission_denied'));
    const mint = (body: object) => request('POST', '/tokens', { headers, body: { audiences: ['admin-api'], lifetime: 60, ...body } });
    expect(await mint({ permissions: [{ ...permissions[0], namespace: 'root' }] })).toMatchObject(problem(403, 'grant_exceeds_granter'));
    expect(await mint({ audiences: ['api'] })).toMatchObject(problem(403, 'grant_exceeds_granter'));
    const made = await mint({});
    const token = made.body.token as string;
    expect((await request('GET', '/me', { token })).body.permissions).toEqual(permissions);
    // Handed on to a browser it is no more than that either.
    const once = (await mint({ single_use: true })).body.token as string;
    const begun = await request('POST', '/session/_initiate', { token: once, body: {} });
    expect(begun.body.session).toMatchObject({ permissions, expires_at: expect.any(String) });
    const [{ value } = { value: '' }] = begun.headers.getSetCookie().map((field) => ({ value: /^[^;]+/.exec(field)?.[0] ?? '' }));
    expect(await request('GET', '/me/sessions', { headers: { cookie: value } })).toMatchObject(problem(403, 'permission_denied'));
    // Its own session anybody may end.
    expect(await request('DELETE', `/me/sessions/${id}`, { headers })).toMatchObject({ status: 204 });
    expect(await request('GET', '/session', { headers })).toMatchObject({ status: 401 });
  });

  test('a request with a token of somebody else ends no session: any page can make a browser send one', async () => {
    const { request, signedIn, actor } = await served();
    const mallory = await actor('root', 'mallory', []);
    const { cookie } = await signedIn(await actor('root', 'ada'));
    for (const [method, path] of [
      ['GET', '/sign-in/providers'],
      ['GET', '/me'],
      ['GET', '/session'],
      ['POST', '/session/_initiate'],
    ] as const) {
      const hit = await request(method, `${path}?auth_token=${await mallory.token()}`, {
        headers: { cookie },
        ...(method === 'POST' ? { body: {} } : {}),
      });
      expect(hit.headers.get('set-cookie')).toBeNull();
    }
    expect((await request('GET', '/session', { headers: { cookie } })).status).toBe(200);
    // A token that begins a session takes the place of the one that is there.
    const begun = await request('POST', `/session/_initiate?auth_token=${await mallory.token({ nonce: 'n1' })}`, { headers: { cookie }, body: {} });
    expect(begun).toMatchObject({ status: 200, body: { actor_id: mallory.id } });
    expect((await request('GET', '/session', { headers: { cookie } })).status).toBe(401);
  });

  test('what is made in a session does not outlive it, however often it is made anew', async () => {
    const { request, signedIn, actor } = await served({ lifetimes: { idleMs: 60_000, absoluteMs: 60_000 } });
    const { cookie, xsrf } = await signedIn(await actor('root', 'ada'));
    const headers = { cookie, 'x-xsrf-token': xsrf };
    const end = Date.parse((await request('GET', '/session', { headers })).body.expires_at);
    const body = { audiences: ['admin-api'], lifetime: 3600 };
    const first = await request('POST', '/tokens', { headers, body });
    expect(first.status).toBe(201);
    const second = await request('POST', '/tokens', { token: first.body.token, body });
    for (const { body: made } of [first, second]) {
      expect(Date.parse(made.expires_at)).toBeLessThanOrEqual(end);
      expect((await request('GET', '/me', { token: made.token })).status).toBe(200);
    }
  });

  test('a session that somebody planted is gone when the person signs in', async () => {
    const { browser: newBrowser, handOff, signedIn, request, actor } = await served();
    const [ada, mallory] = [await actor('root', 'ada'), await actor('root', 'mallory')];
    const planted = await signedIn(mallory);
    const own = await signedIn(ada);
    for (const cookie of [planted.cookie, own.cookie]) {
      const [name = '', value = ''] = cookie.split('=');
      const browser = newBrowser();
      browser.plant(CONSOLE, name, value);
      const headers = { authorization: `Bearer ${await handOff(ada)}` };
      await browser.call(CONSOLE, 'POST', `${CONSOLE}/session/_initiate`, { body: {}, headers });
      expect(browser.cookies(CONSOLE).get(name)?.value).toMatch(/^[\w-]{43}$/);
      expect(browser.cookies(CONSOLE).get(name)?.value).not.toBe(value);
      expect(await browser.call(CONSOLE, 'GET', `${CONSOLE}/me`)).toMatchObject({ body: { actor: { id: ada.id } } });
      expect(await request('GET', '/session', { headers: { cookie } })).toMatchObject({ status: 401 });
    }
    // Two cookies of the name, of which one may be planted, are none.
    const both = `${own.cookie}; ${planted.cookie}`;
    expect(await request('GET', '/session', { headers: { cookie: both } })).toMatchObject({ status: 401 });
  });

  test('no return URL leads anywhere but where it may', async () => {
    const { request, signedIn, actor } = await served();
    const { cookie, xsrf } = await signedIn(await actor('root', 'ada'));
    const bad = [
      EVIL,
      `${CONSOLE}.evil.example/`,
      `${CONSOLE}@evil.example/`,
      '//evil.example',
      `${CONSOLE}\\@evil.example`,
      '/x',
      'javascript:alert(1)',
      '',
    ];
    for (const return_to_url of [...bad, `${CONSOLE}/?auth_token=x`, `${CONSOLE}/%2f%2fevil.example`, MARKET]) {
      const body = { return_to_url };
      expect(await request('POST', '/session/_initiate', { body })).toMatchObject(problem(400, 'return_url_not_allowed'));
      expect(await request('POST', '/session/_initiate', { body, headers: { cookie } })).toMatchObject(problem(400, 'return_url_not_allowed'));
      const end = await request('POST', `/session/_terminate?return_to_url=${encodeURIComponent(return_to_url)}`, {
        headers: { cookie, 'x-xsrf-token': xsrf },
      });
      expect(end).toMatchObject(problem(400, 'return_url_not_allowed'));
    }
    const here = await request('POST', '/session/_initiate', { body: { return_to_url: `${CONSOLE}/x` } });
    expect(here).toMatchObject(problem(401, 'session_required'));
    // Nobody has said where people sign in.
    expect(here.body).not.toHaveProperty('redirect_url');
  });

  test('signing out with a token ends the session beside it, and without a session nothing', async () => {
    const { request, signedIn, actor } = await served();
    const ada = await actor('root', 'ada');
    const { cookie } = await signedIn(ada);
    expect(await request('POST', '/session/_terminate', { as: ada, headers: { cookie }, body: {} })).toMatchObject({ status: 200, body: {} });
    expect(await request('GET', '/session', { headers: { cookie } })).toMatchObject({ status: 401 });
    expect(await request('POST', '/session/_terminate', { as: ada })).toMatchObject({ status: 200, body: {} });
    expect(await request('GET', '/session', { as: ada })).toMatchObject(problem(404, 'session_not_found'));
  });
});
