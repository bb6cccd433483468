import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type SecureContext } from 'node:tls';
import type { ErrorCode, SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { openAuthority } from '../tls/authority.js';
import { LeafContexts } from '../tls/leaf-contexts.js';
import { type RequestHandler, type RequestSink, ServerConnection, type ServerTimeouts } from './server-connection.js';
import { RawPeer } from './testing/raw-peer.js';
import { readRequests } from './testing/wire-reading.js';

const noTimeouts: ServerTimeouts = { head: 0, idle: 0, keepAlive: 0 };
const MINUTE = 60_000;

/** One request as a test sees it: its body, what became of it, and the means to answer. */
class Served implements RequestSink {
  readonly connection: ServerConnection;
  readonly method: string;
  readonly target: string;
  body = '';
  size = 0;
  ended = false;
  /** Takes no body while false. */
  flowing = true;
  fault: ErrorCode | null = null;
  gone: ErrorCode | null = null;
  drains = 0;
  onProgress: () => void = () => {};

  constructor(connection: ServerConnection) {
    this.connection = connection;
    this.method = connection.head.method;
    this.target = connection.head.target;
  }

  onRequestBody(bytes: Buffer, start: number, end: number): boolean {
    expect(this.ended || this.fault !== null || this.gone !== null, 'body after the end').toBe(false);
    this.size += end - start;
    if (this.size <= 1_000_000) this.body += bytes.toString('latin1', start, end);
    this.onProgress();
    return this.flowing;
  }

  onRequestEnd(): void {
    expect(this.ended, 'ended twice').toBe(false);
    this.ended = true;
    this.onProgress();
  }

  onRequestFault(error: SallyportError): void {
    this.fault = error.code;
    this.onProgress();
  }

  onClientGone(code: ErrorCode): void {
    expect(this.gone, 'gone twice').toBeNull();
    this.gone = code;
    this.onProgress();
  }

  onClientDrain(): void {
    this.drains++;
    this.onProgress();
  }

  answer(body = `${this.method} ${this.target}`): void {
    const close = this.connection.persistent ? '' : 'Connection: close\r\n';
    this.connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${close}\r\n${body}`);
    this.connection.finish();
  }
}

/** A port that hands requests to a test. */
class Port implements RequestHandler {
  readonly connections: ServerConnection[] = [];
  readonly requests: Served[] = [];
  readonly refused: string[] = [];
  closed = 0;
  onRequestOf: (served: Served) => void;
  readonly #changed: Array<() => void> = [];

  constructor(onRequestOf: (served: Served) => void) {
    this.onRequestOf = onRequestOf;
  }

  onRequest(connection: ServerConnection): void {
    const served = new Served(connection);
    served.onProgress = () => this.#wake();
    this.requests.push(served);
    this.onRequestOf(served);
    this.#wake();
  }

  onRefusedHead(connection: ServerConnection, error: SallyportError): void {
    this.refused.push(error.code);
    connection.write(`HTTP/1.1 ${error.status} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    connection.finish();
    this.#wake();
  }

  onClosed(): void {
    this.closed++;
    this.#wake();
  }

  async when(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#changed.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#changed.splice(0)) resolve();
  }
}

const answerAtOnce = (served: Served): void => {
  served.connection.attach(served);
  if (served.ended) served.answer();
};

const answerWholeRequests = (served: Served): void => {
  const progress = served.onProgress;
  served.onProgress = () => {
    progress();
    if (served.ended) {
      served.onProgress = progress;
      served.answer(`${served.method} ${served.target} ${served.body}`);
    }
  };
  served.connection.attach(served);
};

let dir: string;
let context: SecureContext;
let ca: string;
const open: Array<Server | RawPeer> = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sallyport-wire-'));
  const authority = await openAuthority({ dir, create: true });
  context = new LeafContexts(authority).for('localhost');
  ca = authority.certificatePem;
});

