import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Response } from '../testing/message-reader.test.support.js';
import { rawClient } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, problem, type Scene, stopEverything } from '../testing/scene.test.support.js';
import { echo } from '../testing/scripted-upstream.test.support.js';
import { temporaryDirectory } from '../testing/temporary-directory.test.support.js';

afterEach(stopEverything);

/** A scene in which one credential goes to every request, from that source to that place. */
function sceneWith(source: string, place: string, env: Readonly<Record<string, string>> = {}): Promise<Scene> {
  return plainScene(echo, `credentials: { key: { source: ${source}, bind: [{ hosts: ["api.test:*"], place: ${place}, plaintext: true }] } }`, env);
}

async function get({ gateway, origin, authority }: Scene, target: string, lines: readonly string[] = []): Promise<Response> {
  const client = await rawClient(gateway.forward);
  return client.request(`GET ${origin}${target} HTTP/1.1`, [`Host: ${authority}`, ...lines]);
}

const STATIC = '{ type: static, value: "s3cret/+ value" }';

describe('a header', () => {
  test('replaces every line of that name, in any case, and leaves all others as they are', async () => {
    const scene = await sceneWith(STATIC, '{ header: Authorization, format: "Bearer {secret}" }');
    const lines = ['authorization: Basic eDp5', 'Cookie: a=b', 'AUTHORIZATION: other', 'X-Authorization: stays', 'Authorization:'];
    const response = await get(scene, '/', lines);
    expect(echoed(response).lines.slice(1)).toEqual([
      'Cookie: a=b',
      'X-Authorization: stays',
      expect.stringMatching(/^X-Request-Id/),
      'Authorization: Bearer s3cret/+ value',
    ]);
    expect(await scene.gateway.recorded(1)).toMatchObject({ credential: 'key', injectedHeaders: ['authorization'] });
  });

  test('survives a client that nominates it in Connection', async () => {
    const scene = await sceneWith(STATIC, '{ header: X-Key }');
    const response = await get(scene, '/', ['Connection: X-Key, close', 'X-Key: mine']);
    expect(echoed(response).lines.filter((line) => line.startsWith('X-Key'))).toEqual(['X-Key: s3cret/+ value']);
  });

  test('is not joined by a trailer of that name', async () => {
    const scene = await sceneWith(STATIC, '{ header: X-Key }');
    const client = await rawClient(scene.gateway.forward);
    const lines = [`Host: ${scene.authority}`, 'Transfer-Encoding: chunked', 'Trailer: X-Key'];
    const response = await client.request(
      `POST ${scene.origin}/ HTTP/1.1`,
      lines,
      '0\r\nX-Key: mine\r\nX-Other: kept\r\nX-Sallyport-Credential: key\r\n\r\n',
    );
    expect(echoed(response).trailers).toEqual(['X-Other: kept']);
  });
});

describe('several places', () => {
  test('are all filled', async () => {
    const scene = await sceneWith(STATIC, '[{ header: X-Key }, { query: api key }, { basic: { username: user } }]');
    const response = await get(scene, '/p');
    expect(echoed(response).target).toBe('/p?api%20key=s3cret%2F%2B%20value');
    const basic = Buffer.from('user:s3cret/+ value').toString('base64');
    expect(echoed(response).lines).toEqual(expect.arrayContaining(['X-Key: s3cret/+ value', `Authorization: Basic ${basic}`]));
  });
});

describe('a query parameter', () => {
  test.each([
    ['/p', '/p?key=VALUE'],
    ['/p?', '/p?key=VALUE'],
    ['/p?a=1', '/p?a=1&key=VALUE'],
    ['/p?key=mine&a=%20+%2b;x=y&&z&b=', '/p?a=%20+%2b;x=y&&z&b=&key=VALUE'],
    ['/p?a=1&k%65y=mine&key&key=2&KEY=other', '/p?a=1&KEY=other&key=VALUE'],
    ['/p?q=%zz&key=%zz', '/p?q=%zz&key=VALUE'],
  ])('replaces what the client sent under its name and changes no other byte: %s', async (sent, expected) => {
    const scene = await sceneWith('{ type: static, value: VALUE }', '{ query: key }');
    expect(echoed(await get(scene, sent)).target).toBe(expected);
    const record = await scene.gateway.recorded(1);
    expect(record.path).toBe('/p');
    expect(await scene.gateway.log()).not.toContain('VALUE');
  });
});

