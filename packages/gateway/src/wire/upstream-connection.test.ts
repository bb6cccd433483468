import { Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type TestAuthority, testAuthority } from '../testing/test-authority.test.support.js';
import { poisonReadBuffers } from './read-buffers.js';
import { responses } from './testing/ambiguous-messages.test.support.js';
import { CollectedResponse } from './testing/collected-response.test.support.js';
import { begin, OK, REQUEST } from './testing/upstream-exchange.test.support.js';
import { noTimeouts, UpstreamPort } from './testing/upstream-port.test.support.js';
import { readResponse } from './testing/wire-reading.test.support.js';
import { UpstreamConnection } from './upstream-connection.js';

let authority: TestAuthority;
let port: UpstreamPort;

beforeAll(async () => {
  authority = await testAuthority();
});
afterAll(() => authority.remove());

describe('responses in any pieces', () => {
  beforeEach(() => poisonReadBuffers(true));

  /** Delivers bytes the way sockets do: each piece into the buffer that the connection offers, which is then asked for the next. */
  function deliver(text: string, splits: readonly number[], method: string, contentOnly = false): { response: CollectedResponse; reusable: boolean } {
    const connection = new UpstreamConnection('127.0.0.1', { size: 4096, count: 20 }, noTimeouts);
    connection.open(new Socket());
    const response = new CollectedResponse(connection);
    connection.begin(response, method);
    connection.contentOnly = contentOnly;
    connection.requestSent();
    const input = Buffer.from(text, 'latin1');
    let buffer = connection.onread.buffer();
    let from = 0;
    for (const to of [...splits, input.length]) {
      while (from < to) {
        const length = input.copy(buffer, 0, from, Math.min(to, from + buffer.length));
        from += length;
        connection.onread.callback(length, buffer);
        buffer = connection.onread.buffer();
      }
    }
    const { reusable } = connection;
    connection.destroy();
    return { response, reusable };
  }

  function outcome({ response, reusable }: ReturnType<typeof deliver>): unknown {
    const { status, body, trailers, ended, gone, interim } = response;
    return gone === null ? { status, body, trailers, ended, interim, reusable } : { gone };
  }

  test.each(responses)('%s (%s): the same at every split', (_, method, text) => {
    const whole = deliver(text, [], method);
    for (let split = 1; split < text.length; split++) expect(outcome(deliver(text, [split], method)), `split at ${split}`).toEqual(outcome(whole));
    expect(outcome(deliver(text, [...Buffer.from(text, 'latin1').keys()], method)), 'byte by byte').toEqual(outcome(whole));
    const reading = readResponse(Buffer.from(text, 'latin1'), method);
    const [message] = reading.messages;
    if (reading.stop === 'refused') expect(whole.response.gone).toBe('upstream_response_malformed');
    else if (message !== undefined && whole.response.ended) {
      const content = deliver(text, [], method, true).response;
      expect([String(content.status), content.body]).toEqual([message.start[0], message.body]);
      expect(content.trailers).toEqual(message.trailers);
    }
  });

  test('a chunked body passes as it is; its content alone where that is asked for', () => {
    const chunks = fc.array(fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 300 }), { maxLength: 20 });
    fc.assert(
      fc.property(chunks, fc.array(fc.nat(6000), { maxLength: 10 }), fc.boolean(), (contents, splits, contentOnly) => {
        const body = `${contents.map((content) => `${content.length.toString(16)}\r\n${content}\r\n`).join('')}0\r\n\r\n`;
        const text = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;
        const sorted = splits.filter((split) => split < text.length).sort((a, b) => a - b);
        const { response, reusable } = deliver(text, sorted, 'GET', contentOnly);
        expect([response.ended, reusable]).toEqual([true, true]);
        // The empty line at the end is held back when it did not come in one piece with the last chunk: whoever passes the body on writes it.
        if (contentOnly) expect(response.body).toBe(contents.join(''));
        else expect([body, body.slice(0, -2)]).toContain(response.body);
      }),
    );
  });

  test.each([
    ['HTTP/1.1', OK, true],
    ['with Connection: close', OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'), false],
    ['HTTP/1.0', OK.replace('1.1', '1.0'), false],
    ['HTTP/1.0 with keep-alive', OK.replace('1.1', '1.0').replace('\r\n\r\n', '\r\nConnection: Keep-Alive\r\n\r\n'), true],
    ['a byte too many', `${OK}!`, false],
    ['a response too many', OK + OK, false],
    ['204 with a body', `HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello`, false],
    ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', true],
    ['chunked with excess', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n', false],
  ])('whether another request may follow: %s', (_, text, reusable) => {
    const delivered = deliver(text, [], 'GET');
    expect([delivered.response.ended, delivered.reusable]).toEqual([true, reusable]);
  });

  test('a body after the answer to HEAD makes the connection useless', () => {
    expect(deliver(OK, [], 'HEAD')).toMatchObject({ reusable: false, response: { ended: true, size: 0 } });
    expect(deliver(OK.slice(0, -5), [], 'HEAD').reusable).toBe(true);
  });

  test('a response that comes before the request was sent to its end leaves nothing to reuse', () => {
    const connection = new UpstreamConnection('127.0.0.1', { size: 4096, count: 20 }, noTimeouts);
    connection.open(new Socket());
    const response = new CollectedResponse(connection);
    connection.begin(response, 'POST');
    connection.onread.callback(Buffer.from(OK).copy(connection.onread.buffer()), connection.onread.buffer());
    expect([response.ended, connection.reusable]).toEqual([true, false]);
    connection.destroy();
  });

  test('interim responses pass, but not without end', () => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n';
    const some = deliver(hints.repeat(3) + OK, [], 'GET');
    expect([some.response.interim, some.response.status, some.reusable]).toEqual([[103, 103, 103], 200, true]);
    const flood = deliver(hints.repeat(1000) + OK, [], 'GET').response;
    expect(flood.gone).toBe('upstream_response_malformed');
    expect(flood.interim.length * hints.length).toBeLessThanOrEqual(4096);
    const twice = deliver(hints.repeat(90) + OK, [], 'GET').response;
    expect(twice.gone).toBeNull();
  });

  test('heads over the limits are refused', () => {
    expect(deliver(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(5000)}\r\n\r\n`, [], 'GET').response.gone).toBe('upstream_response_malformed');
    expect(deliver(`HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(21)}\r\n`, [], 'GET').response.gone).toBe('upstream_response_malformed');
  });

  test('a sink that is done in the middle of a read is told nothing more', () => {
    const text = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n';
    for (const contentOnly of [false, true]) {
      const connection = new UpstreamConnection('127.0.0.1', { size: 4096, count: 20 }, noTimeouts);
      connection.open(new Socket());
      const response = new CollectedResponse(connection);
      response.onProgress = () => {
        if (response.size > 0) connection.destroy();
      };
      connection.begin(response, 'GET');
      connection.contentOnly = contentOnly;
      const buffer = connection.onread.buffer();
      connection.onread.callback(Buffer.from(text).copy(buffer), buffer);
      expect([response.pieces.length, response.ended, response.gone]).toEqual([contentOnly ? 2 : 1, false, null]);
    }
  });
});

describe.each(['TCP', 'TLS'])('over %s', (transport) => {
  beforeEach(async () => {
    const tls = { server: authority.serverFor('localhost'), client: { ca: authority.authority.certificatePem, servername: 'localhost' } };
    port = await UpstreamPort.open(transport === 'TCP' ? null : tls);
  });
  afterEach(() => port.close());

  test('one request after another on one connection', async () => {
    const { connection, peer } = await port.connect();
    for (let i = 0; i < 5; i++) {
      const response = begin(connection);
      expect(await peer.take('\r\n\r\n')).toBe(REQUEST);
      await peer.send(OK, [3, 30, 40]);
      await response.over();
      expect([response.status, response.body, connection.reusable]).toEqual([200, 'hello', true]);
    }
  });

  test('an unsolicited byte on an idle connection retires it in the same tick, and before that nothing is lost', async () => {
    const { connection, socket, peer } = await port.connect();
    let gone = 0;
    connection.onIdleGone = () => gone++;
    const response = begin(connection);
    await peer.take('\r\n\r\n');
    await peer.send(OK);
    await response.over();
    expect([connection.reusable, gone]).toEqual([true, 0]);
    const told = new Promise<void>((resolve) => {
      connection.onIdleGone = () => {
        gone++;
        resolve();
      };
    });
    await peer.send('H');
    await told;
    expect([gone, connection.reusable, socket.destroyed]).toEqual([1, false, true]);
    await peer.untilEnd();
    expect(gone).toBe(1);
  });

  test.each([
    ['closes', (peer: { end(): void }) => peer.end()],
    ['breaks', (peer: { destroy(): void }) => peer.destroy()],
  ])('an idle connection that the upstream %s is told as gone once', async (_, close) => {
    const { connection, peer, socket } = await port.connect();
    let closed = false;
    socket.prependListener('close', () => {
      closed = true;
    });
    let gone = 0;
    const told = new Promise<void>((resolve) => {
      connection.onIdleGone = () => {
        gone++;
        // At once, not when the socket has closed: in between somebody could begin an exchange on it.
        expect(closed).toBe(false);
        resolve();
      };
    });
    close(peer);
    await told;
    if (!closed) await new Promise((resolve) => socket.once('close', resolve));
    expect([gone, connection.reusable]).toEqual([1, false]);
  });

  test('a body that ends with the connection', async () => {
    const { connection, peer } = await port.connect();
    const response = begin(connection);
    await peer.send('HTTP/1.1 200 OK\r\n\r\nall of ');
    await response.when(() => response.size > 0);
    await peer.send('it');
    peer.end();
    await response.over();
    expect([response.body, response.ended, connection.reusable]).toEqual(['all of it', true, false]);
  });

  test('the last bytes and the end in one segment, also to a sink that takes its time', async () => {
    for (const flowing of [true, false]) {
      const { connection, peer } = await port.connect();
      const response = begin(connection);
      response.flowing = flowing;
      peer.socket.end('HTTP/1.1 200 OK\r\n\r\nall at once');
      await response.when(() => response.size > 0);
      expect(response.ended).toBe(false);
      connection.resume();
      await response.over();
      expect([response.body, response.gone]).toEqual(['all at once', null]);
    }
  });

  const whole = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n';
  test('an upstream that vanishes at any byte: the response is known not to be whole', async () => {
    for (const text of [whole, OK]) {
      for (let length = 0; length < text.length; length++) {
        const { connection, peer } = await port.connect();
        const response = begin(connection);
        await peer.send(text.slice(0, length));
        if (length % 3 === 0) peer.end();
        else if (length % 3 === 1 && transport === 'TCP') peer.reset();
        else peer.destroy();
        await response.over();
        expect([response.ended, response.gone], `${length} bytes`).toEqual([false, 'upstream_reset']);
      }
    }
  });

  test('a body larger than every buffer, to a sink that stops again and again', async () => {
    const { connection, peer } = await port.connect();
    const response = begin(connection);
    const body = Buffer.alloc(6_000_000, 'the quick brown fox');
    response.onProgress = () => {
      response.flowing = response.pieces.length % 3 === 0;
      if (!response.flowing) setImmediate(() => connection.resume());
    };
    const sent = peer.send(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`), body]));
    await response.over();
    await sent;
    expect(response.gone).toBeNull();
    expect(Buffer.concat(response.pieces).equals(body)).toBe(true);
    expect(connection.reusable).toBe(true);
    const again = begin(connection);
    await peer.send(OK);
    await again.over();
    expect(again.body).toBe('hello');
  });

  test('a paused upstream is not read', async () => {
    const { connection, peer, socket } = await port.connect();
    const response = begin(connection);
    response.flowing = false;
    const size = 48_000_000;
    void peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    void peer.send(Buffer.alloc(size));
    await response.when(() => response.status === 200);
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(response.size).toBeLessThan(200_000);
    expect(socket.bytesRead).toBeLessThan(400_000);
    expect(peer.socket.writableLength).toBeGreaterThan(0);
  });

  test('after a hand-over bytes go to whoever took it, and so does the end', async () => {
    const { connection, peer } = await port.connect();
    let switched = Buffer.alloc(0);
    let rest = '';
    const response = begin(connection);
    const done = new Promise<void>((resolve) => {
      response.onResponse = (bytes, start, end) => {
        switched = Buffer.from(bytes.subarray(start, end));
        const socket = connection.detach((piece, length) => {
          rest += piece.toString('latin1', 0, length);
          return true;
        });
        socket.on('end', resolve);
        return true;
      };
    });
    await peer.send('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nearly');
    await peer.send('later');
    peer.end();
    await done;
    expect(switched.toString() + rest).toBe('earlylater');
    expect(response.gone).toBeNull();
  });
});

describe('resets', () => {
  beforeEach(async () => {
    port = await UpstreamPort.open();
  });
  afterEach(() => port.close());

  test('one behind the last bytes of a body that would end with the connection is seen, also by a sink that was not reading', async () => {
    const { connection, peer, socket } = await port.connect();
    const response = begin(connection);
    response.flowing = false;
    await peer.send('HTTP/1.1 200 OK\r\n\r\n');
    await response.when(() => response.status === 200);
    void peer.send(Buffer.alloc(150_000));
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    peer.reset();
    await peer.closed;
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(socket.destroyed).toBe(false);
    response.flowing = true;
    connection.resume();
    await response.over();
    expect([response.ended, response.gone]).toEqual([false, 'upstream_reset']);
  });
});
