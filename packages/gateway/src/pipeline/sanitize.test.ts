import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { Response } from '../testing/message-reader.test.support.js';
import { rawClient } from '../testing/raw-client.test.support.js';
import { plainScene, type Scene, stopEverything } from '../testing/scene.test.support.js';
import type { Script } from '../testing/scripted-upstream.test.support.js';
import { fieldSet } from '../wire/field-names.js';
import { Head } from '../wire/head.js';
import { keptLines, statusLine } from '../wire/head-writer.js';
import { Scan } from '../wire/scan.js';
import { sanitize } from './sanitize.js';

afterEach(stopEverything);

const SECRET = 's3cr3t-value-of-the-key';
const BASIC = Buffer.from(`user:${SECRET}`).toString('base64');

const credentials = `
credentials:
  key:
    source: { type: static, value: ${SECRET} }
    bind: [{ hosts: ["api.test:*"], place: [{ header: X-Key }, { basic: { username: user } }, { query: token }], plaintext: true }]`;

/** The response to a request into which the secret was placed, and everything else that left the gateway for it. */
async function answered(script: Script, method = 'GET'): Promise<{ scene: Scene; response: Response }> {
  const scene = await plainScene(script, credentials);
  const client = await rawClient(scene.gateway.forward);
  const response = await client.request(`${method} ${scene.origin}/ HTTP/1.1`, [`Host: ${scene.authority}`]);
  return { scene, response };
}

const says =
  (text: string): Script =>
  (_, socket) =>
    void socket.write(text);