afterEach(async () => {
  const servers: Server[] = [];
  for (const each of open.splice(0)) {
    if (each instanceof RawPeer) each.destroy();
    else servers.push(each);
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  vi.useRealTimers();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

interface Options {
  timeouts?: ServerTimeouts;
  tls?: boolean;
  limits?: { size: number; count: number };
}

async function listen(
  onRequestOf: (served: Served) => void,
  { timeouts = noTimeouts, tls = false, limits = { size: 4096, count: 20 } }: Options = {},
) {
  const port = new Port(onRequestOf);
  const accept = (socket: Socket): void => {
    const connection = new ServerConnection(socket, port, limits, timeouts);
    port.connections.push(connection);
    connection.start(null);
  };
  const sockets = { allowHalfOpen: true, noDelay: true };
  const server = tls
    ? createTlsServer({ ...sockets, SNICallback: (_: string, done: (error: null, context: SecureContext) => void) => done(null, context) } as object, accept)
    : createServer(sockets, accept);
  open.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connect = async (): Promise<RawPeer> => {
    const peer = await RawPeer.connect((server.address() as AddressInfo).port, tls ? { ca, servername: 'localhost' } : null);
    open.push(peer);
    return peer;
  };
  return { port, connect, peer: await connect() };
}

/** Time is in the hands of the test; sockets are real. */
function holdTime(): void {
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] });
}

