import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type MicrosoftOptions, onboardMicrosoft } from '../commands/onboard.js';
import { browserCommand } from './browser.js';
import { capture, type Printed } from './captured-output.test.support.js';
import { onboard } from './onboard-command.test.support.js';
import { openStore } from './open-store.js';
import { startTokenServer, type TokenServer } from './token-server.test.support.js';

let printed: Printed;
beforeEach(() => {
  printed = capture();
});
afterEach(() => {
  printed.restore();
  vi.unstubAllEnvs();
});

const oauth = (...args: string[]): string[] => ['oauth', '--client-id', 'c', ...args];
const endpoints = ['--authorize-url', 'https://a.example/auth', '--token-url', 'https://a.example/token'];

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-onboard-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

describe('1: options that cannot be', () => {
  test.each([
    ['nothing to go to', oauth(), 'not known where to get the token'],
    ['no authorization endpoint', oauth('--token-url', 'https://a.example/token'), '--authorize-url is missing'],
    ['no device endpoint', oauth(...endpoints, '--device'), '--device-url is missing'],
    ['http', oauth('--authorize-url', 'http://a.example', '--token-url', 'https://a.example'), '--authorize-url is not https'],
    ['no URL', oauth('--authorize-url', 'https://a.example', '--token-url', 'a.example'), '--token-url is not an absolute URL'],
    ['a password', oauth('--issuer', 'https://me:pw-of-mine@a.example'), '--issuer carries a name or a password'],
    ['a fragment', oauth('--issuer', 'https://a.example/#x'), '--issuer carries a fragment'],
    ['both', oauth('--issuer', 'https://a.example', ...endpoints), 'Name the issuer or the endpoints'],
    ['two ways', oauth(...endpoints, '--device', '--paste'), 'Choose one of them'],
    ['a redirect URI for the browser', oauth(...endpoints, '--redirect-uri', 'https://a.example'), '--paste only'],
    ['no PKCE for a device', oauth(...endpoints, '--device', '--no-pkce'), '--no-pkce'],
    ['a parameter of ours', oauth(...endpoints, '--extra-param', 'state=mine'), '--extra-param cannot set "state"'],
    ['a parameter with an option of its own', oauth(...endpoints, '--extra-param', 'scope=all'), 'Use --scope'],
    ['a parameter without a value', oauth(...endpoints, '--extra-param', 'prompt'), 'name=value'],
    ['a parameter twice', oauth(...endpoints, '--extra-param', 'a=1', '--extra-param', 'a=2'), 'twice'],
    ['no such secret file', oauth(...endpoints, '--client-secret-file', '/nowhere/secret'), '(ENOENT)'],
    ['force without a store', oauth(...endpoints, '--force'), '--store only'],
    ['an unknown store', oauth(...endpoints, '--store', 'drawer:top'), 'names no store'],
    ['a store without a place', oauth(...endpoints, '--store', 'file:'), 'names no store'],
    ['a tenant with a slash', ['microsoft', '--client-id', 'c', '--tenant', '../x'], '--tenant'],
    [
      'an endpoint with a query',
      ['microsoft', '--client-id', 'c', '--tenant', 'x', '--endpoint', 'https://a.example/?x'],
      '--endpoint carries a query',
    ],
  ])('%s', async (_, args, said) => {
    expect(await onboard(...args)).toBe(1);
    expect(printed.stderr()).toContain(said);
    expect(printed.stderr()).not.toContain('pw-of-mine');
    expect(printed.stdout()).toBe('');
  });

  test.each([
    ['oauth'],
    ['microsoft', '--client-id', 'c'],
    oauth('--port', '70000'),
    oauth('--timeout', '5'),
    oauth('--timeout', '2h'),
    oauth('--client-auth', 'jwt'),
    oauth('--client-secret', 'never-a-flag'),
  ])('%j %j %j %j', async (...args) => {
    expect(await onboard(...args)).toBe(1);
  });
});

describe('the issuer', () => {
  test.each([
    ['is not there', [404, 'nothing here'], 'with status 404'],
    ['calls itself something else', [200, { issuer: 'https://other.example' }], 'does not match'],
    ['names something insecure', [200, { token_endpoint: 'ftp://x' }], 'token_endpoint is not an absolute URL'],
    [
      'has no device endpoint',
      [200, { token_endpoint: 'https://a.example/t', authorization_endpoint: 'https://a.example/a' }],
      'device_authorization_endpoint',
    ],
    ['sends too much', [200, { filler: 'x'.repeat(1_100_000) }], 'larger than 1 MiB'],
  ] as const)('%s', async (_, [status, body], said) => {
    // The port is known only once the script is made.
    const answer: [number, unknown] = [status, body];
    const server = await startTokenServer([answer]);
    onTestFinished(() => server.close());
    if (typeof body === 'object') answer[1] = { issuer: server.origin, ...body };
    const code = await onboard(...oauth('--issuer', server.origin, '--allow-http', '--device'));
    expect(printed.stderr()).toContain(said);
    expect(code).toBe(said.startsWith('device_') ? 1 : 4);
  });
});

