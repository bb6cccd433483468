import { inspect } from 'node:util';
import { SallyportError, Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ExchangeOutcome } from '../refresh/exchange.js';
import { type Reply, type ScriptedEndpoint, scriptedEndpoint } from './scripted-endpoint.test.support.js';
import { readAnswer } from './token-answer.js';
import { type TokenEndpointOptions, tokenEndpoint } from './token-endpoint.js';

const NEVER = new AbortController().signal;
const CLIENT_SECRET = 'MARKER-client-secret';
const PRESENTED = 'MARKER-presented';
const ACCESS = 'MARKER-access';
const SUCCESSOR = 'MARKER-successor';
const good = { access_token: ACCESS, token_type: 'Bearer', expires_in: 3_600, refresh_token: SUCCESSOR };
let endpoint: ScriptedEndpoint;

beforeAll(async () => {
  endpoint = await scriptedEndpoint();
});
afterEach(() => {
  endpoint.received.length = 0;
});
afterAll(() => endpoint.close());

async function present(reply: Reply, options: Partial<TokenEndpointOptions> = {}): Promise<ExchangeOutcome> {
  endpoint.answer(reply);
  const authentication = { method: 'post', secret: new Secret(CLIENT_SECRET) } as const;
  const made = tokenEndpoint({ url: endpoint.url, clientId: 'me', authentication, allowHttp: true, ...options });
  return await made.request('refresh_token', { refresh_token: PRESENTED }, [new Secret(PRESENTED)], NEVER);
}

function errorOf(outcome: ExchangeOutcome): SallyportError {
  const error = outcome.kind === 'answered' ? outcome.result : outcome.error;
  if (!(error instanceof SallyportError)) throw new Error('an error was expected');
  return error;
}

