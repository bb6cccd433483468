import { createHash } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';
import { afterEach, describe, expect, test } from 'vitest';
import type { Caller } from '../exchange.js';
import { rawClient } from '../testing/raw-client.test.support.js';
import { plainScene, problem, stopEverything } from '../testing/scene.test.support.js';
import { echo } from '../testing/scripted-upstream.test.support.js';
import { type CertificateConfig, compileCertificatePattern } from '../tls/mutual/certificate-pattern.js';
import type { ClientCertificate, PresentedCertificate } from '../tls/mutual/client-certificate.js';
import { parseDistinguishedName } from '../tls/mutual/distinguished-name.js';
import { CallerRegistry, digestToken } from './callers.js';
import { type Identity, identify, presentedToken, stillHolds } from './identify.js';
import { FailureThrottle } from './throttle.js';

afterEach(stopEverything);

const TOKEN = 'a-token-of-a-caller';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('a Proxy-Authorization field', () => {
  test.each([
    ['Basic with any user name', `Basic ${base64(`someone:${TOKEN}`)}`, TOKEN],
    ['Basic without a user name', `Basic ${base64(`:${TOKEN}`)}`, TOKEN],
    ['Basic with the token as user name, as in http://TOKEN@host', `Basic ${base64(`${TOKEN}:`)}`, TOKEN],
    ['a token with colons', `Basic ${base64('u:a:b:c')}`, 'a:b:c'],
    ['a scheme in lower case', `basic ${base64(`u:${TOKEN}`)}`, TOKEN],
    ['Bearer', `Bearer ${TOKEN}`, TOKEN],
    ['bearer', `bearer   ${TOKEN} `, TOKEN],
    ['another scheme', `Digest username="${TOKEN}"`, null],
    ['a scheme alone', 'Basic', null],
    ['nothing', '', null],
    ['Bearer with nothing', 'Bearer ', null],
    ['no colon', `Basic ${base64(TOKEN)}`, null],
    ['a colon alone', `Basic ${base64(':')}`, null],
    ['what is not Base64', 'Basic ???', null],
  ])('%s', (_, value, token) => {
    expect(presentedToken(value)).toBe(token);
  });
});

/** A registry with one caller by token and one on loopback. */
function registry(): { callers: CallerRegistry; ci: Caller; here: Caller } {
  const callers = new CallerRegistry();
  const ci: Caller = { name: 'ci', kind: 'token', credentials: 'all' };
  const here: Caller = { name: 'here', kind: 'loopback', credentials: new Set() };
  callers.add(ci, digestToken(TOKEN));
  callers.loopback = here;
  return { callers, ci, here };
}

describe('who is asking', () => {
  test('is the caller of the token, from anywhere', () => {
    const { callers, ci } = registry();
    expect(identify(TOKEN, '203.0.113.7', callers, new FailureThrottle())).toMatchObject({ caller: ci });
  });

  test.each(['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])('is the loopback caller at %s without a token', (address) => {
    const { callers, here } = registry();
    expect(identify(null, address, callers, new FailureThrottle())).toEqual({ caller: here, digest: null, certificate: null });
  });

  test.each(['203.0.113.7', '10.0.0.1', '::ffff:10.0.0.1', '::127.0.0.1', '1127.0.0.1', ''])('is nobody at %s without a token', (address) => {
    expect(identify(null, address, registry().callers, new FailureThrottle())).toMatchObject({ code: 'caller_required', status: 407 });
  });

  test('is nobody when the token is wrong, also where no token would have been fine', () => {
    expect(identify('wrong', '127.0.0.1', registry().callers, new FailureThrottle())).toMatchObject({ code: 'caller_unknown', status: 407 });
    expect(identify('', '127.0.0.1', registry().callers, new FailureThrottle())).toMatchObject({ code: 'caller_unknown' });
  });

  test('is not somebody else because a token was said twice or in a digest', () => {
    const digest = createHash('sha256').update(TOKEN).digest('base64');
    expect(identify(digest, '203.0.113.7', registry().callers, new FailureThrottle())).toMatchObject({ code: 'caller_unknown' });
  });

  test('holds only as long as the caller is registered', () => {
    const { callers, ci, here } = registry();
    const identity = { caller: ci, digest: digestToken(TOKEN), certificate: null };
    expect(stillHolds(identity, callers)).toBe(ci);
    callers.remove(digestToken(TOKEN));
    expect(stillHolds(identity, callers)).toBeNull();
    expect(stillHolds({ caller: here, digest: null, certificate: null }, callers)).toBe(here);
    callers.loopback = null;
    expect(stillHolds({ caller: here, digest: null, certificate: null }, callers)).toBeNull();
  });
});