describe('a secret that cannot be written', () => {
  test.each([
    ['a line break', 'one\\r\\nX-Injected: yes', '{ header: X-Key }'],
    ['a line feed', 'one\\nX-Injected: yes', '{ header: X-Key }'],
    ['a NUL', 'one\\0two', '{ header: X-Key, format: "Bearer {secret}" }'],
    ['a character beyond Latin-1', 'one\\u20actwo', '{ header: X-Key }'],
    ['a space at its end', 'one ', '{ header: X-Key }'],
    ['a control character', 'one\\x01two', '{ basic: { username: user } }'],
    ['a field that it does not have', 'one', '{ header: X-Key, format: "{secret.other}" }'],
  ])('is refused, and the upstream is not contacted: %s', async (_, value, place) => {
    const scene = await sceneWith(`{ type: static, value: "${value}" }`, place);
    const response = await get(scene, '/');
    expect(response.status).toBe(502);
    expect(problem(response).code).toBe('credential_unusable');
    expect(response.body.toString()).not.toMatch(/one|Injected/);
    expect(scene.upstream.sockets).toHaveLength(0);
    expect(await scene.gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'credential_unusable', status: 502 });
    expect(await scene.gateway.log()).not.toContain('X-Injected');
  });
});

describe('a source that fails', () => {
  test('is a 502 that says which credential and nothing of the source', async () => {
    const command = '["node", "-e", "console.error(\'leaked-by-the-program\'); process.exit(3)"]';
    const scene = await sceneWith(`{ type: process, command: ${command} }`, '{ header: X-Key }');
    const response = await get(scene, '/');
    expect(response.status).toBe(502);
    expect(problem(response)).toMatchObject({ code: 'credential_unavailable', credential: 'key' });
    expect(response.body.toString()).not.toMatch(/leaked-by-the-program|node/);
    expect(scene.upstream.sockets).toHaveLength(0);
    expect(await scene.gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'credential_unavailable', credential: null });
  });

  test('an environment variable that is not set is a failure, not an empty credential', async () => {
    const scene = await sceneWith('{ type: env, var: SALLYPORT_TEST_UNSET }', '{ header: X-Key }');
    expect(problem(await get(scene, '/')).code).toBe('credential_unavailable');
  });
});

describe('a source that takes its time', () => {
  const SLOW = (marker: string): string =>
    `{ type: process, command: ["node", "-e", "const t = setInterval(() => { if (require('fs').existsSync('${marker}')) { clearInterval(t); console.log('slow-secret') } }, 10)"] }`;

  test('is asked once for all who wait, and a client that leaves meanwhile sends nothing upstream', async () => {
    const marker = join(await temporaryDirectory(), 'go');
    const scene = await sceneWith(SLOW(marker), '{ header: X-Key }');
    const leaving = await rawClient(scene.gateway.forward);
    leaving.write(`GET ${scene.origin}/left HTTP/1.1\r\nHost: ${scene.authority}\r\n\r\n`);
    const first = get(scene, '/1');
    const second = get(scene, '/2');
    // A reset that comes with the request looks like a client that has closed its half.
    await expect.poll(() => scene.gateway.metrics()).toContain('sallyport_active_exchanges{door="forward"} 3');
    leaving.reset();
    expect(await scene.gateway.recorded(1)).toMatchObject({ outcome: 'aborted', error: 'client_aborted', status: 0, path: '/left' });
    await writeFile(marker, '');
    for (const response of await Promise.all([first, second])) expect(echoed(response).lines).toContain('X-Key: slow-secret');
    expect(scene.upstream.requests.map(({ target }) => target).sort()).toEqual(['/1', '/2']);
    const record = await scene.gateway.recorded(3);
    expect(record.resolveMs).toBeGreaterThan(0);
  });
});

test('a file that changes is used from the next request on', async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, 'secret');
  await writeFile(path, 'first-secret\n');
  const scene = await sceneWith(`{ type: file, path: ${JSON.stringify(path)} }`, '{ header: X-Key }');
  const keyNow = async (): Promise<string | undefined> => echoed(await get(scene, '/')).lines.find((line) => line.startsWith('X-Key'));
  expect(await keyNow()).toBe('X-Key: first-secret');
  await writeFile(`${path}.new`, 'second-secret\n');
  await rename(`${path}.new`, path);
  await expect.poll(keyNow, { timeout: 10_000 }).toBe('X-Key: second-secret');
});
