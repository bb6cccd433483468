import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type RawClient, rawClient } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, problem, type Scene, stopEverything } from '../testing/scene.test.support.js';
import { echo } from '../testing/scripted-upstream.test.support.js';

let scene: Scene;
let client: RawClient;
beforeAll(async () => {
  scene = await plainScene();
});
beforeEach(async () => {
  scene.upstream.script = echo;
  client = await rawClient(scene.gateway.forward);
});
afterAll(stopEverything);

const hopByHop = [
  'Keep-Alive: timeout=5',
  'Proxy-Connection: keep-alive',
  'TE: gzip',
  'Trailer: X-T',
  'Proxy-Authenticate: Basic',
  'Proxy-Authentication-Info: x',
];

describe('a request', () => {
  const get = (lines: readonly string[]) => client.request(`GET ${scene.origin}/ HTTP/1.1`, [`Host: ${scene.authority}`, ...lines]);
  const passed = async (lines: readonly string[]): Promise<readonly string[]> =>
    echoed(await get(lines)).lines.filter((line) => !/^(host|x-request-id):/i.test(line));

  test('loses what ends at this hop', async () => {
    expect(await passed([...hopByHop, 'Connection: keep-alive', 'X-Stays: 1', 'Upgrade: foo/2', 'HTTP2-Settings: x'])).toEqual(['X-Stays: 1']);
  });

  test('loses what Connection nominates, in any case, over several fields and with empty members', async () => {
    const lines = [
      'Connection: X-One , , close',
      'x-one: 1',
      'X-ONE: 2',
      'X-One-More: stays',
      'X-Two: 3',
      'connection:x-two,\tx-three',
      'X-Three: 4',
    ];
    expect(await passed(lines)).toEqual(['X-One-More: stays']);
  });

  test('keeps its framing and its Host when Connection nominates them', async () => {
    const lines = [`Host: ${scene.authority}`, 'Connection: host, content-length, x-request-id', 'Content-Length: 3'];
    const response = await client.request(`POST ${scene.origin}/ HTTP/1.1`, lines, 'abc');
    expect(echoed(response)).toMatchObject({ length: 3, method: 'POST' });
    expect(echoed(response).lines).toEqual(expect.arrayContaining([`Host: ${scene.authority}`, 'Content-Length: 3']));
  });

  test('says that its client takes trailers, when it does', async () => {
    expect(await passed(['TE: trailers, deflate', 'Connection: TE'])).toEqual(['TE: trailers', 'Connection: TE']);
    expect(await passed(['TE: nottrailers'])).toEqual([]);
  });

  test('keeps nothing that was meant for the gateway', async () => {
    const control = ['X-Sallyport-Credential: x', 'X-Clef-Service: y', 'Proxy-Connection: close'];
    expect(await passed([...control, 'X-Connect-Vendor-ID: not ours at this door'])).toEqual(['X-Connect-Vendor-ID: not ours at this door']);
  });

  test('sends its trailers after its body, without those that are ours', async () => {
    const lines = [`Host: ${scene.authority}`, 'Transfer-Encoding: chunked'];
    const body = '3;ext="a;b"\r\nabc\r\n0\r\nX-Checksum: 1\r\nX-Request-Id: forged\r\nX-Clef-Service: z\r\n\r\n';
    expect(echoed(await client.request(`POST ${scene.origin}/ HTTP/1.1`, lines, body))).toMatchObject({ length: 3, trailers: ['X-Checksum: 1'] });
  });

  test.each(['Content-Length: 1', 'Transfer-Encoding: chunked', 'Host: other.test', 'Authorization: x', 'Cookie: x'])(
    'is refused when its trailers hold %s',
    async (trailer) => {
      const recorded = scene.gateway.exchanges.length;
      const lines = [`Host: ${scene.authority}`, 'Transfer-Encoding: chunked'];
      const response = await client.request(`POST ${scene.origin}/ HTTP/1.1`, lines, `1\r\na\r\n0\r\n${trailer}\r\n\r\n`);
      expect(problem(response).code).toBe('request_trailers_refused');
      expect(await client.reader.end()).not.toBe('open');
      expect(await scene.gateway.recorded(recorded + 1)).toMatchObject({ outcome: 'refused', error: 'request_trailers_refused' });
    },
  );
});

describe('a response', () => {
  const answer = async (text: string) => {
    scene.upstream.script = (_, socket) => void socket.write(text, 'latin1');
    return client.request(`GET ${scene.origin}/ HTTP/1.1`, [`Host: ${scene.authority}`]);
  };
  const linesOf = (lines: readonly string[]): string[] => lines.filter((line) => !line.startsWith('X-Sallyport'));

  test('loses what ends at this hop and what Connection nominates', async () => {
    const lines = [...hopByHop, 'Connection: X-Hop, keep-alive', 'X-HOP: 1', 'Upgrade: h2c', 'X-Stays: 1'];
    const response = await answer(`HTTP/1.1 200 Fine\r\n${lines.join('\r\n')}\r\nContent-Length: 2\r\n\r\nok`);
    expect(linesOf(response.lines)).toEqual(['X-Stays: 1', 'Content-Length: 2']);
    expect(response.reason).toBe('Fine');
  });

  test('keeps every byte of the fields that stay', async () => {
    const lines = ['x-CASE:no space', 'X-Space:   a  b \t', 'X-Twice: 1', 'X-Twice: 2', 'X-Empty:', 'X-Latin: \xe9\xff'];
    const response = await answer(`HTTP/1.1 200\r\n${lines.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`);
    expect(linesOf(response.lines)).toEqual([...lines, 'Content-Length: 0']);
  });

  test('hands its trailers on', async () => {
    const response = await answer(
      'HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\nKeep-Alive2: x\r\n\r\n',
    );
    expect(response).toMatchObject({ complete: true, trailers: ['X-T: 1', 'Keep-Alive2: x'] });
  });

  test.each(['Content-Length: 1', 'Set-Cookie: a=b', 'Transfer-Encoding: chunked'])('breaks off when its trailers hold %s', async (trailer) => {
    const recorded = scene.gateway.exchanges.length;
    let finish = (): void => {};
    scene.upstream.script = (_, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n');
      finish = () => void socket.write(`0\r\n${trailer}\r\n\r\n`);
    };
    client.write(`GET ${scene.origin}/ HTTP/1.1\r\nHost: ${scene.authority}\r\n\r\n`);
    expect((await client.reader.head())?.startLine).toBe('HTTP/1.1 200 OK');
    finish();
    expect((await client.reader.rest()).toString()).not.toContain('\r\n0\r\n\r\n');
    expect(client.reader.ended).toBe('reset');
    expect(await scene.gateway.recorded(recorded + 1)).toMatchObject({ outcome: 'failed', error: 'upstream_response_malformed' });
  });
});

describe('a response without a body', () => {
  test.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n', ['Content-Length: 1000']],
    ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', []],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', []],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: "x"\r\n\r\n', ['ETag: "x"', 'Content-Length: 1000']],
    ['DELETE', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', ['Content-Length: 0']],
  ])('to %s is followed by the next one: %s', async (method, text, lines) => {
    scene.upstream.script = (_, socket) => void socket.write(text);
    for (let i = 0; i < 2; i++) {
      const response = await client.request(`${method} ${scene.origin}/ HTTP/1.1`, [`Host: ${scene.authority}`]);
      expect(response.lines.filter((line) => !line.startsWith('X-Sallyport'))).toEqual(lines);
    }
    expect(scene.upstream.requests.at(-1)?.connection).toBe(scene.upstream.requests.at(-2)?.connection);
  });
});