/** Microsoft’s first version: numbers as texts, and an ID token that nobody can check here. */
async function microsoft(answer: object): Promise<TokenServer> {
  const server = await startTokenServer([
    [200, { token_type: 'Bearer', expires_in: '3599', access_token: 'a', id_token: 'x.y.', resource: 'https://r.example', ...answer }],
  ]);
  onTestFinished(() => server.close());
  return server;
}

async function comeBack(): Promise<URL> {
  const url = new URL((await printed.said(/^ {2}(http:\S+)\n/m))[1]);
  await fetch(
    `${url.searchParams.get('redirect_uri')}?code=the-code&state=${url.searchParams.get('state')}&session_state=s&iss=https%3A%2F%2Fsts.example`,
  );
  return url;
}

describe('microsoft', () => {
  const options = (server: TokenServer, more: Partial<MicrosoftOptions> = {}): MicrosoftOptions => ({
    clientId: 'app',
    tenant: 'contoso.example',
    endpoint: `${server.origin}/`,
    resource: 'https://r.example',
    port: 0,
    timeout: '5m',
    browser: false,
    allowHttp: true,
    ...more,
  });

  test('asks the endpoints of the tenant for the resource, always with PKCE', async () => {
    const server = await microsoft({ refresh_token: 'the-refresh-token' });
    const file = join(directory(), 'secret');
    writeFileSync(file, 'the-client-secret\n');
    const running = onboardMicrosoft(options(server, { clientSecretFile: file }));
    const url = await comeBack();
    expect(await running).toBe(0);
    expect(printed.stdout()).toBe('the-refresh-token');
    expect(url.pathname).toBe('/contoso.example/oauth2/authorize');
    expect(url.searchParams.get('resource')).toBe('https://r.example');
    expect(url.searchParams.get('code_challenge_method')).toBe('S256');
    expect(server.asked[0].path).toBe('/contoso.example/oauth2/token');
    expect(Object.fromEntries(server.asked[0].form)).toEqual({
      grant_type: 'authorization_code',
      client_id: 'app',
      client_secret: 'the-client-secret',
      code: 'the-code',
      code_verifier: expect.stringMatching(/^[\w-]{43}$/),
      redirect_uri: url.searchParams.get('redirect_uri'),
      resource: 'https://r.example',
    });
  });

  test('puts the token into a store under the tenant, and asks for --force the next time', async () => {
    const server = await microsoft({ refresh_token: 'the-refresh-token' });
    const store = `dir:${directory()}/tokens`;
    const running = onboardMicrosoft(options(server, { store }));
    await comeBack();
    expect(await running).toBe(0);
    expect(printed.stdout()).toBe('');
    expect(printed.stderr()).toMatch(/The refresh token is in files in .*, under "contoso.example"\./);
    const { record } = await openStore(store, {}).read('contoso.example', new AbortController().signal);
    expect(record.refreshToken.reveal()).toBe('the-refresh-token');
    expect(await onboardMicrosoft(options(server, { store }))).toBe(4);
    expect(printed.stderr()).toContain('--force');
    printed.restore();
    printed = capture();
    const again = onboardMicrosoft(options(server, { store, force: true }));
    await comeBack();
    expect(await again).toBe(0);
  });
});

describe('the browser', () => {
  test('is opened with the address and without the secret; when that fails the address is shown', async () => {
    const path = directory();
    const script = (text: string): void => {
      writeFileSync(join(path, 'xdg-open'), `#!/bin/sh\n${text}\n`);
      chmodSync(join(path, 'xdg-open'), 0o700);
    };
    vi.stubEnv('SALLYPORT_ONBOARD_CLIENT_SECRET', 'the-client-secret');
    vi.stubEnv('PATH', `${path}:${process.env.PATH}`);
    const server = await microsoft({ refresh_token: 'the-refresh-token' });
    const args = oauth('--authorize-url', `${server.origin}/a?x='$(id)\`&y=1;id`, '--token-url', `${server.origin}/t`, '--allow-http');
    script(`printf '%s' "$1" > ${path}/opened; env > ${path}/env; exit 3`);
    const running = onboard(...args);
    const url = await comeBack();
    expect(await running).toBe(0);
    expect(printed.stderr()).toContain('It cannot be opened');
    expect(readFileSync(join(path, 'opened'), 'utf8')).toBe(url.href);
    expect(url.searchParams.get('x')).toBe("'$(id)`");
    expect(readFileSync(join(path, 'env'), 'utf8')).not.toContain('the-client-secret');
  });

  test.each(['linux', 'darwin', 'win32'] as const)('on %s gets the address as one argument of a program', (platform) => {
    const url = 'https://a.example/?a=1&b=%41|calc';
    const { command, args } = browserCommand(platform, url);
    expect(args.at(-1)).toBe(url);
    expect(command).not.toMatch(/cmd|sh$/);
  });
});
