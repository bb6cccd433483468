import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { connectThrough, rawClient } from '../testing/raw-client.test.support.js';
import { runningGateway } from '../testing/running-gateway.test.support.js';
import { plainScene, problem, secureScene, stopEverything } from '../testing/scene.test.support.js';
import { echo, startUpstream } from '../testing/scripted-upstream.test.support.js';

afterEach(stopEverything);

const silent = (): Promise<void> => new Promise(() => {});

describe('a client that takes too long', () => {
  test('to send a head is told so', async () => {
    const { gateway } = await plainScene(echo, 'timeouts: { head: 150ms }');
    const client = await rawClient(gateway.forward);
    client.write('GET http://api.test/ HTTP/1.1\r\nHost: ap');
    const response = await client.reader.response();
    expect(response.status).toBe(408);
    expect(problem(response).code).toBe('client_head_timeout');
    expect(await client.reader.end()).toBe('end');
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'refused', error: 'client_head_timeout', status: 408 });
  });

  test('cannot put it off by sending a byte now and then', async () => {
    const { gateway } = await plainScene(echo, 'timeouts: { head: 200ms }');
    const client = await rawClient(gateway.forward);
    client.write('GET http://api.test/ HTTP/1.1\r\n');
    const trickle = setInterval(() => client.write('X: y\r\n'), 20);
    try {
      expect((await client.reader.response()).status).toBe(408);
    } finally {
      clearInterval(trickle);
    }
  });

  test('to say anything is closed without an exchange', async () => {
    const { gateway } = await plainScene(echo, 'timeouts: { head: 100ms, keep_alive: 100ms }');
    const client = await rawClient(gateway.forward);
    expect((await client.reader.rest()).length).toBe(0);
    expect(gateway.exchanges).toHaveLength(0);
  });

  test('to send the next byte of a body is told so, and the upstream is let go', async () => {
    const { gateway, upstream, origin, authority } = await plainScene(async (request) => void (await request.body()), 'timeouts: { idle: 150ms }');
    const client = await rawClient(gateway.forward);
    client.write(`POST ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: 10\r\n\r\nhalf`);
    const response = await client.reader.response();
    expect(problem(response)).toMatchObject({ status: 408, code: 'client_idle_timeout' });
    expect(await upstream.requests[0]?.reader.end()).not.toBe('open');
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'refused', error: 'client_idle_timeout' });
  });

  test('to take the answer is closed, and sees that it has not all of it', async () => {
    const { gateway, origin, authority } = await plainScene((_, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n`);
      socket.write(Buffer.alloc(50_000_000));
    }, 'timeouts: { idle: 150ms }');
    const client = await rawClient(gateway.forward);
    client.socket.pause();
    client.write(`GET ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'aborted', error: 'client_idle_timeout', status: 200 });
    client.socket.resume();
    expect(await client.reader.response()).toMatchObject({ status: 200, complete: false });
  });

  test('to begin TLS in its tunnel is closed; in the middle of the handshake it leaves a record', async () => {
    const { gateway, authority } = await secureScene(echo, 'timeouts: { tls_handshake: 150ms }');
    const quiet = await connectThrough(gateway.forward, authority);
    expect(await quiet.reader.end()).not.toBe('open');
    expect(gateway.exchanges).toHaveLength(0);
    const stalling = await connectThrough(gateway.forward, authority);
    stalling.write(Buffer.of(0x16, 3, 1, 0, 200, 1));
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'client_tls_failed' });
  });
});

describe('an upstream that takes too long', () => {
  test('to finish the TLS handshake', async () => {
    const mute = await startUpstream(silent);
    const gateway = await runningGateway('timeouts: { tls_handshake: 150ms }');
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET https://api.test:${mute.port}/ HTTP/1.1`, [`Host: api.test:${mute.port}`]);
    expect(problem(response)).toMatchObject({ status: 504, code: 'upstream_tls_timeout' });
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'upstream_tls_timeout', status: 504, upstreamAddress: null });
    await expect.poll(() => mute.sockets[0]?.closed).toBe(true);
  });

  test('to answer', async () => {
    const { gateway, upstream, origin, authority } = await plainScene(silent, 'timeouts: { response_head: 150ms }');
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`]);
    expect(problem(response)).toMatchObject({ status: 504, code: 'upstream_response_timeout' });
    expect(await upstream.requests[0]?.reader.end()).not.toBe('open');
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'upstream_response_timeout', status: 504 });
    // A request is not sent again because nobody answered it in time.
    expect(upstream.requests).toHaveLength(1);
  });

  test('in the middle of its answer', async () => {
    const { gateway, origin, authority } = await plainScene(async (_, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
      await silent();
    }, 'timeouts: { idle: 150ms }');
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`]);
    expect(response).toMatchObject({ status: 200, complete: false });
    expect(client.reader.ended).toBe('reset');
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'upstream_idle_timeout', status: 200 });
  });

  test('to take the request', async () => {
    const { gateway, origin, authority } = await plainScene(async (_, socket) => {
      socket.pause();
      await silent();
    }, 'timeouts: { idle: 150ms }');
    const client = await rawClient(gateway.forward);
    client.write(`POST ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: 50000000\r\n\r\n`).write(Buffer.alloc(50_000_000));
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'upstream_idle_timeout' });
  });

  test('to accept the connection', async () => {
    // A listener that stands still and whose queue is full is the one black hole that needs no network.
    const listen = 'const s = require("net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => console.log(s.address().port))';
    const hole = spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] });
    const filling: Socket[] = [];
    try {
      const [line] = (await once(hole.stdout, 'data')) as [Buffer];
      const port = Number(line);
      hole.kill('SIGSTOP');
      for (let accepted = true; accepted; ) {
        const socket = connect(port, '127.0.0.1').on('error', () => {});
        filling.push(socket);
        accepted = await Promise.race([
          once(socket, 'connect').then(() => true),
          new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 200)),
        ]);
      }
      const gateway = await runningGateway('timeouts: { connect: 200ms }');
      const client = await rawClient(gateway.forward);
      const response = await client.request(`GET http://api.test:${port}/ HTTP/1.1`, [`Host: api.test:${port}`]);
      expect(problem(response)).toMatchObject({ status: 504, code: 'upstream_connect_timeout' });
      expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'upstream_connect_timeout', upstreamAddress: null });
    } finally {
      for (const socket of filling) socket.destroy();
      hole.kill('SIGKILL');
    }
  });
});

describe('the whole exchange', () => {
  test('that takes longer than allowed is refused as long as nothing was answered', async () => {
    const { gateway, origin, authority } = await plainScene(silent, 'timeouts: { total: 150ms }');
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`]);
    expect(problem(response)).toMatchObject({ status: 504, code: 'total_timeout' });
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'total_timeout' });
  });

  test('that takes longer than allowed breaks off in the middle of a stream that never pauses', async () => {
    let timer: NodeJS.Timeout | undefined;
    const { gateway, origin, authority } = await plainScene(async (_, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      timer = setInterval(() => socket.write('1\r\nx\r\n'), 10);
      await silent();
    }, 'timeouts: { total: 200ms }');
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`]);
    clearInterval(timer);
    expect(response).toMatchObject({ status: 200, complete: false });
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'failed', error: 'total_timeout', status: 200 });
  });

  test('has no bound unless one is given, and one in time is not touched by it', async () => {
    const { gateway, origin, authority } = await plainScene(echo, 'timeouts: { total: 10s }');
    const client = await rawClient(gateway.forward);
    for (let i = 0; i < 3; i++) expect((await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`])).status).toBe(200);
  });
});