describe('what an answer means', () => {
  test.each<[string, Reply, string, string]>([
    ['401', { status: 401 }, 'unused', 'client_credentials_refused'],
    ['401 with a challenge', { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }, 'unused', 'client_credentials_refused'],
    ['400 invalid_client', { status: 400, body: { error: 'invalid_client' } }, 'unused', 'client_credentials_refused'],
    ['400 invalid_grant', { status: 400, body: { error: 'invalid_grant' } }, 'refused', 'refresh_token_refused'],
    ['401 invalid_grant', { status: 401, body: { error: 'invalid_grant' } }, 'refused', 'refresh_token_refused'],
    ['200 bad_refresh_token', { body: { error: 'bad_refresh_token' } }, 'refused', 'refresh_token_refused'],
    ['500 invalid_grant', { status: 500, body: { error: 'invalid_grant' } }, 'unknown', 'token_endpoint_unavailable'],
    ['400 invalid_scope', { status: 400, body: { error: 'invalid_scope' } }, 'unused', 'token_request_refused'],
    ['400 without an error', { status: 400, body: { message: 'no' } }, 'unknown', 'token_request_refused'],
    ['403 page', { status: 403, headers: { 'content-type': 'text/html' }, body: '<html>' }, 'unknown', 'token_request_refused'],
    ['429', { status: 429 }, 'unused', 'token_endpoint_unavailable'],
    ['400 temporarily_unavailable', { status: 400, body: { error: 'temporarily_unavailable' } }, 'unused', 'token_endpoint_unavailable'],
    ['500', { status: 500 }, 'unknown', 'token_endpoint_unavailable'],
    ['503', { status: 503 }, 'unknown', 'token_endpoint_unavailable'],
    ['connection reset', 'reset', 'unknown', 'token_endpoint_unavailable'],
    ['302', { status: 302, headers: { location: 'https://elsewhere.example/' } }, 'unknown', 'token_response_invalid'],
    ['200 page', { headers: { 'content-type': 'text/html' }, body: JSON.stringify(good) }, 'unknown', 'token_response_invalid'],
    ['204', { status: 204, body: '' }, 'unknown', 'token_response_invalid'],
    ['not JSON', { body: '{' }, 'unknown', 'token_response_invalid'],
    ['a list', { body: [] }, 'unknown', 'token_response_invalid'],
    ['no access token', { body: { ...good, access_token: undefined, refresh_token: undefined } }, 'unknown', 'token_response_invalid'],
    ['an access token that is no text', { body: { ...good, access_token: 7, refresh_token: undefined } }, 'unknown', 'token_response_invalid'],
    ['an access token with a line break', { body: { ...good, access_token: 'a\nb' } }, 'answered', 'token_response_invalid'],
    ['no expires_in', { body: { ...good, expires_in: undefined } }, 'answered', 'token_response_invalid'],
    ['expires_in in words', { body: { ...good, expires_in: 'an hour' } }, 'answered', 'token_response_invalid'],
    ['a negative expires_in', { body: { ...good, expires_in: -1 } }, 'answered', 'token_response_invalid'],
    ['an endless expires_in', { body: { ...good, expires_in: 1e300 } }, 'answered', 'token_response_invalid'],
    ['expires_in of the margin', { body: { ...good, expires_in: 60 } }, 'answered', 'token_expired_on_arrival'],
    ['more than 1 MiB', { body: Buffer.alloc(1024 * 1024 + 1, ' ') }, 'unknown', 'token_endpoint_unavailable'],
  ])('%s', async (_name, reply, kind, code) => {
    const outcome = await present(reply);
    expect([outcome.kind, errorOf(outcome).code]).toEqual([kind, code]);
    expect(errorOf(outcome).message).toContain(`${endpoint.url}`);
    expect(errorOf(outcome).members.retryable).toBe(code === 'token_endpoint_unavailable' ? true : undefined);
    // A token that the server has issued is there, however useless the rest.
    if (outcome.kind === 'answered') expect(outcome.refreshToken?.reveal()).toBe(SUCCESSOR);
  });

  test.each<[unknown, number]>([
    [3_600, 3_600],
    [3_599.5, 3_599.5],
    ['3600', 3_600],
    ['3600.25', 3_600.25],
  ])('expires_in %j', async (expiresIn, seconds) => {
    const before = Date.now();
    const outcome = await present({ body: { ...good, expires_in: expiresIn } });
    const { expiresAt } = outcome.kind === 'answered' && !(outcome.result instanceof SallyportError) ? outcome.result : { expiresAt: null };
    expect(expiresAt).toBeGreaterThanOrEqual(before + seconds * 1000 - 60_000);
    expect(expiresAt).toBeLessThanOrEqual(Date.now() + seconds * 1000 - 60_000);
  });

  test('a lifetime is assumed when the answer has none and the configuration one', async () => {
    for (const expires_in of [undefined, null]) {
      const outcome = await present({ body: { ...good, expires_in } }, { assumedLifetimeMs: 120_000, expiryMarginMs: 0 });
      expect(outcome).toMatchObject({ kind: 'answered', result: { expiresAt: expect.any(Number) } });
    }
  });

  test('any success status, token type and JSON type will do, and an ID token is no matter', async () => {
    const body = { ...good, token_type: 'something', id_token: 'not.a.token', error: '' };
    const outcome = await present({ status: 201, headers: { 'content-type': 'application/vnd.x+json' }, body });
    expect(outcome).toMatchObject({ kind: 'answered', result: { fields: new Map() } });
  });

  test('no bytes make it throw, and no successor is overlooked', () => {
    const context = { where: 'x', postedAt: 0, marginMs: 0, assumedLifetimeMs: null, secrets: [] };
    const contentType = fc.constantFrom('application/json', 'application/json; charset=utf-8', 'text/html', '');
    const body = fc.oneof(
      fc.uint8Array(),
      fc
        .record(
          { access_token: fc.jsonValue(), refresh_token: fc.jsonValue(), expires_in: fc.jsonValue(), error: fc.jsonValue() },
          { requiredKeys: [] },
        )
        .map((value) => Buffer.from(JSON.stringify(value))),
    );
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), contentType, body, (status, type, bytes) => {
        expect(['answered', 'refused', 'unused', 'unknown']).toContain(readAnswer({ status, contentType: type, body: bytes }, context).kind);
      }),
    );
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (access_token, expires_in) => {
        const bytes = Buffer.from(JSON.stringify({ access_token, expires_in, refresh_token: SUCCESSOR }));
        const outcome = readAnswer({ status: 200, contentType: 'application/json', body: bytes }, context);
        expect(outcome.kind === 'answered' && outcome.refreshToken?.reveal()).toBe(SUCCESSOR);
      }),
    );
  });
});

describe('what never comes out', () => {
  test('of an error only what the OAuth fields say, without the secrets in it, and only as a cause', async () => {
    const error_description = `the token ${PRESENTED} of ${CLIENT_SECRET} is\n gone${'.'.repeat(1_000)}`;
    const error = errorOf(await present({ status: 400, body: { error: 'invalid_grant', error_description, more: ACCESS } }));
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain('MARKER');
    expect(error.message + error.hint + JSON.stringify(error.members)).not.toContain('gone');
    expect(error.cause).toMatchObject({ message: expect.stringMatching(/^invalid_grant: the token \[secret\] of \[secret\] is\? gone\.+$/) });
    expect((error.cause as Error).message).toHaveLength(300);
  });

  test('nothing of a body that is no OAuth answer', async () => {
    for (const status of [200, 302, 400, 500]) {
      const error = errorOf(await present({ status, headers: { 'content-type': 'text/plain' }, body: `${ACCESS} ${PRESENTED}` }));
      expect(inspect(error, { depth: null })).not.toContain('MARKER');
    }
  });

  test('nothing of the query of the URL', async () => {
    const error = errorOf(await present({ status: 500 }, { url: `${endpoint.url}?code=MARKER` }));
    expect(inspect(error, { depth: null })).not.toContain('MARKER');
    expect(endpoint.received.at(-1)?.path).toBe('/token?code=MARKER');
  });

  test('nothing of an outcome that is printed', async () => {
    expect(inspect(await present({ body: good }), { depth: null, showHidden: true })).not.toContain('MARKER');
  });
});

