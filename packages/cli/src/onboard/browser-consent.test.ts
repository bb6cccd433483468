import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { capture, type Printed } from './captured-output.test.support.js';
import { clientSecret, consentInBrowser, type IdentityProvider, startIdentityProvider } from './identity-provider.test.support.js';
import { onboard } from './onboard-command.test.support.js';

let server: IdentityProvider;
let printed: Printed;
beforeAll(async () => {
  server = await startIdentityProvider();
});
afterAll(() => server.close());
beforeEach(() => {
  printed = capture();
});
afterEach(() => {
  printed.restore();
  vi.unstubAllEnvs();
});

const scope = ['--scope', 'openid offline_access', '--extra-param', 'prompt=consent'];
const byEndpoints = (): string[] => [
  '--authorize-url',
  `${server.issuer}/auth`,
  '--token-url',
  `${server.issuer}/token`,
  '--allow-http',
  '--no-browser',
];
const byIssuer = (): string[] => ['--issuer', server.issuer, '--allow-http', '--no-browser'];
const address = async (): Promise<string> => (await printed.said(/^ {2}(http:\S+)\n/m))[1];

/** What the server makes of a refresh token. */
async function isGood(token: string, client: Record<string, string>): Promise<boolean> {
  const response = await fetch(`${server.issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token, ...client }),
  });
  return response.status === 200;
}

describe('consent by the browser', () => {
  test('a public client gets a refresh token that works, alone on standard output', async () => {
    const running = onboard('oauth', '--client-id', 'public', ...byEndpoints(), ...scope);
    const callback = await consentInBrowser(await address());
    const answer = await fetch(callback ?? '');
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('Authorization complete');
    expect(await running).toBe(0);
    expect(printed.stdout()).toMatch(/^[\w-]+$/);
    expect(printed.stderr()).not.toContain(printed.stdout());
    expect(await isGood(printed.stdout(), { client_id: 'public' })).toBe(true);
  });

  test.each([
    ['posting', byEndpoints, []],
    ['posting', byEndpoints, ['--no-pkce']],
    ['basic', byEndpoints, ['--client-auth', 'basic']],
    ['posting', byIssuer, ['--client-auth', 'post']],
    ['basic', byIssuer, ['--client-auth', 'basic']],
  ] as const)('the secret of client %s', async (client, where, more) => {
    vi.stubEnv('CHAPERONE_ONBOARD_CLIENT_SECRET', clientSecret);
    const running = onboard('oauth', '--client-id', client, ...where(), ...scope, ...more);
    const url = await address();
    expect(new URL(url).searchParams.get('code_challenge_method')).toBe(more.includes('--no-pkce' as never) ? null : 'S256');
    await fetch((await consentInBrowser(url)) ?? '');
    expect(await running).toBe(0);
    expect(printed.stdout()).toMatch(/^[\w-]+$/);
    expect(printed.stderr()).not.toContain(clientSecret);
  });

  test('what is stray is answered 400, and the session goes on', async () => {
    const running = onboard('oauth', '--client-id', 'public', ...byEndpoints(), ...scope);
    const url = await address();
    const callback = new URL(url).searchParams.get('redirect_uri') ?? '';
    const state = new URL(url).searchParams.get('state') ?? '';
    const status = async (query: string): Promise<number> => (await fetch(`${callback}${query}`)).status;
    expect(await status('')).toBe(400);
    expect(await status('?code=x&state=wrong')).toBe(400);
    expect(await status('?error=access_denied&state=wrong')).toBe(400);
    expect(await status('?error=access_denied')).toBe(400);
    expect(await status(`?code=x&state=${state}&state=${state}`)).toBe(400);
    expect(await status(`?state=${state}`)).toBe(400);
    expect(await status(`?state=${state}&code=x&code=y`)).toBe(400);
    expect((await fetch(new URL('/favicon.ico', callback))).status).toBe(404);
    expect((await fetch(callback, { method: 'POST' })).status).toBe(405);
    await fetch((await consentInBrowser(url)) ?? '');
    expect(await running).toBe(0);
  });

  test('a refusal with the right state ends it', async () => {
    const running = onboard('oauth', '--client-id', 'public', ...byEndpoints(), ...scope);
    const answer = await fetch((await consentInBrowser(await address(), { refuse: true })) ?? '');
    expect(answer.status).toBe(400);
    expect(await running).toBe(4);
    expect(printed.stderr()).toContain('The consent was not given: access_denied');
    expect(printed.stdout()).toBe('');
  });

  test('a connection that the browser opened ahead of need keeps nothing from ending', async () => {
    const running = onboard('oauth', '--client-id', 'public', ...byEndpoints(), ...scope);
    const url = await address();
    const idle = connect(Number(new URL(new URL(url).searchParams.get('redirect_uri') ?? '').port), '127.0.0.1');
    await once(idle, 'connect');
    await fetch((await consentInBrowser(url)) ?? '');
    expect(await running).toBe(0);
    idle.destroy();
  });

  test('nobody consents in time', async () => {
    expect(await onboard('oauth', '--client-id', 'public', ...byEndpoints(), '--timeout', '1s')).toBe(2);
    expect(printed.stderr()).toContain('code: onboarding_timeout');
  });

  test('the wrong secret: the exchange fails, and no secret is shown', async () => {
    vi.stubEnv('SALLYPORT_ONBOARD_CLIENT_SECRET', 'a-wrong-client-secret');
    const running = onboard('oauth', '--client-id', 'posting', ...byEndpoints(), ...scope);
    const callback = (await consentInBrowser(await address())) ?? '';
    await fetch(callback);
    expect(await running).toBe(3);
    expect(printed.stderr()).toMatch(/answered 401: invalid_client/);
    expect(printed.stderr()).not.toContain('a-wrong-client-secret');
    expect(printed.stderr()).not.toContain(new URL(callback).searchParams.get('code'));
    expect(printed.stdout()).toBe('');
  });

  test('no refresh token: says what to ask for', async () => {
    const running = onboard('oauth', '--client-id', 'impatient', ...byEndpoints(), '--scope', 'openid');
    await fetch((await consentInBrowser(await address())) ?? '');
    expect(await running).toBe(3);
    expect(printed.stderr()).toMatch(/offline_access.*prompt=consent/);
  });

  test('the port can be taken', async () => {
    const port = new URL(server.issuer).port;
    expect(await onboard('oauth', '--client-id', 'public', ...byEndpoints(), '--port', port)).toBe(4);
    expect(printed.stderr()).toContain('code: address_in_use');
  });
});
