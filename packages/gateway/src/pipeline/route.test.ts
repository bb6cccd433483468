import { inspect } from 'node:util';
import type { Plugin } from '@sallyport/sdk';
import { afterEach, expect, test } from 'vitest';
import { compileForwardTargets } from '../compile-forward-targets.js';
import { parseConfig } from '../config/load.js';
import { rawClient } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, problem, type Scene, stopEverything } from '../testing/scene.test.support.js';
import { echo, reply, startUpstream } from '../testing/scripted-upstream.test.support.js';

afterEach(stopEverything);

let scene: Scene;

async function routed(plugin: Plugin, sections: string) {
  scene = await plainScene(echo, sections, {}, { plugin });
  return await rawClient(scene.gateway.sidecar);
}

const ask = (...lines: string[]): string[] => ['Host: s', `X-Connect-Target-URL: ${scene.origin}/`, ...lines];

test.each(['__proto__', 'constructor', 'toString', 'Router', ' router'])('a route that leads to %j leads nowhere', async (name) => {
  const client = await routed(
    { routeRequest: () => ({ forwardTo: name }) },
    'forward_targets: { router: { url: "http://127.0.0.1:1/", insecure: true } }',
  );
  const response = await client.request('GET /proxy HTTP/1.1', ask());
  expect([response.status, problem(response).code]).toEqual([500, 'forward_target_unknown']);
  expect(scene.upstream.requests).toHaveLength(0);
});

test('a forward target that answers with a redirect is not followed, and gets neither the fields of a credential nor those of a hop', async () => {
  const router = await startUpstream(async (request, socket) => {
    await request.body();
    socket.write(
      reply(307, JSON.stringify({ lines: request.lines, trailers: (await request.body()).trailers }), [`Location: ${scene.origin}/elsewhere`]),
    );
  });
  const target = `http://127.0.0.1:${router.port}/in`;
  const client = await routed({ routeRequest: () => ({ forwardTo: 'router' }) }, `forward_targets: { router: { url: "${target}", insecure: true } }`);
  client.write(
    `${['POST /proxy HTTP/1.1', ...ask('Authorization: Bearer mine', 'X-Hop: h', 'Connection: X-Hop', 'Transfer-Encoding: chunked')].join('\r\n')}\r\n\r\n`,
  );
  client.write('1\r\nx\r\n0\r\nX-Kept: k\r\nX-Api-Key: mine\r\n\r\n');
  const response = await client.reader.response('POST');
  expect([response.status, response.field('location')]).toEqual([307, `${scene.origin}/elsewhere`]);
  const told = echoed(response);
  expect(told.lines.filter((line) => /mine|X-Hop/.test(line))).toEqual([]);
  expect(told.trailers).toEqual(['X-Kept: k']);
  expect(scene.upstream.requests).toHaveLength(0);
});

test('whatever prints a forward target prints no token', async () => {
  const text =
    'gateway: { listeners: { forward: { port: 0 } }, forward_targets: { router: { url: "https://router.test/", auth: { type: bearer, token: the-token-of-the-router } } } }';
  const { gateway } = parseConfig(text, { path: 'sallyport.yaml', env: {} });
  const limits = { perOrigin: 1, idlePerOrigin: 1, keepAlive: 1 };
  const settings = { timeouts: {} } as Parameters<typeof compileForwardTargets>[2];
  const target = (await compileForwardTargets(gateway, limits, settings)).get('router');
  expect(target?.lines).toBe('Authorization: Bearer the-token-of-the-router\r\n');
  expect(inspect(target, { depth: 5 })).not.toContain('the-token-of-the-router');
  expect(JSON.stringify(target)).not.toContain('the-token-of-the-router');
});