describe('what is sent', () => {
  test('the fields of the protocol win over the extra ones', async () => {
    const extraParams = { audience: 'api', grant_type: 'password', refresh_token: 'theirs', client_secret: 'theirs', scope: 'theirs' };
    await present({ body: good }, { extraParams });
    expect(endpoint.received[0]).toMatchObject({
      headers: { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8', accept: 'application/json' },
      form: { grant_type: 'refresh_token', refresh_token: PRESENTED, client_id: 'me', client_secret: CLIENT_SECRET, audience: 'api' },
    });
    expect(endpoint.received[0].form).not.toHaveProperty('scope');
    expect(endpoint.received[0].headers.authorization).toBeUndefined();
  });

  test('basic: encoded in the header, and nowhere else', async () => {
    const secret = new Secret('p:ä ss+&%');
    await present({ body: good }, { clientId: 'm:e', authentication: { method: 'basic', secret }, extraParams: { client_secret: 'x' } });
    const [{ headers, form }] = endpoint.received;
    const [id, password] = Buffer.from(headers.authorization?.slice(6) ?? '', 'base64')
      .toString()
      .split(':');
    expect([...new URLSearchParams(`${id}=${password}`)]).toEqual([['m:e', 'p:ä ss+&%']]);
    expect(Object.keys(form).sort()).toEqual(['grant_type', 'refresh_token']);
  });

  test('none: only the id', async () => {
    await present({ body: good }, { authentication: { method: 'none' } });
    expect(endpoint.received[0].form).toEqual({ grant_type: 'refresh_token', refresh_token: PRESENTED, client_id: 'me' });
  });

  test('each post has a connection of its own', async () => {
    await present({ body: good });
    expect(endpoint.received[0].headers.connection).toBe('close');
  });
});

describe('what is refused before anything is sent', () => {
  test.each<[string, Partial<TokenEndpointOptions>, RegExp]>([
    ['no URL', { url: 'token' }, /not a URL/],
    ['plain HTTP', { url: 'http://127.0.0.1/token', allowHttp: false }, /not an https: URL/],
    ['plain HTTP beyond loopback', { url: 'http://example.com/token' }, /not an https: URL/],
    ['another scheme', { url: 'ftp://127.0.0.1/token' }, /not an https: URL/],
    ['a password in the URL', { url: 'https://me:MARKER@example.com/token' }, /holds a user or a password/],
    ['a fragment', { url: 'https://example.com/token#MARKER' }, /has a fragment/],
    ['an empty id', { clientId: '' }, /id is empty/],
    ['an empty secret', { authentication: { method: 'basic', secret: new Secret('') } }, /secret is empty/],
    ['a key that is none', { authentication: { method: 'private_key_jwt', key: new Secret('MARKER') } }, /neither a PEM nor a JWK/],
    ['a JWK that is none', { authentication: { method: 'private_key_jwt', key: new Secret('{"kty":"MARKER"}') } }, /neither a PEM nor a JWK/],
  ])('%s', async (_name, options, message) => {
    const error: unknown = await present({ body: good }, options).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'config_invalid', message: expect.stringMatching(message) });
    expect(inspect(error, { depth: null })).not.toContain('MARKER');
    expect(endpoint.received).toEqual([]);
  });
});

describe('when there is no answer', () => {
  test('nobody listens: certainly unused', async () => {
    const gone = await scriptedEndpoint();
    await gone.close();
    const outcome = await present({ body: good }, { url: gone.url });
    expect([outcome.kind, errorOf(outcome).code]).toEqual(['unused', 'token_endpoint_unavailable']);
    expect(errorOf(outcome).message).toContain('ECONNREFUSED');
  });

  test('it takes too long: unknown', async () => {
    const outcome = await present('silence', { timeoutMs: 300 });
    expect([outcome.kind, errorOf(outcome).message]).toEqual(['unknown', `${endpoint.url} gave no answer: no answer within 300 ms.`]);
  });

  test('an abort before the post: unused; after it: unknown', async () => {
    const made = tokenEndpoint({ url: endpoint.url, clientId: 'me', authentication: { method: 'none' }, allowHttp: true });
    expect((await made.request('refresh_token', {}, [], AbortSignal.abort())).kind).toBe('unused');
    expect(endpoint.received).toEqual([]);
    const abort = new AbortController();
    endpoint.answer(() => {
      abort.abort();
      return 'silence';
    });
    expect((await made.request('refresh_token', {}, [], abort.signal)).kind).toBe('unknown');
  });
});
