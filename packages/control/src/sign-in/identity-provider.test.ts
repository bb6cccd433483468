import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type IdentityProvider, openIdentityProvider } from './identity-provider.js';
import { type IdentityProviderInput, readIdentityProvider } from './identity-provider-config.js';
import {
  clientSecret,
  type Desk,
  type LoopbackServer,
  providerInput,
  type Script,
  signInAt,
  startOidcProvider,
  startScriptedProvider,
} from './identity-providers.test.support.js';

const script: Script = {};
const desk: Desk = { subject: 'ada', groups: ['staff'], more: {} };
let scripted: LoopbackServer;
let real: LoopbackServer;

beforeAll(async () => {
  [scripted, real] = [await startScriptedProvider(script), await startOidcProvider(desk, 'client_secret_basic')];
});
afterAll(async () => {
  await scripted.close();
  await real.close();
});
afterEach(() => {
  vi.useRealTimers();
  for (const name of Object.keys(script) as (keyof Script)[]) delete script[name];
});

function open(more: Partial<IdentityProviderInput> = {}, options: Parameters<typeof openIdentityProvider>[1] = {}): IdentityProvider {
  return openIdentityProvider(readIdentityProvider(providerInput(scripted.origin, more)), options);
}

/** What comes of the answer that the script makes. */
async function answerOf(provider: IdentityProvider = open(), signal?: AbortSignal): Promise<unknown> {
  const checks = await provider.newChecks();
  script.nonce ??= checks.nonce;
  const query = new URLSearchParams({ code: 'a-code-of-the-provider', state: checks.state });
  return provider.claims(query, checks, signal).catch((error: unknown) => error);
}

const invalid = { code: 'sign_in_answer_invalid', status: 400 };
const unavailable = { code: 'sign_in_provider_unavailable', status: 503 };