describe('an upstream that echoes', () => {
  test('an injected field does not hand it back, in any case and number', async () => {
    const { response } = await answered(says(`HTTP/1.1 200 OK\r\nX-KEY: anything\r\nx-key: more\r\nX-Key-Id: stays\r\nContent-Length: 0\r\n\r\n`));
    expect(response.all('x-key')).toEqual([]);
    expect(response.field('X-Key-Id')).toBe('stays');
  });

  test.each([
    ['another field', `X-Echo: before ${SECRET} after`, 'X-Echo: before [secret] after'],
    ['a field twice', `X-Echo: ${SECRET}${SECRET}`, 'X-Echo: [secret][secret]'],
    ['the encoded pair', `X-Echo: Basic ${BASIC}`, 'X-Echo: Basic [secret]'],
    ['a place to go to', `Location: https://api.test/?a=1&token=${SECRET}`, 'Location: https://api.test/?a=1&token=[secret]'],
    ['a cookie', `Set-Cookie: k=${SECRET}; Path=/`, 'Set-Cookie: k=[secret]; Path=/'],
    ['a challenge', `WWW-Authenticate: Bearer error="bad token ${SECRET}"`, 'WWW-Authenticate: Bearer error="bad token [secret]"'],
  ])('the secret in %s', async (_, line, masked) => {
    const { scene, response } = await answered(says(`HTTP/1.1 200 OK\r\nX-First: 1\r\n${line}\r\nX-Last: 2\r\nContent-Length: 2\r\n\r\nok`));
    expect(response.lines).toEqual(expect.arrayContaining([masked, 'X-First: 1', 'X-Last: 2']));
    expect(response).toMatchObject({ status: 200, reason: 'OK', complete: true });
    expect(`${response.lines.join('\n')}${await scene.gateway.log()}`).not.toMatch(new RegExp(`${SECRET}|${BASIC}`));
  });

  test('the secret in the name of a field loses the field', async () => {
    const { response } = await answered(says(`HTTP/1.1 200 OK\r\n${SECRET}: x\r\nX-Other: y\r\nContent-Length: 0\r\n\r\n`));
    expect(response.lines.filter((line) => !line.startsWith('X-Sallyport'))).toEqual(['X-Other: y', 'Content-Length: 0']);
  });

  test('the secret in the reason phrase loses the phrase', async () => {
    const { response } = await answered(says(`HTTP/1.1 401 bad ${SECRET}\r\nX-Other: y\r\nContent-Length: 0\r\n\r\n`));
    expect(response).toMatchObject({ status: 401, reason: '' });
    expect(response.field('X-Other')).toBe('y');
  });

  test('the secret in an interim response', async () => {
    const { response } = await answered(
      says(`HTTP/1.1 103 ${SECRET}\r\nLink: <${SECRET}>\r\nX-Key: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`),
    );
    expect(response.interim.map(({ startLine, lines }) => [startLine, ...lines])).toEqual([['HTTP/1.1 103 ', 'Link: <[secret]>']]);
  });

  test('the secret in the trailers', async () => {
    const { response } = await answered(
      says(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: ${BASIC}\r\nX-Key: x\r\nX-Other: y\r\n\r\n`),
    );
    expect([...response.trailers].sort()).toEqual(['X-Other: y', 'X-Sum: [secret]']);
    expect(response).toMatchObject({ complete: true, body: Buffer.from('ok') });
  });

  test('the secret in the answer to an upgrade', async () => {
    const scene = await plainScene(
      says(`HTTP/1.1 101 ${SECRET}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Echo: ${SECRET}\r\n\r\n`),
      credentials,
    );
    const client = await rawClient(scene.gateway.forward);
    const lines = [`Host: ${scene.authority}`, 'Connection: Upgrade', 'Upgrade: websocket'];
    const response = await client.request(`GET ${scene.origin}/ HTTP/1.1`, lines);
    expect(response).toMatchObject({ status: 101, reason: '' });
    expect(response.field('X-Echo')).toBe('[secret]');
  });

  test('the secret where only this hop reads it gets it cut, not repeated', async () => {
    const { response } = await answered(
      says(`HTTP/1.1 200 OK\r\nKeep-Alive: ${SECRET}\r\nConnection: X-Hop\r\nX-Hop: ${SECRET}\r\nContent-Length: 2\r\n\r\nok`),
    );
    expect(response.lines.filter((line) => !line.startsWith('X-Sallyport'))).toEqual(['Content-Length: 2']);
  });
});

test('a secret that is a number does not break the framing', async () => {
  const scene = await plainScene(
    says(`HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nX-Pin: 1234\r\n\r\n${'x'.repeat(1234)}`),
    credentials.replace(SECRET, '"1234"'),
  );
  const client = await rawClient(scene.gateway.forward);
  const response = await client.request(`GET ${scene.origin}/ HTTP/1.1`, [`Host: ${scene.authority}`]);
  expect(response.all('Content-Length')).toEqual(['1234']);
  expect(response.all('X-Pin')).toEqual(['[secret]']);
  expect(response.complete).toBe(true);
});

test('fields of the sensitive set never come back, and the configuration can add to it', async () => {
  const lines = ['Authorization: a', 'COOKIE: b', 'X-Api-Key: c', 'x-auth-token: d', 'X-Internal: e', 'Set-Cookie: f=g'];
  const script = says(`HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`);
  const scene = await plainScene(script, 'sanitize: { sensitive_headers: [X-INTERNAL] }');
  const client = await rawClient(scene.gateway.forward);
  const response = await client.request(`GET ${scene.origin}/ HTTP/1.1`, [`Host: ${scene.authority}`]);
  expect(response.lines.filter((line) => !line.startsWith('X-Sallyport'))).toEqual(['Set-Cookie: f=g', 'Content-Length: 0']);
});

const NONE = fieldSet([]);
const token = fc.stringMatching(/^[A-Za-z0-9-]{1,12}$/);
const value = fc.stringMatching(/^[ -~]{0,24}$/).map((text) => text.trim());

test('no placed value of four characters or more is left, and a head without one is not touched', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(token, value)), fc.array(value, { minLength: 1, maxLength: 3 }), fc.nat(20), (fields, placed, at) => {
      const secret = placed[0];
      const echoing = fields.map(([name, text], index) => [name, index === at ? `${text.slice(0, 3)}${secret}${text.slice(3)}`.trim() : text]);
      const written = `HTTP/1.1 200 OK\r\n${echoing.map(([name, text]) => `${name}: ${text}\r\n`).join('')}\r\n`;
      const head = new Head({ size: 65_536, count: 100 });
      const bytes = Buffer.from(written, 'latin1');
      head.begin(bytes, 0);
      fc.pre(head.scanResponse(bytes.length) === Scan.complete);
      const masked = sanitize(head, { sensitive: NONE, injected: null, injectedNames: [], placed, dropped: NONE });
      const result = `${statusLine(head)}${keptLines(head, NONE)}${masked}\r\n`;
      const sought = placed.filter((one) => one.length >= 4);
      if (!sought.some((one) => written.includes(one))) expect(result).toBe(written);
      // The mask itself may look like what was sought: `[secret]` holds `secret`.
      const lines = result.split('\r\n').map((line) => line.replaceAll('[secret]', '\n'));
      for (const one of sought) for (const line of lines.slice(1)) expect(line.slice(line.indexOf(':') + 1)).not.toContain(one);
    }),
  );
});