const get = (path: string, lines = ''): string => `GET ${path} HTTP/1.1\r\nHost: h\r\n${lines}\r\n`;
const post = (path: string, body: string): string => `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (path: string, body: string): string => `PUT ${path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;

describe.each([{ tls: false }, { tls: true }])('requests on a kept connection, TLS $tls', ({ tls }) => {
  test('one after another', async () => {
    const { port, peer } = await listen(answerWholeRequests, { tls });
    for (const path of ['/1', '/2', '/3']) {
      await peer.send(post(path, 'body'));
      expect(await peer.takeMessage()).toContain(`POST ${path} body`);
    }
    expect(port.connections).toHaveLength(1);
    expect(port.connections[0]?.idle).toBe(true);
  });

  test('pipelined ones are answered in order, one at a time, also when answers take their time', async () => {
    let openRequests = 0;
    const { port, peer } = await listen(
      (served) => {
        expect(++openRequests, 'never while another one is open').toBe(1);
        served.connection.attach(served);
        setImmediate(() =>
          setImmediate(() => {
            openRequests--;
            served.answer();
          }),
        );
      },
      { tls },
    );
    const paths = Array.from({ length: 20 }, (_, index) => `/${index}`);
    await peer.send(paths.map((path) => get(path)).join(''));
    for (const path of paths) expect(await peer.takeMessage()).toMatch(new RegExp(`GET ${path}$`));
    expect(port.requests).toHaveLength(20);
  });

  test('a client that closes its half after a whole request gets its answer, and the connection closes after it', async () => {
    const { port, peer } = await listen(
      (served) => {
        served.connection.attach(served);
        peer.socket.once('finish', () => setImmediate(() => served.answer()));
      },
      { tls },
    );
    await peer.send(get('/half'));
    await port.when(() => port.requests.length === 1);
    peer.end();
    expect(await peer.untilEnd()).toMatch(/GET \/half$/);
    expect(peer.ended).toBe('end');
    await port.when(() => port.closed === 1);
    expect(port.requests[0]?.gone).toBeNull();
  });

  test('large bodies come whole, whatever is in the way', async () => {
    const { port, peer } = await listen(
      (served) => {
        served.flowing = false;
        served.connection.attach(served);
        const more = (): void => {
          if (served.ended) return;
          served.connection.resumeBody();
          setImmediate(more);
        };
        setImmediate(more);
      },
      { tls },
    );
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
      chunked('/c', '5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n'),
      chunked('/d', '0\r\n\r\n'),
      post('/e', ''),
      'GET /f HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...messages), { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(300), { maxLength: 8 }),
        async (parts, splits) => {
          const text = parts.join('');
          const { port, peer } = await listen(answerWholeRequests);
          await peer.send(
            text,
            splits.filter((split) => split < text.length).sort((a, b) => a - b),
          );
          peer.end();
          await peer.untilEnd();
          const expected = readRequests(Buffer.from(text)).messages.map(({ start }) => start.join(' '));
          expect(port.requests.map(({ method, target }) => `${method} ${target}`)).toEqual(expected);
          expect(peer.received.match(/(?<=\r\n\r\n)(?:GET|POST|PUT) \/\w/g)).toEqual(expected);
          peer.destroy();
          await port.when(() => port.closed === 1);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('HTTP/1.0 closes after its answer unless it asks to keep the connection', async () => {
    const { peer, connect } = await listen(answerAtOnce);
    await peer.send('GET /kept HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    expect(await peer.takeMessage()).toMatch(/GET \/kept$/);
    await peer.send('GET /last HTTP/1.0\r\n\r\n');
    expect(await peer.untilEnd()).toMatch(/Connection: close\r\n\r\nGET \/last$/);
    const other = await connect();
    await other.send('GET /both HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n');
    expect(await other.untilEnd()).toMatch(/Connection: close/);
  });

  test('what follows a request with Connection: close is not read as a request', async () => {
    const { port, peer } = await listen(answerAtOnce);
    await peer.send(get('/1') + get('/2', 'Connection: close\r\n') + get('/3'));
    expect((await peer.untilEnd()).match(/GET \/\d/g)).toEqual(['GET /1', 'GET /2']);
    expect(peer.ended).toBe('end');
    expect(port.requests).toHaveLength(2);
  });

  test('thousands of pipelined requests that are answered at once do not pile up on the stack', async () => {
    const { port, peer } = await listen(answerAtOnce);
    const count = 20_000;
    void peer.send(get('/p').repeat(count));
    await port.when(() => port.requests.length === count);
    const answers = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nGET /p'.length * count;
    await peer.takeBytes(answers);
    expect(peer.received).toBe('');
  });

  test('the empty line that some clients send after a body is passed over', async () => {
    const { peer } = await listen(answerWholeRequests);
    await peer.send(`${post('/1', 'x')}\r\n${get('/2')}`);
    await peer.takeMessage();
    expect(await peer.takeMessage()).toMatch(/GET \/2 $/);
  });

  test('bytes that were read before come first', async () => {
    const { port } = await listen(answerAtOnce);
    const [one, other] = await pair();
    const connection = new ServerConnection(one, port, { size: 4096, count: 20 }, noTimeouts);
    const text = get('/first');
    connection.start(Buffer.from(text.slice(0, 20)));
    await other.send(text.slice(20));
    expect(await other.takeMessage()).toMatch(/GET \/first$/);
  });
});

/** Two ends of one connection, the first as a bare socket. */
async function pair(): Promise<[Socket, RawPeer]> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  open.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const [[socket], peer] = await Promise.all([
    once(server, 'connection') as Promise<[Socket]>,
    RawPeer.connect((server.address() as AddressInfo).port),
  ]);
  open.push(peer);
  return [socket, peer];
}

describe('heads that are refused', () => {
  test.each([
    ['GET /a HTTP/1.1\r\n\r\n', 400, 'request_malformed'],
    [get('/a', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'), 400, 'request_framing_ambiguous'],
    [get('/a', `X: ${'x'.repeat(5000)}\r\n`), 431, 'request_head_too_large'],
    [get('/a', 'X: y\r\n'.repeat(30)), 431, 'request_head_too_large'],
    ['GET /a HTTP/2.0\r\n\r\n', 505, 'request_version_unsupported'],
  ])('%j', async (text, status, code) => {
    const { port, peer } = await listen(answerAtOnce);
    await peer.send(get('/good') + text + get('/never'));
    expect((await peer.untilEnd()).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', `HTTP/1.1 ${status}`]);
    expect(peer.ended).toBe('end');
    expect(port.refused).toEqual([code]);
    expect(port.requests).toHaveLength(1);
    await port.when(() => port.closed === 1 || peer.ended === 'end');
  });

  test('one behind a request that is still open is refused after its answer', async () => {
    const { port, peer } = await listen((served) => served.connection.attach(served));
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
    const { port, peer } = await listen((served) => served.connection.attach(served));
    await peer.send(chunked('/bad', body) + get('/never'));
    await port.when(() => port.requests[0]?.fault === code);
    port.requests[0]?.answer('refused');
    expect(await peer.untilEnd()).toMatch(/Connection: close\r\n\r\nrefused$/);
    expect(port.requests).toHaveLength(1);
  });
});

describe('clients that vanish', () => {
  const text = get('/a') + post('/b', 'hello') + chunked('/c', '5\r\nhello\r\n0\r\nX: y\r\n\r\n');
  const lengths = Array.from({ length: text.length + 1 }, (_, index) => index);

  test.each(['reset', 'end', 'destroy'] as const)(
    'by %s, at any byte: every connection is closed once and every open request hears of it',
    async (way) => {
      const { port, connect, peer } = await listen((served) => served.connection.attach(served));
      peer.destroy();
      // Three requests are never answered: each connection has at most its first one open.
      for (const length of lengths) {
        const client = await connect();
        await client.send(text.slice(0, length));
        client[way]();
        if (way === 'end') {
          // A whole request still gets its answer.
          await port.when(
            () => port.closed === length + 1 || (port.requests.at(-1)?.connection === port.connections.at(-1) && length >= get('/a').length),
          );
          const last = port.requests.at(-1);
          if (last?.connection === port.connections.at(-1) && last?.ended === true && last.gone === null) last.connection.destroy();
        }
      }
      await port.when(() => port.closed === lengths.length + 1);
      for (const request of port.requests) expect(request.gone ?? 'client_aborted').toBe('client_aborted');
      expect(port.requests.length).toBeLessThanOrEqual(lengths.length);
    },
  );

  test.each(['reset', 'end', 'destroy'] as const)('by %s, at any byte of a body: the sink hears of it once and never of an end', async (way) => {
    const { port, connect, peer } = await listen((served) => served.connection.attach(served));
    peer.destroy();
    const whole = chunked('/c', '5\r\nhello\r\n0\r\nX: y\r\n\r\n');
    const head = whole.indexOf('\r\n\r\n') + 4;
    for (let length = head; length < whole.length; length++) {
      const client = await connect();
      await client.send(whole.slice(0, length));
      await port.when(() => port.requests.length === length - head + 1);
      client[way]();
      await port.when(() => port.requests.at(-1)?.gone !== null);
      expect(port.requests.at(-1)).toMatchObject({ ended: false, gone: 'client_aborted' });
    }
  });

  test('while nobody is attached: whoever works on the request is told', async () => {
    let told = 0;
    const { port, peer } = await listen((served) => {
      served.connection.onGone = () => told++;
    });
    await peer.send(post('/a', 'hello').slice(0, -2));
    await port.when(() => port.requests.length === 1);
    peer.reset();
    await port.when(() => port.closed === 1);
    expect(told).toBe(1);
    const late = new Served(port.requests[0]?.connection as ServerConnection);
    port.requests[0]?.connection.attach(late);
    expect(late.gone).toBe('client_aborted');
    expect(port.requests[0]?.connection.closed).toBe(true);
  });
});

describe('backpressure', () => {
  test('a body that nobody takes is not read further, and goes on afterwards', async () => {
    const { port, peer } = await listen((served) => {
      served.flowing = false;
      served.connection.attach(served);
    });
    const size = 40_000_000;
    await peer.send(`POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: ${size}\r\n\r\n`);
    const sent = peer.send(Buffer.alloc(size, 0x61));
    await port.when(() => (port.requests[0]?.size ?? 0) > 0);
    const [served] = port.requests as [Served];
    // The socket is not read: the kernel’s buffers fill, and the sender has to wait.
    await settled();
    expect(served.size).toBeLessThanOrEqual(65_536);
    expect(served.connection.socket.isPaused()).toBe(true);
    expect(served.connection.socket.readableLength).toBeLessThanOrEqual(65_536);
    expect(peer.socket.writableLength).toBe(size);
    served.flowing = true;
    served.connection.resumeBody();
    await port.when(() => served.ended);
    await sent;
    expect(served.size).toBe(size);
  });

  test('a body is held while nobody is attached, and handed out from its first byte', async () => {
    const { port, peer } = await listen(() => {});
    const body = 'b'.repeat(300_000);
    void peer.send(post('/a', body));
    await port.when(() => port.requests[0]?.connection.bodyAtHand === true || port.requests[0]?.connection.socket.isPaused() === true);
    await settled();
    const [served] = port.requests as [Served];
    expect(served.size).toBe(0);
    served.connection.attach(served);
    await port.when(() => served.ended);
    expect(served.body === body).toBe(true);
  });

  test('a client that takes no answers gets no further ones, until it takes them', async () => {
    const body = 'x'.repeat(1_000_000);
    const { port, peer } = await listen((served) => {
      served.connection.attach(served);
      served.answer(body);
    });
    peer.socket.pause();
    const count = 30;
    await peer.send(get('/a').repeat(count));
    await port.when(() => port.requests.length > 0 && (port.connections[0]?.socket.writableLength ?? 0) > 0);
    await settled();
    const [connection] = port.connections as [ServerConnection];
    expect(port.requests.length).toBeLessThan(count);
    expect(connection.socket.writableLength).toBeLessThan(2 * body.length);
    peer.socket.resume();
    for (let i = 0; i < count; i++) expect((await peer.takeMessage()).length).toBeGreaterThan(body.length);
    expect(port.requests).toHaveLength(count);
  });

  test('the request body goes on while the answer waits for the client, and each is told of its own', async () => {
    const { port, peer } = await listen((served) => served.connection.attach(served));
    peer.socket.pause();
    const body = 'u'.repeat(200_000);
    await peer.send(post('/a', body).slice(0, 1000));
    await port.when(() => port.requests.length === 1);
    const [served] = port.requests as [Served];
    const answer = 'd'.repeat(8_000_000);
    expect(served.connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`)).toBe(false);
    await peer.send(post('/a', body).slice(1000));
    await port.when(() => served.ended);
    expect(served.drains).toBe(0);
    expect(served.body === body).toBe(true);
    peer.socket.resume();
    await port.when(() => served.drains === 1);
    served.connection.finish();
    expect((await peer.takeMessage()).endsWith(answer)).toBe(true);
  });

  test('pipelined requests behind an open one are held, but only so many', async () => {
    const { port, peer } = await listen((served) => served.connection.attach(served));
    void peer.send(get('/a').repeat(500_000));
    await port.when(() => port.requests.length === 1 && port.connections[0]?.socket.isPaused() === true);
    await settled();
    const [{ socket }] = port.connections as [ServerConnection];
    expect(socket.bytesRead).toBeLessThan(400_000);
    expect(port.requests).toHaveLength(1);
  });
});

/** Long enough for anything that is going to happen by itself on the loopback interface to have happened. */
async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
}

describe('deadlines', () => {
  const timeouts: ServerTimeouts = { head: 10 * MINUTE, idle: 5 * MINUTE, keepAlive: MINUTE };

  test('a connection on which nothing comes is closed', async () => {
    holdTime();
    const { port, peer } = await listen(answerAtOnce, { timeouts });
    await port.when(() => true);
    while (port.connections.length === 0) await settled();
    vi.advanceTimersByTime(11 * MINUTE);
    expect(await peer.untilEnd()).toBe('');
    expect(port.closed).toBe(1);
  });

  test('a head that trickles is refused after its time, counted from its first byte', async () => {
    holdTime();
    const { port, peer } = await listen(answerAtOnce, { timeouts });
    await peer.send(get('/a'));
    await peer.takeMessage();
    await peer.send('GET /slow HT');
    while (port.connections[0]?.idle !== false) await settled();
    vi.advanceTimersByTime(9 * MINUTE);
    await peer.send('TP/1.1\r\nHost');
    await settled();
    expect(port.refused).toEqual([]);
    vi.advanceTimersByTime(2 * MINUTE);
    expect(await peer.untilEnd()).toMatch(/^HTTP\/1\.1 408/);
    expect(port.refused).toEqual(['client_head_timeout']);
  });

  test('a kept connection that is not used is closed, one that waits for its answer is not', async () => {
    holdTime();
    const { port, peer, connect } = await listen((served) => served.connection.attach(served), { timeouts });
    const idle = await connect();
    await idle.send(get('/idle'));
    await peer.send(get('/waiting'));
    await port.when(() => port.requests.length === 2);
    port.requests.find(({ target }) => target === '/idle')?.answer();
    await idle.takeMessage();
    vi.advanceTimersByTime(100 * MINUTE);
    await idle.untilEnd();
    expect(port.closed).toBe(1);
    const waiting = port.requests.find(({ target }) => target === '/waiting') as Served;
    expect([waiting.gone, waiting.fault]).toEqual([null, null]);
    waiting.answer();
    expect(await peer.takeMessage()).toMatch(/waiting$/);
  });

  test('a body that falls silent is a fault', async () => {
    holdTime();
    const { port, peer } = await listen((served) => served.connection.attach(served), { timeouts });
    await peer.send(post('/a', 'hello').slice(0, -2));
    await port.when(() => port.requests[0]?.size === 3);
    vi.advanceTimersByTime(6 * MINUTE);
    expect(port.requests[0]?.fault).toBe('client_idle_timeout');
  });

  test('a body that is not taken is no fault of the client; when it is wanted again, its time begins again', async () => {
    holdTime();
    const { port, peer } = await listen(
      (served) => {
        served.flowing = false;
        served.connection.attach(served);
      },
      { timeouts },
    );
    await peer.send(post('/a', 'hello').slice(0, -2));
    await port.when(() => port.requests[0]?.size === 3);
    const [served] = port.requests as [Served];
    vi.advanceTimersByTime(60 * MINUTE);
    expect(served.fault).toBeNull();
    served.connection.resumeBody();
    vi.advanceTimersByTime(4 * MINUTE);
    expect(served.fault).toBeNull();
    vi.advanceTimersByTime(2 * MINUTE);
    expect(served.fault).toBe('client_idle_timeout');
  });

  test('a body that nobody has asked for yet is no fault either', async () => {
    holdTime();
    const { port, peer } = await listen(() => {}, { timeouts });
    await peer.send(post('/a', 'hello').slice(0, -2));
    await port.when(() => port.requests.length === 1);
    const [served] = port.requests as [Served];
    vi.advanceTimersByTime(60 * MINUTE);
    served.connection.attach(served);
    expect(served.fault).toBeNull();
    vi.advanceTimersByTime(6 * MINUTE);
    expect(served.fault).toBe('client_idle_timeout');
  });

  test.each([
    ['before its request is whole', false],
    ['also when the rest of its request came meanwhile', true],
  ])('a client that does not take its answer is given up, %s', async (_, rest) => {
    holdTime();
    const { port, peer } = await listen((served) => served.connection.attach(served), { timeouts });
    peer.socket.pause();
    await peer.send(post('/a', 'hello').slice(0, -2));
    await port.when(() => port.requests[0]?.size === 3);
    const [served] = port.requests as [Served];
    served.connection.write(`HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n${'d'.repeat(8_000_000)}`);
    if (rest) {
      await peer.send('lo');
      await port.when(() => served.ended);
    }
    vi.advanceTimersByTime(6 * MINUTE);
    expect(served.gone).toBe('client_idle_timeout');
    await port.when(() => port.closed === 1);
  });

  test('a client that does not take the end of its answer is given the time of a slow reader, whether the connection is kept or not', async () => {
    holdTime();
    const body = 'd'.repeat(8_000_000);
    const { port, peer, connect } = await listen(
      (served) => {
        served.connection.attach(served);
        served.answer(body);
      },
      { timeouts: { ...timeouts, idle: 50 * MINUTE } },
    );
    const closing = await connect();
    for (const client of [peer, closing]) client.socket.pause();
    await peer.send(get('/kept'));
    await closing.send(get('/closing', 'Connection: close\r\n'));
    await port.when(() => port.requests.length === 2);
    await settled();
    vi.advanceTimersByTime(40 * MINUTE);
    await settled();
    for (const client of [peer, closing]) {
      client.socket.resume();
      const message = await client.takeMessage();
      expect(message.endsWith(body)).toBe(true);
    }
    await closing.untilEnd();
    expect(closing.ended).toBe('end');
    peer.socket.pause();
    await peer.send(get('/again'));
    await port.when(() => port.requests.length === 3);
    await settled();
    vi.advanceTimersByTime(51 * MINUTE);
    peer.socket.resume();
    await peer.untilEnd();
    expect(peer.ended).toBe('reset');
  });

  test('an answer that ends with the connection and is not taken is broken off, not closed', async () => {
    holdTime();
    const { port, peer } = await listen(
      (served) => {
        served.connection.persistent = false;
        served.connection.attach(served);
        served.connection.write(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${'d'.repeat(8_000_000)}`);
        served.connection.finish();
      },
      { timeouts },
    );
    peer.socket.pause();
    await peer.send(get('/a'));
    await port.when(() => port.requests.length === 1);
    await settled();
    vi.advanceTimersByTime(6 * MINUTE);
    await port.when(() => port.closed === 1);
    peer.socket.resume();
    await peer.untilEnd();
    expect(peer.ended).toBe('reset');
  });

  test('after the answer to a body that ends inside the sink the time of a kept connection runs', async () => {
    holdTime();
    const { port, peer } = await listen(
      (served) => {
        const { connection } = served;
        served.onRequestBody = () => {
          // The last byte came; the sink answers before it is told of the end.
          if (connection.body.done) served.answer('early');
          return true;
        };
        connection.attach(served);
      },
      { timeouts },
    );
    await peer.send(post('/a', 'hello'));
    expect(await peer.takeMessage()).toMatch(/early$/);
    expect(port.requests[0]?.ended).toBe(false);
    vi.advanceTimersByTime(2 * MINUTE);
    await peer.untilEnd();
    expect(port.closed).toBe(1);
  });
});

describe('closing', () => {
  test('an answer that comes before the end of the body arrives whole although the client goes on sending', async () => {
    const { port, peer } = await listen((served) => {
      served.onRequestBody = () => {
        if (served.gone === null && !served.connection.closed) served.answer('too much');
        return false;
      };
      served.connection.persistent = false;
      served.connection.attach(served);
    });
    await peer.send(`POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n`);
    for (let i = 0; i < 8; i++) await peer.send(Buffer.alloc(100_000));
    expect(await peer.untilEnd()).toMatch(/Connection: close\r\n\r\ntoo much$/);
    expect(peer.ended).toBe('end');
    peer.end();
    await port.when(() => port.closed === 1);
    expect(port.requests).toHaveLength(1);
  });

  test('a client that goes on for too long is cut off', async () => {
    const { port, peer } = await listen((served) => {
      served.connection.persistent = false;
      served.connection.attach(served);
      served.answer('no');
    });
    void peer.send(`POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n`);
    void peer.send(Buffer.alloc(50_000_000));
    await port.when(() => port.closed === 1);
    expect(port.connections[0]?.socket.bytesRead).toBeLessThan(5_000_000);
  });

  test('one that neither sends nor closes is closed after a moment', async () => {
    holdTime();
    const { port, peer } = await listen(answerAtOnce);
    await peer.send(get('/a', 'Connection: close\r\n'));
    await peer.untilEnd();
    await settled();
    expect(port.closed).toBe(0);
    vi.advanceTimersByTime(3000);
    await port.when(() => port.closed === 1);
  });

  test('drain closes an idle connection at once, and a busy one after its answer', async () => {
    const { port, peer, connect } = await listen((served) => served.connection.attach(served));
    const busy = await connect();
    await busy.send(get('/busy') + get('/never'));
    await port.when(() => port.requests.length === 1 && port.connections.length === 2);
    for (const connection of port.connections) connection.drain();
    expect(await peer.untilEnd()).toBe('');
    port.requests[0]?.answer();
    expect(await busy.untilEnd()).toMatch(/Connection: close\r\n\r\nGET \/busy$/);
    expect(port.requests).toHaveLength(1);
  });

  test('drain lets a request that has begun to arrive through, as the last one', async () => {
    const { port, peer } = await listen(answerAtOnce);
    await peer.send(get('/late').slice(0, 10));
    while (port.connections[0]?.idle !== false) await settled();
    port.connections[0]?.drain();
    await peer.send(get('/late').slice(10) + get('/never'));
    expect(await peer.untilEnd()).toMatch(/Connection: close\r\n\r\nGET \/late$/);
  });

  test('destroy with reset shows as such', async () => {
    const { port, peer } = await listen((served) => {
      served.connection.attach(served);
      served.connection.write('HTTP/1.1 200 OK\r\n\r\npart');
    });
    await peer.send(get('/a'));
    await peer.until('part');
    port.connections[0]?.destroy(true);
    await peer.untilEnd();
    expect(peer.ended).toBe('reset');
    await port.when(() => port.closed === 1);
    expect(port.requests[0]?.gone).toBeNull();
  });

  test('what is done after the end has no effect', async () => {
    const { port, peer } = await listen((served) => served.connection.attach(served));
    await peer.send(get('/a'));
    await port.when(() => port.requests.length === 1);
    peer.reset();
    await port.when(() => port.closed === 1);
    const [connection] = port.connections as [ServerConnection];
    expect(connection.write('late')).toBe(true);
    connection.finish();
    connection.resumeBody();
    connection.drain();
    connection.destroy(true);
    expect(port.requests[0]?.gone).toBe('client_aborted');
  });
});

describe('handing the socket over', () => {
  const head = 'CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n';
  const rest = '\x16\x03\x01 bytes of another protocol \r\n\r\n GET / HTTP/1.1\r\n\r\n';

  test.each([
    ['at once', (take: () => void) => take()],
    ['later', (take: () => void) => setImmediate(() => setImmediate(take))],
  ])('%s: exactly the bytes after the head, at every split', async (_, when) => {
    const { port, connect, peer } = await listen(() => {});
    peer.destroy();
    for (let split = 1; split < head.length + rest.length; split += 3) {
      let taken = '';
      let stop = (): void => {};
      port.onRequestOf = ({ connection }) =>
        when(() => {
          const { socket } = connection;
          const early = connection.detach();
          expect(['data', 'end', 'drain', 'error', 'close'].map((event) => [event, socket.listeners(event).filter(isOurs).length])).toEqual(
            ['data', 'end', 'drain', 'error', 'close'].map((event) => [event, 0]),
          );
          taken = early?.toString('latin1') ?? '';
          socket.on('error', () => {});
          socket.on('data', (bytes: Buffer) => {
            taken += bytes.toString('latin1');
            if (taken.length >= rest.length) stop();
          });
          socket.resume();
          if (taken.length >= rest.length) stop();
        });
      const client = await connect();
      const whole = new Promise<void>((resolve) => {
        stop = resolve;
      });
      await client.send(head + rest, [split]);
      await whole;
      expect(taken, `split at ${split}`).toBe(rest);
      client.destroy();
    }
    expect(port.closed).toBe(port.connections.length);
  });

  test('no deadline follows the socket, and its end is no longer told', async () => {
    holdTime();
    const { port, peer } = await listen(({ connection }) => connection.detach(), { timeouts: { head: MINUTE, idle: MINUTE, keepAlive: MINUTE } });
    await peer.send(head);
    await port.when(() => port.closed === 1);
    vi.advanceTimersByTime(100 * MINUTE);
    const { socket } = port.connections[0] as ServerConnection;
    expect(socket.destroyed).toBe(false);
    socket.on('error', () => {});
    socket.destroy();
    await peer.untilEnd();
    expect(port.closed).toBe(1);
  });
});

/** Listeners that a `ServerConnection` put on: Node’s own on sockets have names. */
function isOurs(listener: unknown): boolean {
  return typeof listener === 'function' && ['', 'ignore'].includes(listener.name.replace(/^#.*/, ''));
}
