import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { problem, stopEverything } from '../../testing/scene.test.support.js';
import { echo } from '../../testing/scripted-upstream.test.support.js';
import { type Contract, contract, stopContracts } from './contract-scene.test.support.js';

let scene: Contract;
beforeAll(async () => {
  scene = await contract();
});
afterAll(async () => {
  await stopContracts();
  await stopEverything();
});

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'REPORT'];

describe('the traffic port', () => {
  test.each(METHODS)('/proxy takes every method: %s', async (method) => {
    const response = await scene.call('/any', { method });
    expect(response.status).toBe(200);
    expect(scene.vendor.requests.at(-1)).toMatchObject({ method, target: '/any' });
  });

  test('/proxy is that path and no other: /proxy/ is 404', async () => {
    for (const at of ['/proxy/', '/proxy/x', '/PROXY', '/proxyx', '//proxy']) {
      expect([at, (await scene.call('/any', { at })).status]).toEqual([at, 404]);
    }
  });

  test.each([
    ['/_ops/health', { status: 'alive' }],
    ['/_ops/version', { version: '0.0.0-test' }],
  ])('%s answers GET and HEAD', async (at, body) => {
    const response = await scene.call(null, { at });
    expect([response.status, response.field('Content-Type'), problem(response)]).toEqual([200, 'application/json', body]);
    const head = await scene.call(null, { at, method: 'HEAD' });
    expect([head.status, head.field('Content-Length'), head.body.length]).toEqual([200, response.field('Content-Length'), 0]);
  });

  test.each([
    ['POST', '/_ops/health'],
    ['DELETE', '/_ops/version'],
    ['GET', '/_ops/renew/prepare'],
    ['PUT', '/_ops/renew/install'],
  ])('a wrong method on a known operations path is 405: %s %s', async (method, at) => {
    const response = await scene.call(null, { method, at });
    expect([response.status, response.field('Allow')]).toEqual([405, at.includes('renew') ? 'POST' : 'GET, HEAD']);
  });

  test.each(['/', '/metrics', '/_ops/ready', '/_ops/', '/debug/pprof/', '/favicon.ico'])('anything else is 404: %s', async (at) => {
    const response = await scene.call(null, { at });
    expect([response.status, problem(response)]).toMatchObject([404, { code: 'not_found' }]);
  });

  test('operations paths carry no Server-Timing', async () => {
    expect((await scene.call(null, { at: '/_ops/health' })).field('Server-Timing')).toBeUndefined();
  });

  test('speaks HTTP/1.1, and does not offer h2', async () => {
    const { socket } = await scene.client(undefined, { ALPNProtocols: ['h2', 'http/1.1'] });
    expect(socket).toMatchObject({ alpnProtocol: 'http/1.1' });
  });
});

describe('the admin port', () => {
  test.each([
    ['/_ops/health', { status: 'alive' }],
    ['/_ops/version', { version: '0.0.0-test' }],
    ['/_ops/ready', { status: 'ready' }],
  ])('%s answers GET and HEAD', async (path, body) => {
    const response = await scene.admin(`GET ${path} HTTP/1.1`);
    expect([response.status, problem(response)]).toEqual([200, body]);
    expect((await scene.admin(`HEAD ${path} HTTP/1.1`)).status).toBe(200);
  });

  test('/metrics is Prometheus text, with the ten metrics', async () => {
    await scene.call('/any');
    const response = await scene.admin('GET /metrics HTTP/1.1');
    expect([response.status, response.field('Content-Type')]).toEqual([200, expect.stringMatching(/^text\/plain/)]);
    const names = [...response.body.toString().matchAll(/^# TYPE chaperone_(\w+) /gm)].map(([, name]) => name);
    expect(names.sort()).toEqual([
      'active_connections',
      'cert_not_after_timestamp_seconds',
      'cert_renewals_total',
      'forward_target_duration_seconds',
      'forward_target_errors_total',
      'panics_total',
      'request_duration_seconds',
      'requests_total',
      'route_decisions_total',
      'upstream_duration_seconds',
    ]);
  });

  test.each(['/proxy', '/_ops/renew/prepare', '/_ops/renew/install', '/debug/pprof/', '/debug/pprof/heap', '/'])(
    'anything else is 404, renewal and profiles too: %s',
    async (path) => {
      expect((await scene.admin(`GET ${path} HTTP/1.1`)).status).toBe(404);
      expect((await scene.admin(`POST ${path} HTTP/1.1`)).status).toBe(404);
    },
  );

  test.each(['/_ops/health', '/_ops/version', '/metrics'])('a wrong method is 405: POST %s', async (path) => {
    expect((await scene.admin(`POST ${path} HTTP/1.1`)).status).toBe(405);
  });
});

test('a platform without TLS is served where the file says so, on loopback', async () => {
  const plain = await contract({ keys: { 'server.tls': { enabled: false } } });
  expect((await plain.call('/any')).status).toBe(200);
  expect(await plain.recorded(1)).toMatchObject({ caller: { name: 'platform', kind: 'loopback' } });
});

test('it listens nowhere when one of its ports is taken, the admin port neither', async () => {
  const taken = `127.0.0.1:${scene.gateway.ports.sidecar}`;
  await expect(contract({ script: echo, keys: { 'server.addr': taken } })).rejects.toMatchObject({ code: 'address_in_use' });
});
