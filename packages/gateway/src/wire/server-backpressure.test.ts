import { afterEach, describe, expect, test } from 'vitest';
import type { RawPeer } from './testing/raw-peer.test.support.js';
import { attachOnly, big, get, post, type Served, ServerPort, settled } from './testing/server-port.test.support.js';

let port: ServerPort;
afterEach(() => port.close());

async function listen(onServed: (served: Served) => void): Promise<RawPeer> {
  port = await ServerPort.open(onServed);
  return port.connect();
}

describe('bodies of requests', () => {
  test('one that nobody takes is not read further, and goes on afterwards', async () => {
    const peer = await listen((served) => {
      served.flowing = false;
      served.connection.attach(served);
    });
    await peer.send(`POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: ${big.length}\r\n\r\n`);
    const sent = peer.send(big);
    await port.when(() => (port.requests[0]?.size ?? 0) > 0);
    await settled();
    const [served] = port.requests as [Served];
    expect(served.size).toBeLessThanOrEqual(65_536);
    expect(port.latest.socket.isPaused()).toBe(true);
    // Node reads on until its high-water mark is reached, which differs between versions; one read may go beyond.
    expect(port.latest.socket.readableLength).toBeLessThanOrEqual(port.latest.socket.readableHighWaterMark + 65_536);
    expect(peer.socket.writableLength).toBe(big.length);
    served.flowing = true;
    served.connection.resumeBody();
    await port.when(() => served.ended);
    await sent;
    expect(served.size).toBe(big.length);
  });

  test('one is held while nobody is attached, and handed out from its first byte', async () => {
    const peer = await listen(() => {});
    const body = Array.from({ length: 60_000 }, (_, index) => `${index};`).join('');
    void peer.send(post('/a', body));
    await port.when(() => port.requests.length === 1);
    await settled();
    const [served] = port.requests as [Served];
    expect(port.latest.socket.bytesRead).toBeLessThan(200_000);
    expect(served.size).toBe(0);
    served.flowing = false;
    served.connection.attach(served);
    expect(served.size).toBeGreaterThan(0);
    expect(port.latest.socket.isPaused()).toBe(true);
    served.flowing = true;
    served.connection.resumeBody();
    await port.when(() => served.ended);
    expect(served.body === body).toBe(true);
  });

  test('one goes on while the answer waits for the client, and each is told of its own', async () => {
    const peer = await listen(attachOnly);
    peer.socket.pause();
    const body = 'u'.repeat(200_000);
    const message = post('/a', body);
    await peer.send(message.slice(0, 1000));
    await port.when(() => port.requests.length === 1);
    const [served] = port.requests as [Served];
    served.connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${big.length}\r\n\r\n`);
    expect(served.connection.write(big)).toBe(false);
    await peer.send(message.slice(1000));
    await port.when(() => served.ended);
    expect(served.drains).toBe(0);
    expect(served.body === body).toBe(true);
    peer.socket.resume();
    await port.when(() => served.drains === 1);
    served.connection.finish();
    await peer.take('\r\n\r\n');
    expect(big.equals(await peer.takeBytes(big.length))).toBe(true);
  });

  test('a sink that answers inside its own callback, and refuses more, leaves nothing stuck', async () => {
    const peer = await listen((served) => {
      served.onRequestBody = () => {
        if (!served.connection.body.done) return false;
        served.answer('early');
        return false;
      };
      served.connection.attach(served);
    });
    for (let i = 0; i < 3; i++) {
      await peer.send(post('/a', 'hello'));
      expect(await peer.takeMessage()).toMatch(/early$/);
    }
  });
});

describe('answers', () => {
  test('a client that takes none gets no further ones, until it takes them', async () => {
    const body = 'x'.repeat(1_000_000);
    const peer = await listen((served) => {
      served.connection.attach(served);
      served.answer(body);
    });
    peer.socket.pause();
    const count = 40;
    await peer.send(get('/a').repeat(count));
    await port.when(() => port.requests.length > 0);
    await settled();
    expect(port.requests.length).toBeLessThan(count);
    expect(port.latest.socket.writableLength).toBeLessThan(2 * body.length);
    peer.socket.resume();
    for (let i = 0; i < count; i++) expect((await peer.takeMessage()).length).toBeGreaterThan(body.length);
    expect(port.requests).toHaveLength(count);
  });

  test('requests behind an open one are held, but only so many', async () => {
    const peer = await listen(attachOnly);
    void peer.send(get('/a').repeat(500_000));
    await port.when(() => port.requests.length === 1);
    await settled();
    expect(port.latest.socket.isPaused()).toBe(true);
    expect(port.latest.socket.bytesRead).toBeLessThan(400_000);
    expect(port.requests).toHaveLength(1);
  });
});
