import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { SallyportError } from '@sallyport/sdk';
import { afterEach, describe, expect, test } from 'vitest';
import { createMetrics } from '../../record/metrics.js';
import { createOpsServer, type OpsServer } from './ops-server.js';
import type { ReadinessReport } from './readiness.js';

const servers: OpsServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

let report: ReadinessReport = { state: 'ready', failing: [] };

async function started(host = '127.0.0.1'): Promise<number> {
  const server = createOpsServer({
    metrics: createMetrics({ version: '1.2.3' }),
    version: '1.2.3',
    readiness: () => report,
    signing: () => ({ signer: null, timeout: 1_000 }),
  });
  servers.push(server);
  return server.listen(host, 0);
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function ask(port: number, path: string, { method = 'GET', host = 'localhost', body = '' } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { host, ...(body === '' ? {} : { 'content-length': body.length }) };
    request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: answer }), reject);
    })
      .on('error', reject)
      .end(body);
  });
}

describe('The ops listener', () => {
  test.each([
    ['/_ops/health', '{"status":"alive"}'],
    ['/_ops/ready', '{"status":"ready"}'],
    ['/_ops/version', '{"version":"1.2.3"}'],
    ['/_ops/health?from=probe', '{"status":"alive"}'],
  ])('answers %s', async (path, body) => {
    report = { state: 'ready', failing: [] };
    const port = await started();
    const got = await ask(port, path);
    expect(got).toMatchObject({ status: 200, body });
    expect(got.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store', 'content-length': String(body.length) });
    const head = await ask(port, path, { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, body: '' });
    expect(head.headers['content-length']).toBe(got.headers['content-length']);
  });

  test('shows the metrics', async () => {
    const port = await started();
    const { status, headers, body } = await ask(port, '/metrics');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(body).toContain('\nsallyport_build_info{version="1.2.3"');
    expect(body).toContain('\nprocess_cpu_seconds_total ');
  });

  test.each([
    [{ state: 'starting', failing: [] }, 'The gateway is starting.'],
    [{ state: 'draining', failing: [] }, 'The gateway is finishing what is in flight before it stops.'],
    [{ state: 'ready', failing: [{ name: 'authority', detail: 'The key is gone.' }] }, 'The gateway is running. authority: The key is gone.'],
  ] as const)('is not ready when %j, and alive all the same', async (unready, detail) => {
    report = unready;
    const port = await started();
    const { status, headers, body } = await ask(port, '/_ops/ready');
    expect(status).toBe(503);
    expect(headers['content-type']).toBe('application/problem+json');
    expect(JSON.parse(body)).toMatchObject({ status: 503, detail, state: unready.state, failing: unready.failing });
    expect((await ask(port, '/_ops/health')).status).toBe(200);
  });

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])('refuses %s and says what it takes', async (method) => {
    const port = await started();
    const { status, headers, body } = await ask(port, '/metrics', { method, body: method === 'POST' ? 'x=1' : '' });
    expect(status).toBe(405);
    expect(headers).toMatchObject({ allow: 'GET, HEAD', 'x-sallyport-error': 'method_not_allowed', 'content-type': 'application/problem+json' });
    expect(JSON.parse(body)).toMatchObject({ code: 'method_not_allowed', status: 405 });
  });

  test.each(['/', '/_ops', '/_ops/', '/_ops/health/', '/_OPS/health', '/constructor', '/__proto__', '//metrics'])(
    'has nothing at %s',
    async (path) => {
      const port = await started();
      const { status, headers, body } = await ask(port, path);
      expect(status).toBe(404);
      expect(headers['x-sallyport-error']).toBe('not_found');
      expect((JSON.parse(body) as { request_id: string }).request_id).toMatch(/^[0-9a-f-]{36}$/);
    },
  );

  test('answers only to the names of this machine while only this machine can reach it', async () => {
    const port = await started();
    for (const host of ['localhost', `127.0.0.1:${port}`, '[::1]:1']) expect((await ask(port, '/_ops/health', { host })).status).toBe(200);
    const { status, headers, body } = await ask(port, '/metrics', { host: 'evil.example' });
    expect(status).toBe(421);
    expect(headers['x-sallyport-error']).toBe('misdirected_request');
    expect(body).not.toContain('evil.example');
  });

  test('answers to any name when others can reach it', async () => {
    const port = await started('0.0.0.0');
    expect((await ask(port, '/_ops/health', { host: 'gateway.example' })).status).toBe(200);
  });

  test('says which address is taken', async () => {
    const port = await started();
    const second = createOpsServer({
      metrics: createMetrics({ version: '1' }),
      version: '1',
      readiness: () => report,
      signing: () => ({ signer: null, timeout: 1_000 }),
    });
    const failure = await second.listen('127.0.0.1', port).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SallyportError);
    expect(failure).toMatchObject({ code: 'address_in_use', message: expect.stringContaining(`127.0.0.1:${port}`) as string });
    await second.close();
  });

  test('says which address cannot be opened', async () => {
    const server = createOpsServer({
      metrics: createMetrics({ version: '1' }),
      version: '1',
      readiness: () => report,
      signing: () => ({ signer: null, timeout: 1_000 }),
    });
    await expect(server.listen('203.0.113.9', 9090)).rejects.toMatchObject({
      code: 'bind_failed',
      message: expect.stringContaining('203.0.113.9:9090') as string,
    });
  });

  test('gives back its port when closed, with connections kept open by clients', async () => {
    const server = createOpsServer({
      metrics: createMetrics({ version: '1' }),
      version: '1',
      readiness: () => report,
      signing: () => ({ signer: null, timeout: 1_000 }),
    });
    const port = await server.listen('127.0.0.1', 0);
    const agent = new Agent({ keepAlive: true });
    await new Promise<void>((resolve, reject) => {
      request({ host: '127.0.0.1', port, path: '/_ops/health', agent }, (response) => {
        response.resume().on('end', resolve);
      })
        .on('error', reject)
        .end();
    });
    await server.close();
    agent.destroy();
    const successor = createServer();
    await new Promise<void>((resolve, reject) => successor.once('error', reject).listen(port, '127.0.0.1', resolve));
    await new Promise((resolve) => successor.close(resolve));
  });

  test('refuses bytes that are not HTTP, and goes on', async () => {
    const port = await started();
    const socket = connect(port, '127.0.0.1');
    socket.end('\u0016\u0003\u0001 not http\r\n\r\n');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 /);
    expect((await ask(port, '/_ops/health')).status).toBe(200);
  });

  test('does not tell the outside what went wrong inside', async () => {
    const server = createOpsServer({
      metrics: { render: () => Promise.reject(new Error('inner workings')) },
      version: '1',
      readiness: () => report,
      signing: () => ({ signer: null, timeout: 1_000 }),
    });
    servers.push(server);
    const { status, body } = await ask(await server.listen('127.0.0.1', 0), '/metrics');
    expect(status).toBe(500);
    expect(body).toContain('"code":"internal_error"');
    expect(body).not.toContain('inner workings');
  });
});