describe('who is asking with a certificate', () => {
  const certificate = (dns: string, fingerprint = 'ab'.repeat(32)): ClientCertificate => ({
    fingerprint,
    subject: parseDistinguishedName(`CN=${dns}`),
    issuer: null,
    names: [{ kind: 'dns', value: dns }],
  });
  const presented = (one: ClientCertificate, refusal: SallyportError | null = null): PresentedCertificate => ({
    certificate: one,
    refusal: () => refusal,
  });
  const caller = (name: string): Caller => ({ name, kind: 'certificate', credentials: new Set() });
  const known = (...patterns: readonly [string, CertificateConfig][]): CallerRegistry => {
    const callers = new CallerRegistry();
    for (const [name, pattern] of patterns) callers.addCertificate(caller(name), compileCertificatePattern(pattern));
    return callers;
  };
  const ask = (callers: CallerRegistry, one: PresentedCertificate | null, token: string | null = null, address = '127.0.0.1') => {
    const found = identify(token, address, callers, new FailureThrottle(), one);
    return found instanceof SallyportError ? found.code : found.caller.name;
  };

  test('is the caller that names it most closely', () => {
    const fingerprint = 'ab'.repeat(32);
    const patterns: [string, CertificateConfig][] = [
      ['everyone', 'any'],
      ['wide', { san: ['dns:*.*.example.com'] }],
      ['narrow', { san: ['dns:*.eu.example.com'] }],
      ['exact', { san: ['dns:a.eu.example.com', 'dns:*.example.com'] }],
      ['both', { san: ['dns:b.eu.example.com'], subject: 'CN=b.eu.example.com' }],
      ['one', { fingerprint: [fingerprint] }],
    ];
    for (const order of [patterns, [...patterns].reverse()]) {
      const callers = known(...order);
      const other = 'cd'.repeat(32);
      expect(ask(callers, presented(certificate('somebody', other)))).toBe('everyone');
      expect(ask(callers, presented(certificate('a.us.example.com', other)))).toBe('wide');
      expect(ask(callers, presented(certificate('c.eu.example.com', other)))).toBe('narrow');
      expect(ask(callers, presented(certificate('a.eu.example.com', other)))).toBe('exact');
      expect(ask(callers, presented(certificate('b.eu.example.com', other)))).toBe('both');
      expect(ask(callers, presented(certificate('a.eu.example.com', fingerprint)))).toBe('one');
    }
  });

  test('is nobody when several name it equally well, and the answer lists them', () => {
    const callers = known(['b', { san: ['dns:a.example.com'] }], ['a', { subject: 'CN=a.example.com' }]);
    expect(identify(null, '127.0.0.1', callers, new FailureThrottle(), presented(certificate('a.example.com')))).toMatchObject({
      code: 'caller_ambiguous',
      status: 403,
      members: { candidates: ['a', 'b'] },
    });
  });

  test('is never the loopback caller, and nobody when no caller fits', () => {
    const { callers } = registry();
    expect(ask(callers, null)).toBe('here');
    expect(ask(callers, presented(certificate('a.example.com')))).toBe('client_certificate_unknown');
  });

  test('a token has to belong to a caller that names the certificate', () => {
    const { callers, ci } = registry();
    const both: Caller = { name: 'both', kind: 'token', credentials: 'all' };
    callers.add(both, digestToken('another-token-of-a-caller'), compileCertificatePattern({ san: ['dns:a.example.com'] }));
    const good = presented(certificate('a.example.com'));
    expect(ask(callers, null, TOKEN)).toBe(ci.name);
    expect(ask(callers, good, TOKEN)).toBe('client_certificate_unknown');
    expect(ask(callers, good, 'another-token-of-a-caller')).toBe('both');
    expect(ask(callers, presented(certificate('b.example.com')), 'another-token-of-a-caller')).toBe('client_certificate_unknown');
    expect(ask(callers, null, 'another-token-of-a-caller')).toBe('client_certificate_required');
    expect(ask(callers, good, 'a-token-nobody-has')).toBe('caller_unknown');
    const identity = identify('another-token-of-a-caller', '', callers, new FailureThrottle(), good) as Identity;
    expect(stillHolds(identity, callers)).toBe(both);
    callers.add(both, digestToken('another-token-of-a-caller'), compileCertificatePattern({ san: ['dns:c.example.com'] }));
    expect(stillHolds(identity, callers)).toBeNull();
  });

  test('is nobody any more once the certificate is not acceptable', () => {
    const callers = known(['everyone', 'any']);
    let refusal: SallyportError | null = null;
    const one: PresentedCertificate = { certificate: certificate('a.example.com'), refusal: () => refusal };
    const identity = identify(null, '', callers, new FailureThrottle(), one) as Identity;
    expect(stillHolds(identity, callers)?.name).toBe('everyone');
    expect(stillHolds(identity, known(['one', { subject: 'CN=b' }]))).toBeNull();
    refusal = new SallyportError('client_certificate_unacceptable');
    expect(stillHolds(identity, callers)).toBeNull();
    expect(ask(callers, one)).toBe('client_certificate_unacceptable');
  });
});

