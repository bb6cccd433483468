import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type TestAuthority, testAuthority } from '../testing/test-authority.test.support.js';
import { ServerConnection } from './server-connection.js';
import { RawPeer } from './testing/raw-peer.test.support.js';
import {
  answerAtOnce,
  answerWhole,
  attachOnly,
  get,
  type PortOptions,
  post,
  putChunked,
  Served,
  ServerPort,
} from './testing/server-port.test.support.js';
import { readRequests } from './testing/wire-reading.test.support.js';

let authority: TestAuthority;
let tls: PortOptions['tls'];
let port: ServerPort;

beforeAll(async () => {
  authority = await testAuthority();
  tls = { server: authority.serverFor('localhost'), client: { ca: authority.authority.certificatePem, servername: 'localhost' } };
});
afterEach(() => port.close());
afterAll(() => authority.remove());

async function listen(onServed: (served: Served) => void, options: PortOptions = {}): Promise<RawPeer> {
  port = await ServerPort.open(onServed, options);
  return port.connect();
}

describe.each(['TCP', 'TLS'])('requests on a kept connection over %s', (transport) => {
  const options = (): PortOptions => (transport === 'TCP' || tls === undefined ? {} : { tls });

  test('one after another', async () => {
    const peer = await listen(answerWhole, options());
    for (const path of ['/1', '/2', '/3']) {
      await peer.send(post(path, 'body'));
      expect(await peer.takeMessage()).toContain(`POST ${path} body`);
    }
    expect(port.connections).toHaveLength(1);
    expect(port.latest.idle).toBe(true);
  });

  test('pipelined ones are answered in order, one at a time, also when answers take their time', async () => {
    let open = 0;
    const peer = await listen((served) => {
      expect(++open, 'never while another one is open').toBe(1);
      served.connection.attach(served);
      setImmediate(() =>
        setImmediate(() => {
          open--;
          served.answer();
        }),
      );
    }, options());
    const paths = Array.from({ length: 20 }, (_, index) => `/${index}`);
    await peer.send(paths.map((path) => get(path)).join(''));
    for (const path of paths) expect(await peer.takeMessage()).toMatch(new RegExp(`GET ${path}$`));
    expect(port.requests).toHaveLength(20);
  });

  test('a client that closes its half after whole requests gets its answers, and the connection closes after them', async () => {
    const peer = await listen(attachOnly, options());
    await peer.send(get('/1') + get('/2'));
    peer.end();
    await port.when(() => port.requests.length === 1);
    if (!peer.socket.writableFinished) await once(peer.socket, 'finish');
    port.requests[0]?.answer();
    await port.when(() => port.requests.length === 2);
    port.requests[1]?.answer();
    expect((await peer.untilEnd()).match(/GET \/\d/g)).toEqual(['GET /1', 'GET /2']);
    expect(peer.ended).toBe('end');
    await port.when(() => port.closed === 1);
    expect(port.requests.map(({ gone }) => gone)).toEqual([null, null]);
  });

  test('large bodies come whole when they are taken piece by piece', async () => {
    const peer = await listen((served) => {
      served.flowing = false;
      served.connection.attach(served);
      const more = (): void => {
        if (served.ended) return;
        served.connection.resumeBody();
        setImmediate(more);
      };
      setImmediate(more);
    }, options());
    const body = Array.from({ length: 90_000 }, (_, index) => `${index};`).join('');
    await peer.send(post('/large', body));
    await port.when(() => port.requests[0]?.ended === true);
    expect(port.requests[0]?.size).toBe(body.length);
    expect(port.requests[0]?.body === body).toBe(true);
  });
});

