import { createConnection } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { stopEverything } from '../../testing/scene.test.support.js';
import { type Contract, contract, stopContracts } from './contract-scene.test.support.js';

afterEach(async () => {
  await stopContracts();
  await stopEverything();
});

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

/** A call whose answer has begun when this resolves. */
async function begun(scene: Contract): Promise<{ client: Awaited<ReturnType<Contract['client']>>; finish: () => void }> {
  let finish = (): void => {};
  scene.vendor.script = (_, socket) => {
    finish = () => void socket.write('rest');
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npart');
  };
  const client = await scene.client();
  client.write(`GET /proxy HTTP/1.1\r\nHost: s\r\nX-Connect-Target-URL: ${scene.origin}/\r\n\r\n`);
  await client.reader.until('part');
  return { client, finish };
}

test('what is in flight ends before the gateway does, which the original does not wait for', async () => {
  const scene = await contract();
  const { sidecar, ops } = scene.gateway.ports;
  expect((await scene.admin('GET /_ops/ready HTTP/1.1')).status).toBe(200);
  const { client, finish } = await begun(scene);
  const idle = await scene.client();
  const stopped = scene.gateway.stop();
  expect(await idle.reader.end()).not.toBe('open');
  expect(await isOpen(sidecar ?? 0)).toBe(false);
  // It is alive, but nobody should send it anything: there, health is 200 and nothing else can be asked.
  expect((await scene.admin('GET /_ops/health HTTP/1.1')).status).toBe(200);
  expect((await scene.admin('GET /_ops/ready HTTP/1.1')).status).toBe(503);
  finish();
  expect((await client.reader.bytes(4)).toString()).toBe('rest');
  await stopped;
  expect(await isOpen(ops ?? 0)).toBe(false);
  expect(scene.exchanges).toMatchObject([{ status: 200, outcome: 'completed' }]);
});

test('what does not end within server.shutdown_timeout is cut, and recorded', async () => {
  const scene = await contract({ keys: { 'server.shutdown_timeout': '100ms' } });
  const { client } = await begun(scene);
  await scene.gateway.stop();
  expect(await client.reader.end()).not.toBe('open');
  expect(scene.exchanges).toMatchObject([{ outcome: 'aborted' }]);
});

test('a body that stands still for as long as upstream.timeouts.write ends; one that flows may last, which is cut there', async () => {
  const scene = await contract({ keys: { 'upstream.timeouts.write': '200ms', 'upstream.timeouts.read': '200ms' } });
  const { client } = await begun(scene);
  expect(await client.reader.end()).not.toBe('open');
  expect(await scene.recorded(1)).toMatchObject({ outcome: 'failed', error: 'upstream_idle_timeout' });

  const chunks = 25;
  scene.vendor.script = async (_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < chunks; i++) {
      socket.write('1\r\nx\r\n');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    socket.write('0\r\n\r\n');
  };
  expect(await scene.call('/')).toMatchObject({ status: 200, complete: true, body: Buffer.alloc(chunks, 'x') });
});
