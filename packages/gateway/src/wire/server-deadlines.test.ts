import { performance } from 'node:perf_hooks';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ServerTimeouts } from './server-connection.js';
import type { RawPeer } from './testing/raw-peer.test.support.js';
import { answerAtOnce, attachOnly, big, get, post, type Served, ServerPort, settled } from './testing/server-port.test.support.js';

const MINUTE = 60_000;
const timeouts: ServerTimeouts = { head: 10 * MINUTE, idle: 5 * MINUTE, keepAlive: MINUTE };

let port: ServerPort;

// Time is in the hands of the test; sockets are real.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
  vi.spyOn(performance, 'now').mockImplementation(() => Date.now());
});
afterEach(async () => {
  await port.close();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function listen(onServed: (served: Served) => void, changed: Partial<ServerTimeouts> = {}): Promise<RawPeer> {
  port = await ServerPort.open(onServed, { timeouts: { ...timeouts, ...changed } });
  return port.connect();
}

/** Begins to answer with more than the client takes. */
function beginBig({ connection }: Served, lines = ''): void {
  connection.write(`HTTP/1.1 200 OK\r\n${lines}\r\n`);
  expect(connection.write(big)).toBe(false);
}

test('a connection on which nothing comes is closed', async () => {
  const peer = await listen(answerAtOnce);
  vi.advanceTimersByTime(9 * MINUTE);
  await settled();
  expect(peer.ended).toBeNull();
  vi.advanceTimersByTime(2 * MINUTE);
  expect(await peer.untilEnd()).toBe('');
  await port.when(() => port.closed === 1);
});

test('a head that trickles is refused after its time, counted from its first byte', async () => {
  const peer = await listen(answerAtOnce);
  await peer.send(get('/a'));
  await peer.takeMessage();
  await peer.send('GET /slow HT');
  await settled();
  expect(port.latest.idle).toBe(false);
  vi.advanceTimersByTime(9 * MINUTE);
  await peer.send('TP/1.1\r\nHost');
  await settled();
  expect(port.refused).toEqual([]);
  vi.advanceTimersByTime(2 * MINUTE);
  expect(await peer.untilEnd()).toMatch(/^HTTP\/1\.1 408/);
  expect(port.refused).toEqual(['client_head_timeout']);
});

test('a kept connection that is not used is closed, one that waits for its answer is not', async () => {
  const idle = await listen(attachOnly);
  const peer = await port.connect();
  await idle.send(get('/idle'));
  await peer.send(get('/waiting'));
  await port.when(() => port.requests.length === 2);
  port.requests.find(({ target }) => target === '/idle')?.answer();
  await idle.takeMessage();
  vi.advanceTimersByTime(100 * MINUTE);
  await idle.untilEnd();
  await port.when(() => port.closed === 1);
  const waiting = port.requests.find(({ target }) => target === '/waiting') as Served;
  expect([waiting.gone, waiting.fault]).toEqual([null, null]);
  waiting.answer();
  expect(await peer.takeMessage()).toMatch(/waiting$/);
});

test('a body that falls silent is a fault', async () => {
  const peer = await listen(attachOnly);
  await peer.send(post('/a', 'hello').slice(0, -2));
  await port.when(() => port.requests[0]?.size === 3);
  vi.advanceTimersByTime(6 * MINUTE);
  expect(port.requests[0]?.fault).toBe('client_idle_timeout');
});

test('a body that is not taken is no fault of the client; when it is wanted again, its time begins again', async () => {
  const peer = await listen((served) => {
    served.flowing = false;
    served.connection.attach(served);
  });
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
  const peer = await listen(() => {});
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
  const peer = await listen(attachOnly);
  peer.socket.pause();
  await peer.send(post('/a', 'hello').slice(0, -2));
  await port.when(() => port.requests[0]?.size === 3);
  const [served] = port.requests as [Served];
  beginBig(served, `Content-Length: ${2 * big.length}\r\n`);
  if (rest) {
    await peer.send('lo');
    await port.when(() => served.ended);
  }
  vi.advanceTimersByTime(6 * MINUTE);
  expect(served.gone).toBe('client_idle_timeout');
  await port.when(() => port.closed === 1);
});

test('a client that takes the end of its answer slowly is not held to the time of kept or closing connections', async () => {
  const kept = await listen(
    (served) => {
      served.connection.attach(served);
      served.answer(big);
    },
    { idle: 50 * MINUTE },
  );
  const closing = await port.connect();
  for (const client of [kept, closing]) client.socket.pause();
  await kept.send(get('/kept'));
  await closing.send(get('/closing', 'Connection: close\r\n'));
  await port.when(() => port.requests.length === 2);
  await settled();
  for (const { socket } of port.connections) expect(socket.writableLength).toBeGreaterThan(0);
  vi.advanceTimersByTime(40 * MINUTE);
  await settled();
  for (const client of [kept, closing]) {
    client.socket.resume();
    await client.take('\r\n\r\n');
    expect(big.equals(await client.takeBytes(big.length))).toBe(true);
  }
  await closing.untilEnd();
  expect(closing.ended).toBe('end');
  // From here on it has the moment of every connection that closes.
  await settled();
  expect(port.closed).toBe(0);
  vi.advanceTimersByTime(3000);
  await port.when(() => port.closed === 1);
  kept.socket.pause();
  await kept.send(get('/again'));
  await port.when(() => port.requests.length === 3);
  await settled();
  vi.advanceTimersByTime(51 * MINUTE);
  kept.socket.resume();
  await kept.untilEnd();
  expect(kept.ended).toBe('reset');
});

test('an answer that ends with the connection and is not taken is broken off, not closed', async () => {
  const peer = await listen((served) => {
    served.connection.persistent = false;
    served.connection.attach(served);
    beginBig(served, 'Connection: close\r\n');
    served.connection.finish();
  });
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

test('after an answer from inside the sink the time of a kept connection runs', async () => {
  const peer = await listen((served) => {
    served.onRequestBody = () => {
      if (served.connection.body.done) served.answer('early');
      return true;
    };
    served.connection.attach(served);
  });
  await peer.send(post('/a', 'hello'));
  expect(await peer.takeMessage()).toMatch(/early$/);
  expect(port.requests[0]?.ended).toBe(false);
  vi.advanceTimersByTime(2 * MINUTE);
  await peer.untilEnd();
  await port.when(() => port.closed === 1);
});

test('a client that was answered and neither sends nor closes is closed after a moment', async () => {
  const peer = await listen(answerAtOnce);
  await peer.send(get('/a', 'Connection: close\r\n'));
  await peer.untilEnd();
  await settled();
  expect(port.closed).toBe(0);
  vi.advanceTimersByTime(3000);
  await port.when(() => port.closed === 1);
});

test('a client that closed its half is closed with its last answer, and no time has to pass', async () => {
  const peer = await listen(attachOnly);
  await peer.send(get('/1') + get('/2'));
  peer.end();
  while (!port.latest.socket.readableEnded) await settled();
  for (const index of [0, 1]) {
    expect(port.requests).toHaveLength(index + 1);
    port.requests[index]?.answer();
  }
  await port.when(() => port.closed === 1);
  expect((await peer.untilEnd()).match(/GET \/\d/g)).toEqual(['GET /1', 'GET /2']);
});

test('a timeout of 0 never runs out', async () => {
  const peer = await listen(attachOnly, { head: 0, idle: 0, keepAlive: 0 });
  vi.advanceTimersByTime(100 * MINUTE);
  const message = post('/a', 'hello');
  for (const part of [message.slice(0, 9), message.slice(9, -2), message.slice(-2)]) {
    await peer.send(part);
    await settled();
    vi.advanceTimersByTime(100 * MINUTE);
  }
  port.requests[0]?.answer();
  await peer.takeMessage();
  vi.advanceTimersByTime(100 * MINUTE);
  await settled();
  expect([port.closed, port.requests[0]?.fault, peer.ended]).toEqual([0, null, null]);
});

test('a socket that was handed over has no deadline', async () => {
  const peer = await listen(({ connection }) => {
    connection.detach();
    connection.socket.on('error', () => {});
  });
  await peer.send('CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n');
  await port.when(() => port.closed === 1);
  vi.advanceTimersByTime(100 * MINUTE);
  expect(port.latest.socket.destroyed).toBe(false);
  port.latest.socket.destroy();
  await peer.untilEnd();
  expect(port.closed).toBe(1);
});