describe('requests and their answers', () => {
  test('sequences of messages mean the same over a socket, at any splits, as in one piece', async () => {
    const messages = [
      get('/a'),
      post('/b', 'hello'),
      putChunked('/c', '5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n'),
      putChunked('/d', '0\r\n\r\n'),
      post('/e', ''),
      'GET /f HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
      'GET /g HTTP/1.0\r\n\r\n',
    ];
    await listen(answerWhole);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...messages), { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(300), { maxLength: 8 }),
        async (parts, splits) => {
          const text = parts.join('');
          const peer = await port.connect();
          await peer.send(
            text,
            splits.filter((split) => split < text.length).sort((a, b) => a - b),
          );
          peer.end();
          await peer.untilEnd();
          const expected = readRequests(Buffer.from(text)).messages.map(({ start }) => start.join(' '));
          expect(peer.received.match(/(?<=\r\n\r\n)(?:GET|POST|PUT) \/\w/g)).toEqual(expected);
          expect(port.requests.filter(({ connection }) => connection === port.latest).map(({ method, target }) => `${method} ${target}`)).toEqual(
            expected,
          );
          peer.destroy();
        },
      ),
      { numRuns: 60 },
    );
  });

  test('HTTP/1.0 closes after its answer unless it asks to keep the connection', async () => {
    const peer = await listen(answerAtOnce);
    await peer.send('GET /kept HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    expect(await peer.takeMessage()).toMatch(/GET \/kept$/);
    await peer.send('GET /last HTTP/1.0\r\n\r\n');
    expect(await peer.untilEnd()).toMatch(/Connection: close\r\n\r\nGET \/last$/);
    const other = await port.connect();
    await other.send('GET /both HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n');
    expect(await other.untilEnd()).toMatch(/Connection: close/);
  });

  test('what follows a request with Connection: close is not read as a request', async () => {
    const peer = await listen(answerAtOnce);
    await peer.send(get('/1') + get('/2', 'Connection: close\r\n') + get('/3'));
    expect((await peer.untilEnd()).match(/GET \/\d/g)).toEqual(['GET /1', 'GET /2']);
    expect(peer.ended).toBe('end');
    expect(port.requests).toHaveLength(2);
  });

  test('thousands of pipelined requests that are answered at once do not pile up on the stack', async () => {
    const peer = await listen(answerAtOnce);
    const count = 20_000;
    void peer.send(get('/p').repeat(count));
    await port.when(() => port.requests.length === count);
    await peer.takeBytes('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nGET /p'.length * count);
    expect(peer.received).toBe('');
  });

  test('the empty line that some clients send after a body is passed over', async () => {
    const peer = await listen(answerWhole);
    await peer.send(`${post('/1', 'x')}\r\n${get('/2')}`);
    await peer.takeMessage();
    expect(await peer.takeMessage()).toMatch(/GET \/2 $/);
  });

  test('bytes that were read before come first', async () => {
    await listen(answerAtOnce);
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const client = await RawPeer.connect((server.address() as { port: number }).port);
    const connection = new ServerConnection((await accepted)[0], port, { size: 4096, count: 20 }, { head: 0, idle: 0, keepAlive: 0 });
    const text = get('/first');
    connection.start(Buffer.from(text.slice(0, 20)));
    await client.send(text.slice(20));
    expect(await client.takeMessage()).toMatch(/GET \/first$/);
    connection.destroy();
    client.destroy();
    server.close();
  });
});

