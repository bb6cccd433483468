import { afterEach, describe, expect, test } from 'vitest';
import type { RawPeer } from './testing/raw-peer.test.support.js';
import { answerAtOnce, attachOnly, get, post, type Served, ServerPort, settled } from './testing/server-port.test.support.js';

let port: ServerPort;
afterEach(() => port.close());

async function listen(onServed: (served: Served) => void): Promise<RawPeer> {
  port = await ServerPort.open(onServed);
  return port.connect();
}

describe('closing', () => {
  test('an answer that comes before the end of the body arrives whole although the client goes on sending', async () => {
    const peer = await listen((served) => {
      served.onRequestBody = () => {
        served.answer('too much');
        return false;
      };
      served.connection.persistent = false;
      served.connection.attach(served);
    });
    await peer.send('POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n');
    for (let i = 0; i < 8; i++) await peer.send(Buffer.alloc(100_000));
    expect(await peer.untilEnd()).toMatch(/Connection: close\r\n\r\ntoo much$/);
    expect(peer.ended).toBe('end');
    peer.end();
    await port.when(() => port.closed === 1);
    expect(port.requests).toHaveLength(1);
  });

  test('a client that goes on for too long is cut off', async () => {
    const peer = await listen((served) => {
      served.connection.persistent = false;
      served.connection.attach(served);
      served.answer('no');
    });
    void peer.send('POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n');
    void peer.send(Buffer.alloc(50_000_000));
    await port.when(() => port.closed === 1);
    expect(port.latest.socket.bytesRead).toBeLessThan(5_000_000);
  });

  test('drain closes an idle connection at once, and a busy one after its answer', async () => {
    const peer = await listen(attachOnly);
    const busy = await port.connect();
    await busy.send(get('/busy') + get('/never'));
    await port.when(() => port.requests.length === 1);
    for (const connection of port.connections) connection.drain();
    expect(await peer.untilEnd()).toBe('');
    port.requests[0]?.answer();
    expect(await busy.untilEnd()).toMatch(/Connection: close\r\n\r\nGET \/busy$/);
    expect(port.requests).toHaveLength(1);
  });

  test('drain lets a request that has begun to arrive through, as the last one', async () => {
    const peer = await listen(answerAtOnce);
    await peer.send(get('/late').slice(0, 10));
    await settled();
    expect(port.latest.idle).toBe(false);
    port.latest.drain();
    await peer.send(get('/late').slice(10) + get('/never'));
    expect(await peer.untilEnd()).toMatch(/Connection: close\r\n\r\nGET \/late$/);
  });

  test('destroy with reset shows as such', async () => {
    const peer = await listen((served) => {
      served.connection.attach(served);
      served.connection.write('HTTP/1.1 200 OK\r\n\r\npart');
    });
    await peer.send(get('/a'));
    await peer.until('part');
    port.latest.destroy(true);
    await peer.untilEnd();
    expect(peer.ended).toBe('reset');
    await port.when(() => port.closed === 1);
  });

  test('what is done after the end has no effect', async () => {
    const peer = await listen(attachOnly);
    await peer.send(get('/a'));
    await port.when(() => port.requests.length === 1);
    peer.reset();
    await port.when(() => port.closed === 1);
    expect(port.latest.write('late')).toBe(true);
    port.latest.finish();
    port.latest.resumeBody();
    port.latest.drain();
    port.latest.destroy(true);
    expect(port.requests[0]?.gone).toBe('client_aborted');
  });
});

describe('handing the socket over', () => {
  const head = 'CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n';
  const rest = '\x16\x03\x01 bytes of another protocol \r\n\r\n GET / HTTP/1.1\r\n\r\n';
  const events = ['data', 'end', 'drain', 'error', 'close'] as const;

  test.each([
    ['at once', (take: () => void) => take()],
    ['later', (take: () => void) => void setImmediate(() => setImmediate(take))],
  ])('%s: exactly the bytes after the head, at every split, and no listener stays behind', async (_, when) => {
    await listen(() => {});
    for (let split = 1; split < head.length + rest.length; split++) {
      let taken = '';
      let whole = (): void => {};
      port.onServed = ({ connection }) =>
        when(() => {
          const { socket } = connection;
          const before = events.map((event) => socket.listenerCount(event));
          const early = connection.detach();
          expect(events.map((event, index) => before[index] - socket.listenerCount(event))).toEqual([1, 1, 1, 1, 1]);
          socket.on('error', () => {});
          const take = (bytes: Buffer): void => {
            taken += bytes.toString('latin1');
            if (taken.length >= rest.length) whole();
          };
          if (early !== null) take(early);
          socket.on('data', take);
          socket.resume();
        });
      const client = await port.connect();
      const complete = new Promise<void>((resolve) => {
        whole = resolve;
      });
      await client.send(head + rest, [split]);
      await complete;
      expect(taken, `split at ${split}`).toBe(rest);
      client.destroy();
    }
    expect(port.closed).toBe(port.connections.length - 1);
  });

  test('after earlier requests on the same connection', async () => {
    let early: Buffer | null = null;
    const peer = await listen((served) => {
      if (served.method !== 'CONNECT') answerAtOnce(served);
      else {
        early = served.connection.detach();
        served.connection.socket.on('error', () => {});
      }
    });
    await peer.send(get('/a') + get('/b') + head + rest);
    await port.when(() => port.closed === 1);
    expect(String(early)).toBe(Buffer.from(rest, 'latin1').toString());
  });
});

test('a request whose body is done keeps its answer when the client resets a moment later', async () => {
  const peer = await listen(attachOnly);
  await peer.send(post('/a', 'hello'));
  await port.when(() => port.requests[0]?.ended === true);
  port.requests[0]?.answer();
  expect(await peer.takeMessage()).toMatch(/POST \/a$/);
  peer.reset();
  await port.when(() => port.closed === 1);
  expect(port.requests[0]?.gone).toBeNull();
});