describe('guessing', () => {
  const attempt = (throttle: FailureThrottle, token: string, address = '203.0.113.7') => identify(token, address, registry().callers, throttle);

  test('is slowed down by address: 20 at once, then one every three seconds', () => {
    let now = 0;
    const throttle = new FailureThrottle(() => now);
    for (let i = 0; i < 20; i++) expect(attempt(throttle, `wrong ${i}`)).toMatchObject({ code: 'caller_unknown' });
    const throttled = attempt(throttle, 'wrong') as SallyportError;
    expect(throttled).toMatchObject({ code: 'caller_throttled', status: 429, members: { retry_after: 3 } });
    expect(attempt(throttle, 'wrong', '203.0.113.8')).toMatchObject({ code: 'caller_unknown' });
    // Not even the right token is looked at: an answer would tell it from the wrong ones.
    expect(attempt(throttle, TOKEN)).toMatchObject({ code: 'caller_throttled' });
    now = 3_000;
    expect(attempt(throttle, 'wrong')).toMatchObject({ code: 'caller_unknown' });
    expect(attempt(throttle, 'wrong')).toMatchObject({ code: 'caller_throttled' });
    now = 6_000;
    expect(attempt(throttle, TOKEN)).toMatchObject({ caller: { name: 'ci' } });
  });

  test('by one client does not lock out the good ones behind the same address', () => {
    let now = 1;
    const throttle = new FailureThrottle(() => now);
    expect(attempt(throttle, TOKEN)).toMatchObject({ caller: { name: 'ci' } });
    for (let i = 0; i < 30; i++) attempt(throttle, `wrong ${i}`);
    expect(attempt(throttle, 'wrong')).toMatchObject({ code: 'caller_throttled' });
    expect(attempt(throttle, TOKEN)).toMatchObject({ caller: { name: 'ci' } });
    now = 3_600_000;
    expect(throttle.retryAfter('203.0.113.7')).toBe(0);
  });

  test('by someone without any token costs them nothing, and is worth nothing', () => {
    const throttle = new FailureThrottle(() => 0);
    for (let i = 0; i < 100; i++) expect(identify(null, '203.0.113.7', registry().callers, throttle)).toMatchObject({ code: 'caller_required' });
    expect(throttle.retryAfter('203.0.113.7')).toBe(0);
  });
});