describe('what an identity provider says', () => {
  test('is taken when everything holds', async () => {
    expect(await answerOf()).toMatchObject({ iss: scripted.origin, sub: 'ada', groups: ['staff'] });
  });

  const now = Math.floor(Date.now() / 1000);
  const wrong: readonly (readonly [string, Script])[] = [
    ['has expired', { claims: { exp: now - 3600 } }],
    ['does not expire', { claims: { exp: undefined } }],
    ['is for another client', { claims: { aud: 'another' } }],
    ['is for several clients and authorizes another', { claims: { aud: ['sallyport', 'another'], azp: 'another' } }],
    ['is of another issuer', { claims: { iss: 'https://evil.example' } }],
    ['is of nobody', { claims: { sub: undefined } }],
    ['has another nonce', { nonce: 'another' }],
    ['has no nonce', { claims: { nonce: undefined } }],
    ['is signed with another key', { signedWith: 'another key' }],
    ['is not signed', { signedWith: 'nothing' }],
    ['is missing', { tokenAnswer: { status: 200, type: 'application/json', body: '{"access_token":"an-access-token","token_type":"Bearer"}' } }],
    [
      'is none',
      { tokenAnswer: { status: 200, type: 'application/json', body: '{"id_token":"x","access_token":"an-access-token","token_type":"Bearer"}' } },
    ],
    [
      'is an error',
      { tokenAnswer: { status: 400, type: 'application/json', body: '{"error":"invalid_grant","error_description":"an-access-token"}' } },
    ],
  ];
  test.each(wrong)('is refused when the ID token %s, and nothing of it is repeated', async (_, said) => {
    Object.assign(script, said);
    const error = await answerOf();
    expect(error).toMatchObject(invalid);
    const text = inspect(error, { depth: 9 });
    for (const secret of ['an-access-token', 'a-code-of-the-provider', clientSecret, 'eyJ']) expect(text).not.toContain(secret);
  });

  test.each([
    ['fails', { tokenAnswer: { status: 500, type: 'text/html', body: 'an-access-token' } }],
    ['answers with a page', { tokenAnswer: { status: 200, type: 'text/html', body: 'an-access-token' } }],
    ['answers with no JSON', { tokenAnswer: { status: 200, type: 'application/json', body: '{"access_token":"an-access-token"' } }],
    ['answers without end', { tokenAnswer: { status: 200, type: 'application/json', body: `{"x":"${'an-access-token'.repeat(100_000)}"}` } }],
    ['redirects', { tokenAnswer: { status: 302, type: 'application/json', body: '' } }],
  ] satisfies readonly (readonly [string, Script])[])('is unavailable when the provider %s', async (_, said) => {
    Object.assign(script, said);
    const error = await answerOf();
    expect(error).toMatchObject(unavailable);
    expect(inspect(error, { depth: 9 })).not.toContain('an-access-token');
  });

  test('is waited for as long as is configured, and no longer than the signal allows', async () => {
    script.hangs = true;
    const provider = open({}, { timeoutMs: 50 });
    expect(await answerOf(provider)).toMatchObject(unavailable);
    const patient = open();
    const reason = new Error('the browser is gone');
    const signal = new AbortController();
    const answer = answerOf(patient, signal.signal);
    setImmediate(() => signal.abort(reason));
    expect(await answer).toBe(reason);
    expect(await answerOf(patient, AbortSignal.abort(reason))).toBe(reason);
  });

  test('a provider that is down is told as that, and is asked again the next time', async () => {
    const gone = await startScriptedProvider({});
    await gone.close();
    const provider = openIdentityProvider(readIdentityProvider(providerInput(gone.origin)));
    for (let time = 0; time < 2; time += 1) {
      await expect(provider.authorizationUrl(await provider.newChecks())).rejects.toThrow(expect.objectContaining(unavailable));
    }
  });

  test('a discovery document of another issuer is refused', async () => {
    const provider = open({ issuer: `${scripted.origin}/tenant` });
    const error = await provider
      .newChecks()
      .then((checks) => provider.authorizationUrl(checks))
      .catch((failure: unknown) => failure);
    expect(error).toMatchObject(invalid);
  });

  test('the provider is discovered once for many at once, anew after an hour, and what is known stays good while it is down', async () => {
    const clock = { now: 0 };
    const provider = open({}, { clock: () => clock.now, timeoutMs: 200 });
    const checks = await provider.newChecks();
    const ask = () => provider.authorizationUrl(checks);
    const urls = await Promise.all(Array.from({ length: 5 }, ask));
    expect(new Set(urls).size).toBe(1);
    expect(script.discoveries).toBe(1);
    clock.now += 3_600_000;
    await ask();
    expect(script.discoveries).toBe(2);
    clock.now += 3_600_000;
    script.hangs = true;
    expect(await ask()).toBe(urls[0]);
  });

  test('the provider is discovered anew after an hour, also when the clock was wrong in between and was put right', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] });
    const provider = open();
    const checks = await provider.newChecks();
    const right = Date.now();
    vi.setSystemTime(right + 365 * 86_400_000);
    await provider.authorizationUrl(checks);
    vi.setSystemTime(right);
    vi.advanceTimersByTime(3_600_000);
    await provider.authorizationUrl(checks);
    expect(script.discoveries).toBe(2);
  });

  test('is asked of the userinfo endpoint too where that is configured; the ID token has the last word', async () => {
    const provider = openIdentityProvider(readIdentityProvider(providerInput(real.origin, { userinfo: true, max_age_seconds: 60 })));
    const checks = await provider.newChecks();
    const query = (await signInAt(await provider.authorizationUrl(checks))).searchParams;
    expect(await provider.claims(query, checks)).toMatchObject({ sub: 'ada', groups: ['staff'], auth_time: expect.any(Number) });
  });

  test('somebody who authenticated too long ago has to do so again', async () => {
    script.claims = { auth_time: Math.floor(Date.now() / 1000) - 3600 };
    expect(await answerOf(open({ max_age_seconds: 600 }))).toMatchObject(invalid);
    delete script.nonce;
    script.claims = {};
    expect(await answerOf(open({ max_age_seconds: 600 }))).toMatchObject(invalid);
  });

  test('a provider without a place to sign out has none', async () => {
    expect(await open().logoutUrl('https://app.example.com/')).toBeUndefined();
  });

  test('the secret of the client is in nothing that is printed', () => {
    expect(inspect(open(), { depth: 9 }) + JSON.stringify(open())).not.toContain(clientSecret);
  });
});