describe('heads that are refused', () => {
  test.each([
    ['no Host', 'GET /a HTTP/1.1\r\n\r\n', 400, 'request_malformed'],
    ['two framings', get('/a', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'), 400, 'request_framing_ambiguous'],
    ['too many bytes', get('/a', `X: ${'x'.repeat(5000)}\r\n`), 431, 'request_head_too_large'],
    ['too many fields', get('/a', 'X: y\r\n'.repeat(30)), 431, 'request_head_too_large'],
    ['another version', 'GET /a HTTP/2.0\r\n\r\n', 505, 'request_version_unsupported'],
  ])('%s: answered in its turn, and nothing after it is read', async (_, text, status, code) => {
    const peer = await listen(answerAtOnce);
    await peer.send(get('/good') + text + get('/never'));
    expect((await peer.untilEnd()).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', `HTTP/1.1 ${status}`]);
    expect(peer.ended).toBe('end');
    expect(port.refused).toEqual([code]);
    expect(port.requests).toHaveLength(1);
  });

  test('one behind a request that is still open is refused after its answer', async () => {
    const peer = await listen(attachOnly);
    await peer.send(`${get('/slow')}rubbish(\r\n\r\n`);
    await port.when(() => port.requests.length === 1);
    expect(port.refused).toEqual([]);
    port.requests[0]?.answer();
    expect((await peer.untilEnd()).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400']);
  });
});

describe('bodies that cannot be read to their end', () => {
  test.each([
    ['2\r\nhi\r\n0x0\r\n', 'request_malformed'],
    ['2\r\nhi\n', 'request_malformed'],
    ['2\r\nhi\r\n0\r\nContent-Length: 5\r\n\r\n', 'request_trailers_refused'],
    ['2\r\nhi\r\n0\r\nX: a\r\n b\r\n\r\n', 'request_trailers_refused'],
  ])('%j', async (body, code) => {
    const peer = await listen(attachOnly);
    await peer.send(putChunked('/bad', body) + get('/never'));
    await port.when(() => port.requests[0]?.fault === code);
    port.requests[0]?.answer('refused');
    expect(await peer.untilEnd()).toMatch(/Connection: close\r\n\r\nrefused$/);
    expect(port.requests).toHaveLength(1);
  });
});

describe('clients that vanish', () => {
  const text = get('/a') + post('/b', 'hello') + putChunked('/c', '5\r\nhello\r\n0\r\nX: y\r\n\r\n');

  test.each(['reset', 'end', 'destroy'] as const)(
    'by %s, at any byte: every connection is closed once, and whole requests get their answers',
    async (way) => {
      await listen(attachOnly);
      for (let length = 0; length <= text.length; length++) {
        const client = await port.connect();
        const before = port.requests.length;
        const closed = port.closed;
        await client.send(text.slice(0, length));
        client[way]();
        let answered = before;
        const waiting = (): Served | undefined => port.requests.slice(answered).find(({ ended, gone }) => ended && gone === null);
        while (port.closed === closed) {
          await port.when(() => port.closed > closed || waiting() !== undefined);
          const served = waiting();
          if (served === undefined) continue;
          answered++;
          served.answer();
        }
        const whole = readRequests(Buffer.from(text.slice(0, length))).messages.length;
        const mine = port.requests.slice(before);
        expect(mine.filter(({ ended }) => ended).length, `${length} bytes`).toBeLessThanOrEqual(whole);
        if (way === 'end') expect((await client.untilEnd()).match(/ 200 OK/g)?.length ?? 0, `${length} bytes`).toBe(whole);
        expect(
          mine.every(({ ended, gone }) => ended || gone === 'client_aborted'),
          `${length} bytes`,
        ).toBe(true);
      }
    },
  );

  test.each(['reset', 'end', 'destroy'] as const)('by %s, at any byte of a body: the sink hears of it once and never of an end', async (way) => {
    await listen(attachOnly);
    const whole = putChunked('/c', '5\r\nhello\r\n0\r\nX: y\r\n\r\n');
    const head = whole.indexOf('\r\n\r\n') + 4;
    for (let length = head; length < whole.length; length++) {
      const client = await port.connect();
      await client.send(whole.slice(0, length));
      await port.when(() => port.requests.length === length - head + 1);
      client[way]();
      await port.when(() => port.requests.at(-1)?.gone !== null);
      expect(port.requests.at(-1)).toMatchObject({ ended: false, gone: 'client_aborted' });
    }
  });

  test('while nobody is attached: whoever works on the request is told', async () => {
    let told = 0;
    const peer = await listen(({ connection }) => {
      connection.onGone = () => told++;
    });
    await peer.send(post('/a', 'hello').slice(0, -2));
    await port.when(() => port.requests.length === 1);
    peer.reset();
    await port.when(() => port.closed === 1);
    expect(told).toBe(1);
    const late = new Served(port.latest);
    port.latest.attach(late);
    expect(late.gone).toBe('client_aborted');
    expect(port.latest.closed).toBe(true);
  });
});