describe('at the forward door', () => {
  const sections = `callers: { ci: { token: ${TOKEN} } }`;
  const get = (origin: string): string => `GET ${origin}/ HTTP/1.1`;

  test.each([
    ['no token', [], 'caller_required'],
    ['a wrong token', [`Proxy-Authorization: Bearer ${TOKEN}x`], 'caller_unknown'],
    ['a scheme that is not known', [`Proxy-Authorization: Digest ${TOKEN}`], 'caller_unknown'],
    ['the token in another field', [`Authorization: Bearer ${TOKEN}`], 'caller_required'],
  ])('%s is answered 407 with a challenge', async (_, lines, code) => {
    const { gateway, upstream, origin, authority } = await plainScene(echo, sections);
    const client = await rawClient(gateway.forward);
    const response = await client.request(get(origin), [`Host: ${authority}`, ...lines]);
    expect(response.status).toBe(407);
    expect(response.field('Proxy-Authenticate')).toBe('Basic realm="sallyport"');
    expect(problem(response).code).toBe(code);
    expect((await client.request(`CONNECT ${authority} HTTP/1.1`, [`Host: ${authority}`, ...lines])).status).toBe(407);
    await gateway.recorded(2);
    expect(gateway.exchanges).toMatchObject([
      { outcome: 'refused', error: code, caller: null, host: 'api.test' },
      { outcome: 'refused', error: code, caller: null, method: 'CONNECT', host: 'api.test' },
    ]);
    expect(upstream.sockets).toHaveLength(0);
    expect(`${response.body.toString()}${await gateway.log()}${await gateway.metrics()}`).not.toContain(TOKEN);
  });

  test('the token is not believed for the next request on the same connection', async () => {
    const { gateway, upstream, origin, authority } = await plainScene(echo, sections);
    const client = await rawClient(gateway.forward);
    const good = [`Host: ${authority}`, `Proxy-Authorization: Bearer ${TOKEN}`];
    expect((await client.request(get(origin), good)).status).toBe(200);
    expect((await client.request(get(origin), [`Host: ${authority}`])).status).toBe(407);
    expect((await client.request(get(origin), good)).status).toBe(200);
    await gateway.reload(sections.replace(TOKEN, 'another-token-of-a-caller'));
    expect((await client.request(get(origin), good)).status).toBe(407);
    expect(upstream.requests.every((request) => request.field('Proxy-Authorization') === undefined)).toBe(true);
  });

  test('guessing ends in 429 with Retry-After', async () => {
    const { gateway, origin, authority } = await plainScene(echo, sections);
    const client = await rawClient(gateway.forward);
    const lines = [`Host: ${authority}`, 'Proxy-Authorization: Bearer wrong'];
    for (let i = 0; i < 20; i++) expect((await client.request(get(origin), lines)).status).toBe(407);
    const response = await client.request(get(origin), lines);
    expect(response.status).toBe(429);
    expect(Number(response.field('Retry-After'))).toBeGreaterThan(0);
    expect(problem(response).code).toBe('caller_throttled');
  });

  test('a run that is registered at run time is known, and unknown once it is over', async () => {
    const { gateway, origin, authority } = await plainScene(echo, sections);
    const client = await rawClient(gateway.forward);
    const lines = [`Host: ${authority}`, 'Proxy-Authorization: Bearer token-of-a-run'];
    const digest = digestToken('token-of-a-run');
    gateway.gateway.runs.add({ name: 'run-1', kind: 'run', credentials: new Set() }, digest);
    expect((await client.request(get(origin), lines)).status).toBe(200);
    expect(await gateway.recorded(1)).toMatchObject({ caller: { name: 'run-1', kind: 'run' } });
    gateway.gateway.runs.remove(digest);
    expect((await client.request(get(origin), lines)).status).toBe(407);
  });
});
