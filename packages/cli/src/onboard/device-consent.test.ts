import { Secret } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { capture, type Printed } from './captured-output.test.support.js';
import { consentByDevice } from './device-consent.js';
import { discover } from './discovery.js';
import { consentInBrowser, startIdentityProvider } from './identity-provider.test.support.js';
import { onboard } from './onboard-command.test.support.js';
import { progressOn } from './progress.js';
import type { Provider } from './provider.js';
import { startTokenServer, type TokenServer } from './token-server.test.support.js';

let printed: Printed;
beforeEach(() => {
  printed = capture();
});
afterEach(() => printed.restore());

const device = (more: object = {}): [number, object] => [
  200,
  { device_code: 'the-device-code', user_code: 'ABCD-EFGH', verification_uri: 'https://example.com/device', expires_in: 100, interval: 7, ...more },
];
const error = (name: string, more: object = {}): [number, object] => [400, { error: name, ...more }];
const token: [number, object] = [200, { access_token: 'a', token_type: 'something', expires_in: null, refresh_token: 'the-refresh-token' }];

async function scripted(...script: Parameters<typeof startTokenServer>[0]): Promise<TokenServer> {
  const server = await startTokenServer(script);
  onTestFinished(() => server.close());
  return server;
}

const common: Omit<Provider, 'server' | 'issuerKnown'> = {
  clientId: 'client',
  clientSecret: null,
  clientAuth: 'post',
  scope: 'offline_access',
  resource: null,
  extra: [],
  pkce: true,
  allowHttp: true,
};

/** Asks such a server; the seconds that were waited before each question come with the outcome. */
async function run(server: TokenServer, clientSecret: string | null = null): Promise<{ waits: number[]; outcome: Promise<Secret> }> {
  const waits: number[] = [];
  const provider: Provider = {
    ...common,
    server: { issuer: server.origin, token_endpoint: `${server.origin}/token`, device_authorization_endpoint: `${server.origin}/device` },
    issuerKnown: false,
    clientSecret: clientSecret === null ? null : new Secret(clientSecret),
    resource: 'https://api.example.com',
    extra: [['audience', 'somebody']],
  };
  const outcome = consentByDevice(provider, {
    progress: progressOn(process.stderr),
    timeLimit: new AbortController().signal,
    wait: async (milliseconds) => void waits.push(milliseconds / 1000),
  });
  await outcome.catch(() => {});
  return { waits, outcome };
}

describe('a device code', () => {
  test('of a real server, found by its issuer', async () => {
    const server = await startIdentityProvider();
    onTestFinished(() => server.close());
    const provider = {
      ...common,
      server: await discover(server.issuer, true),
      issuerKnown: true,
      clientId: 'public',
      scope: 'openid offline_access',
    };
    let consented: Promise<unknown> | undefined;
    const token = await consentByDevice(
      { ...provider, extra: [['prompt', 'consent']] },
      {
        progress: progressOn(process.stderr),
        timeLimit: new AbortController().signal,
        wait: () => {
          const [, withCode] = /has the code in it:\n\n {2}(\S+)\n/.exec(printed.stderr()) ?? [];
          consented ??= consentInBrowser(withCode ?? '');
          return consented;
        },
      },
    );
    expect(printed.stderr()).toMatch(/code: [A-Z]{4}-[A-Z]{4}/);
    expect(token.reveal()).toMatch(/^[\w-]+$/);
  });

  test('by the command, with nothing but the token on standard output', async () => {
    const server = await scripted(device({ interval: 0.001 }), token);
    const endpoints = ['--token-url', `${server.origin}/token`, '--device-url', `${server.origin}/device`];
    expect(await onboard('oauth', '--client-id', 'c', '--device', ...endpoints, '--allow-http')).toBe(0);
    expect(printed.stdout()).toBe('the-refresh-token');
    expect(server.asked.map(({ path }) => path)).toEqual(['/device', '/token']);
  });

  test('asks for what was asked for, then as often as the server says', async () => {
    const server = await scripted(device(), error('authorization_pending'), error('slow_down'), error('authorization_pending'), token);
    const { waits, outcome } = await run(server);
    expect((await outcome).reveal()).toBe('the-refresh-token');
    expect(waits).toEqual([7, 7, 12, 12]);
    const [first, second] = server.asked;
    expect(Object.fromEntries(first.form)).toEqual({
      client_id: 'client',
      scope: 'offline_access',
      resource: 'https://api.example.com',
      audience: 'somebody',
    });
    expect(second.form.get('device_code')).toBe('the-device-code');
  });

  test('five seconds when the server does not say, and longer while it cannot be reached', async () => {
    const { waits, outcome } = await run(
      await scripted(device({ interval: undefined }), 'drop', [503, 'busy'], error('authorization_pending'), token),
    );
    await outcome;
    expect(waits).toEqual([5, 10, 20, 20]);
  });

  test.each([
    ['the server says that it expired', error('expired_token')],
    ['it is over by our own count', error('authorization_pending')],
  ])('expires: %s', async (_, answer) => {
    const { waits, outcome } = await run(await scripted(device(), answer));
    await expect(outcome).rejects.toMatchObject({ code: 'onboarding_timeout' });
    expect(waits.reduce((sum, wait) => sum + wait, 0)).toBeLessThan(100);
  });

  test('nobody consents in time', async () => {
    const server = await scripted(device(), error('authorization_pending'));
    const over = new AbortController();
    const provider = {
      ...common,
      server: { issuer: server.origin, token_endpoint: server.origin, device_authorization_endpoint: server.origin },
      issuerKnown: false,
    };
    const outcome = consentByDevice(provider, { progress: progressOn(process.stderr), timeLimit: over.signal });
    await printed.said(/Waiting/);
    over.abort();
    await expect(outcome).rejects.toMatchObject({ code: 'onboarding_timeout' });
  });

  test('refused', async () => {
    const { outcome } = await run(await scripted(device(), error('access_denied', { error_description: 'not\u001b[2J today' })));
    await expect(outcome).rejects.toMatchObject({ code: 'onboarding_denied', message: 'The consent was not given: access_denied (not [2J today).' });
  });

  test('other errors end it, without the secrets that they quote', async () => {
    const answer = error('invalid_grant', { error_description: 'bad the-device-code from client-secret-1' });
    const { outcome } = await run(await scripted(device(), answer), 'client-secret-1');
    await expect(outcome).rejects.toMatchObject({
      code: 'onboarding_exchange_failed',
      message: expect.stringContaining('(bad [secret] from [secret])'),
    });
  });

  test('no refresh token', async () => {
    const { outcome } = await run(await scripted(device(), [200, { access_token: 'a', token_type: 'bearer' }]));
    await expect(outcome).rejects.toMatchObject({ code: 'onboarding_token_missing' });
  });

  test('no code at all', async () => {
    const { outcome } = await run(await scripted([404, 'nothing here']));
    await expect(outcome).rejects.toMatchObject({ code: 'onboarding_exchange_failed', message: expect.stringContaining('with status 404') });
  });

  test('what the server sends does not steer the terminal', async () => {
    await run(await scripted(device({ user_code: 'A\u001b]0;x\u0007B', verification_uri: 'https://example.com/\u202edevice' }), token));
    expect(printed.stderr()).toContain('code: A ]0;x B');
    expect(printed.stderr()).not.toMatch(/[\u001b\u0007\u202e]/);
  });
});
