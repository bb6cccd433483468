import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../config/load.js';
import { type Gateway, startGateway } from '../gateway.js';
import { digestToken } from '../pipeline/callers.js';
import { controlSocketPath } from './control-socket.js';
import { joinGateway } from './run-client.js';
import { type RunServer, serveRuns } from './run-server.js';
import { Runs } from './runs.js';

let directory: string;
let path: string;
let gateway: Gateway;
let runs: Runs;
let server: RunServer;

async function start(listeners: object = { forward: { port: 0 } }): Promise<void> {
  const config = {
    gateway: { listeners, authority: { dir: join(directory, 'ca') }, log: { level: 'silent' }, callers: { all: { loopback: true } } },
  };
  runs = new Runs();
  gateway = await startGateway(parseConfig(JSON.stringify(config), { path: join(directory, 'sallyport.yaml') }).gateway, {
    version: '0',
    onExchange: runs.note,
  });
  server = await serveRuns(gateway, runs, path);
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-runs-'));
  path = join(directory, 'run', 'gateway.sock');
});

afterEach(async () => {
  server.close();
  await gateway.stop(AbortSignal.abort());
  rmSync(directory, { recursive: true, force: true });
});

const isKnown = (token: string): boolean => gateway.runs.find(digestToken(token)) !== null;

/** One request to the socket, on a connection of its own. */
function ask(method: string, target: string, body = ''): Promise<{ status: number; type: string; answer: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: path, method, path: target, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', answer: JSON.parse(text) }),
      );
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

describe('a run', () => {
  test('gets what a program needs, and is over when it ends', async () => {
    await start();
    const run = await joinGateway(path, 'default');
    expect(run?.offer).toMatchObject({ authority: gateway.authority.certificatePem, secret_variables: [] });
    const { run_id: id = '', token = '', proxy_url: url = '', ca_bundle: bundle = '' } = run?.offer ?? {};
    expect(url).toBe(`http://run:${token}@127.0.0.1:${gateway.ports.forward}`);
    expect(bundle).toContain(gateway.authority.certificatePem);
    expect(isKnown(token)).toBe(true);
    expect((await ask('GET', `/v1/runs/${id}`)).answer).toEqual({ run_id: id, hosts: [], requests_to_further_hosts: 0 });
    expect(await run?.end()).toEqual({ run_id: id, hosts: [], requests_to_further_hosts: 0 });
    expect(isKnown(token)).toBe(false);
    expect(run?.lost.aborted).toBe(false);
  });

  test('is over when the connection is that registered it', async () => {
    await start();
    const { status, answer } = await ask('POST', '/v1/runs', '{"credentials":"all"}');
    expect(status).toBe(201);
    await expect.poll(() => isKnown(answer.token as string)).toBe(false);
  });

  test('hears that the gateway has gone', async () => {
    await start();
    const run = await joinGateway(path, 'default');
    const lost = new Promise((resolve) => run?.lost.addEventListener('abort', resolve));
    server.close();
    await lost;
    expect(await run?.end()).toBeNull();
    expect(isKnown(run?.offer.token ?? '')).toBe(false);
  });

  test('goes on while the gateway drains, but none is added', async () => {
    await start();
    const run = await joinGateway(path, 'default');
    server.drain();
    expect(isKnown(run?.offer.token ?? '')).toBe(true);
    await expect(joinGateway(path, 'default')).rejects.toMatchObject({ code: 'not_ready' });
    expect(await run?.end()).not.toBeNull();
  });

  test.each([
    [{ sidecar: { port: 0 } }, 'default', 'not_ready'],
    [{ forward: { port: 0 } }, ['nope'], 'credential_unavailable'],
  ] as const)('is refused in the words of the gateway: %j, %j', async (listeners, credentials, code) => {
    await start(listeners);
    await expect(joinGateway(path, credentials)).rejects.toMatchObject({ code });
  });
});

describe('the socket', () => {
  test.each([
    ['GET', '/v1/runs', '', 405],
    ['DELETE', '/v1/runs/run-0000000000000000', '', 404],
    ['GET', '/', '', 404],
    ['POST', '/v1/runs', '{"credentials":', 400],
    ['POST', '/v1/runs', '{"credentials":[1]}', 400],
    ['POST', '/v1/runs', '"all"', 400],
    ['POST', '/v1/runs', ' '.repeat(70_000), 503],
  ])('%s %s %# is answered with a problem document', async (method, target, body, status) => {
    await start();
    const reply = await ask(method, target, body);
    expect(reply).toMatchObject({ status, type: 'application/problem+json' });
    expect(reply.answer).toHaveProperty('code');
  });

  test('is for its user only, and goes with the gateway', async () => {
    await start();
    expect(statSync(join(directory, 'run')).mode & 0o777).toBe(0o700);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    server.close();
    await expect.poll(() => existsSync(path)).toBe(false);
    expect(await joinGateway(path, 'default')).toBeNull();
  });

  test('is not opened where others could reach it', async () => {
    await start();
    server.close();
    chmodSync(join(directory, 'run'), 0o750);
    await expect(serveRuns(gateway, runs, path)).rejects.toMatchObject({ code: 'bind_failed', hint: expect.stringContaining('chmod 700') });
    chmodSync(join(directory, 'run'), 0o700);
    symlinkSync(join(directory, 'run'), join(directory, 'elsewhere'));
    await expect(serveRuns(gateway, runs, join(directory, 'elsewhere', 'x.sock'))).rejects.toMatchObject({ code: 'bind_failed' });
  });

  test('is not taken from another gateway, but from one that left it behind', async () => {
    mkdirSync(join(directory, 'run'), { mode: 0o700 });
    writeFileSync(path, 'left behind');
    await start();
    await expect(serveRuns(gateway, new Runs(), path)).rejects.toMatchObject({
      code: 'bind_failed',
      message: expect.stringContaining('another gateway'),
    });
    expect(await joinGateway(path, 'default')).not.toBeNull();
  });

  test('that somebody else has is an error, not a reason to go on without', async () => {
    await start();
    const silent = createServer((socket) => socket.end('SSH-2.0-x\r\n'));
    const other = join(directory, 'other.sock');
    await new Promise<void>((resolve) => {
      silent.listen(other, resolve);
    });
    await expect(joinGateway(other, 'default')).rejects.toMatchObject({ code: 'not_ready' });
    silent.close();
  });
});

test('one file has one socket, whichever way it is spelled', async () => {
  await start();
  const file = join(directory, 'a.yaml');
  writeFileSync(file, '');
  symlinkSync(file, join(directory, 'b.yaml'));
  expect(controlSocketPath('/run', join(directory, 'b.yaml'))).toBe(controlSocketPath('/run', file));
  expect(controlSocketPath('/run', join(directory, 'c.yaml'))).not.toBe(controlSocketPath('/run', file));
  expect(controlSocketPath('/run', file)).toMatch(/^\/run\/[0-9a-f]{16}\.sock$/);
});
