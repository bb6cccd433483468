import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Response } from '../testing/message-reader.test.support.js';
import { basicAuthorization, rawClient } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, problem, type Scene, stopEverything } from '../testing/scene.test.support.js';
import { echo } from '../testing/scripted-upstream.test.support.js';

const ALL = 'token-of-the-caller-for-all';
const ONE = 'token-of-the-caller-for-one';
const NONE = 'token-of-the-caller-for-none';

const sections = `
callers:
  all: { token: ${ALL}, credentials: all }
  one: { token: ${ONE}, credentials: [b] }
  none: { token: ${NONE} }
policy: { rules: ["allow api.test:* to 127.0.0.1", "allow *.wild.test:* to 127.0.0.1", "allow other.test:* to 127.0.0.1", "allow tls.test:*"] }
upstream: { hosts: { api.test: 127.0.0.1, other.test: 127.0.0.1, x.wild.test: 127.0.0.1, y.wild.test: 127.0.0.1 } }
credentials:
  wild: { source: { type: static, value: secret-wild }, bind: [{ hosts: ["*.wild.test:*"], place: { header: X-Key }, plaintext: true }] }
  exact: { source: { type: static, value: secret-exact }, bind: [{ hosts: ["x.wild.test:*"], place: { header: X-Key }, plaintext: true }] }
  root: { source: { type: static, value: secret-root }, bind: [{ hosts: ["api.test:*"], place: { header: X-Key }, plaintext: true }] }
  deep: { source: { type: static, value: secret-deep }, bind: [{ hosts: ["api.test:*"], paths: [/v1/**], place: { header: X-Key }, plaintext: true }] }
  deeper: { source: { type: static, value: secret-deeper }, bind: [{ hosts: ["api.test:*"], paths: [/v1/users/*], place: { header: X-Key }, plaintext: true }] }
  posts: { source: { type: static, value: secret-posts }, bind: [{ hosts: ["api.test:*"], methods: [POST], place: { header: X-Key }, plaintext: true }] }
  a: { source: { type: static, value: secret-a }, bind: [{ hosts: ["other.test:*"], place: { header: X-Key }, plaintext: true }] }
  b: { source: { type: static, value: secret-b }, bind: [{ hosts: ["other.test:*"], place: { header: X-Key }, plaintext: true }] }
  tls: { source: { type: static, value: secret-tls }, bind: [{ hosts: ["tls.test:*"], place: { header: X-Key } }] }`;

let scene: Scene;
beforeAll(async () => {
  scene = await plainScene(echo, sections);
});
afterAll(stopEverything);

async function ask(method: string, host: string, path: string, token = ALL, lines: readonly string[] = []): Promise<Response> {
  const client = await rawClient(scene.gateway.forward);
  const authority = `${host}:${scene.upstream.port}`;
  const own = [`Host: ${authority}`, `Proxy-Authorization: ${basicAuthorization(token)}`];
  const response = await client.request(`${method} http://${authority}${path} HTTP/1.1`, [...own, ...lines]);
  client.close();
  return response;
}

const keyOf = (response: Response): string | undefined =>
  echoed(response)
    .lines.find((line) => line.startsWith('X-Key: '))
    ?.slice(7);

test.each([
  ['the exact host before the pattern', 'GET', 'x.wild.test', '/', 'secret-exact'],
  ['the pattern where nothing is more exact', 'GET', 'y.wild.test', '/', 'secret-wild'],
  ['no path where no path fits', 'GET', 'api.test', '/v2', 'secret-root'],
  ['the path that fits', 'GET', 'api.test', '/v1/x/y', 'secret-deep'],
  ['the more specific path', 'GET', 'api.test', '/v1/users/7', 'secret-deeper'],
  ['the method where paths are equal', 'POST', 'api.test', '/v2', 'secret-posts'],
  ['the path before the method', 'POST', 'api.test', '/v1/users/7', 'secret-deeper'],
  // A binding by path needs every reading of the path to fit; one without paths takes them all.
  ['nothing on the strength of one reading', 'GET', 'api.test', '/v2/../v1/users/7', 'secret-root'],
  ['nothing on the strength of an encoded reading', 'GET', 'api.test', '/v1%2fusers%2f7', 'secret-root'],
])('the most specific binding wins: %s', async (_, method, host, path, secret) => {
  expect(keyOf(await ask(method, host, path))).toBe(secret);
});

describe('several that fit equally well', () => {
  test('are an error that lists them, and the upstream hears nothing', async () => {
    const before = scene.upstream.requests.length;
    const response = await ask('GET', 'other.test', '/');
    expect(response.status).toBe(400);
    expect(problem(response)).toMatchObject({
      code: 'credential_ambiguous',
      candidates: ['a', 'b'],
      hint: expect.stringContaining('X-Sallyport-Credential'),
    });
    expect(scene.upstream.requests).toHaveLength(before);
  });

  test.each(['X-Sallyport-Credential', 'x-clef-service', 'X-CLEF-SERVICE'])('are told apart by %s, which does not go out', async (name) => {
    const response = await ask('GET', 'other.test', '/', ALL, [`${name}: b`]);
    expect(keyOf(response)).toBe('secret-b');
    expect(echoed(response).lines.some((line) => line.toLowerCase().startsWith(name.toLowerCase()))).toBe(false);
  });

  test('are told apart by what the caller may use', async () => {
    expect(keyOf(await ask('GET', 'other.test', '/', ONE))).toBe('secret-b');
  });

  test('are not told apart by a name that none of them has', async () => {
    expect(problem(await ask('GET', 'other.test', '/', ALL, ['X-Sallyport-Credential: c']))).toMatchObject({
      code: 'credential_ambiguous',
      candidates: ['a', 'b'],
    });
    expect(problem(await ask('GET', 'api.test', '/v2', ALL, ['X-Clef-Service: wrong']))).toMatchObject({ candidates: ['root'] });
  });
});

describe('a caller', () => {
  test('gets no credential that is not its own, and learns of none', async () => {
    expect(keyOf(await ask('GET', 'other.test', '/', NONE))).toBeUndefined();
    expect(keyOf(await ask('GET', 'other.test', '/', NONE, ['X-Sallyport-Credential: a']))).toBeUndefined();
    const wrong = await ask('GET', 'other.test', '/', ONE, ['X-Sallyport-Credential: a']);
    expect(problem(wrong)).toMatchObject({ code: 'credential_ambiguous', candidates: ['b'] });
  });
});

describe('what would put the secret at risk', () => {
  test('plaintext is refused unless the binding says otherwise', async () => {
    const response = await ask('GET', 'tls.test', '/');
    expect(response.status).toBe(403);
    expect(problem(response)).toMatchObject({ code: 'plaintext_credential_refused', credential: 'tls' });
  });

  test('TRACE is refused: its answer would carry the secret back', async () => {
    const response = await ask('TRACE', 'api.test', '/v2');
    expect(problem(response).code).toBe('method_not_allowed');
    expect((await ask('TRACE', 'api.test', '/v2', NONE)).status).toBe(200);
  });
});
