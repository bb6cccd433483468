import { inspect } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { connectThrough, rawClient, secure } from '../testing/raw-client.test.support.js';
import { secureScene, stopEverything } from '../testing/scene.test.support.js';
import { echo, reply } from '../testing/scripted-upstream.test.support.js';

afterEach(stopEverything);

const SECRETS = {
  header: 'header-secret-94f1',
  basic: 'basic-secret-5c20',
  query: 'query secret/7b3e',
  token: 'caller-token-a81d44',
  bad: 'bad-secret-11ee',
};
const FORMS = Object.values(SECRETS).flatMap((secret) => [secret, encodeURIComponent(secret), Buffer.from(`user:${secret}`).toString('base64')]);

const sections = `
callers: { ci: { token: ${SECRETS.token}, credentials: all } }
policy: { rules: ["allow api.test:* to 127.0.0.1", "allow other.test:* to 127.0.0.1"] }
credentials:
  h: { source: { type: static, value: ${SECRETS.header} }, bind: [{ hosts: ["api.test:*"], paths: [/h/**], place: { header: X-Key } }] }
  b: { source: { type: env, var: B }, bind: [{ hosts: ["api.test:*"], paths: [/b/**], place: { basic: { username: user } } }] }
  q: { source: { type: static, value: "${SECRETS.query}" }, bind: [{ hosts: ["api.test:*"], paths: [/q/**], place: { query: key } }] }
  bad: { source: { type: static, value: "${SECRETS.bad}\\nx" }, bind: [{ hosts: ["api.test:*"], paths: [/bad], place: { header: X-Key } }] }
  dies: { source: { type: process, command: [node, -e, "console.log('${SECRETS.bad}'); process.exit(1)"] }, bind: [{ hosts: ["api.test:*"], paths: [/dies], place: { header: X-Key } }] }
  plain: { source: { type: static, value: ${SECRETS.header} }, bind: [{ hosts: ["other.test:*"], place: { header: X-Key } }] }
  one: { source: { type: static, value: ${SECRETS.header} }, bind: [{ hosts: ["api.test:*"], paths: [/two], place: { header: X-Key } }] }
  two: { source: { type: static, value: ${SECRETS.header} }, bind: [{ hosts: ["api.test:*"], paths: [/two], place: { header: X-Key } }] }`;

describe('no secret', () => {
  test('is in the log, the metrics, a refusal, an error, a response or what inspect shows', async () => {
    const before = process.env.B;
    process.env.B = SECRETS.basic;
    try {
      const { gateway, upstream, authority } = await secureScene((request, socket) => {
        if (request.target.includes('reset')) request.reset();
        // Everything that the upstream got comes back, as fields, in the reason and as a redirect.
        else
          socket.write(
            `HTTP/1.1 500 ${request.field('x-key') ?? 'no'}\r\n${request.lines.map((line, i) => `X-${i}: ${line}`).join('\r\n')}\r\nLocation: ${request.target}\r\nContent-Length: 0\r\n\r\n`,
          );
      }, sections);
      const tunnel = await connectThrough(gateway.forward, authority, [`Proxy-Authorization: Bearer ${SECRETS.token}`]);
      const client = await secure(tunnel, { ca: gateway.caPem, servername: 'api.test' });
      const seen: string[] = [];
      const paths = ['/h/1', '/b/1', '/q/1?a=b', '/h/reset', '/q/reset', '/bad', '/dies', '/two', '/none', `/h/${SECRETS.header}`];
      for (const path of paths) {
        const response = await client.request(`GET ${path} HTTP/1.1`, [`Host: ${authority}`]);
        seen.push(
          response.startLine,
          ...response.lines.filter((line) => path !== `/h/${SECRETS.header}` || !line.startsWith('Location')),
          response.body.toString(),
        );
      }
      const plain = await rawClient(gateway.forward);
      for (const token of [SECRETS.token, `${SECRETS.token}x`]) {
        const lines = [`Host: other.test:${upstream.port}`, `Proxy-Authorization: Basic ${Buffer.from(`u:${token}`).toString('base64')}`];
        const response = await plain.request(`GET http://other.test:${upstream.port}/ HTTP/1.1`, lines);
        seen.push(response.startLine, ...response.lines, response.body.toString());
      }
      const errors = gateway.exchanges.map(({ error, errorDetail }) => `${error} ${errorDetail}`);
      const shown = inspect([gateway.gateway, gateway.exchanges], {
        depth: Number.POSITIVE_INFINITY,
        showHidden: true,
        maxArrayLength: null,
        maxStringLength: null,
      });
      const everything = { log: await gateway.log(), metrics: await gateway.metrics(), seen: seen.join('\n'), errors: errors.join('\n') };
      for (const [where, text] of Object.entries(everything))
        for (const secret of FORMS) expect(text.includes(secret), `${secret} in ${where}`).toBe(false);
      // What the client itself wrote into the path is there as it wrote it; nothing else is.
      const exchanges = shown.replaceAll(`path: '/h/${SECRETS.header}'`, '');
      for (const secret of FORMS) expect(exchanges.includes(secret), `${secret} in inspect`).toBe(false);
      expect(everything.seen).toContain('[secret]');
      expect(gateway.exchanges).toHaveLength(paths.length + 2);
    } finally {
      if (before === undefined) delete process.env.B;
      else process.env.B = before;
    }
  });
});

test('there is one event for every exchange, and the metrics agree with them', async () => {
  const { gateway, upstream, authority } = await secureScene(echo, sections);
  const tunnel = await connectThrough(gateway.forward, authority, [`Proxy-Authorization: Bearer ${SECRETS.token}`]);
  const client = await secure(tunnel, { ca: gateway.caPem, servername: 'api.test' });
  const statuses: number[] = [];
  const get = async (path: string): Promise<void> => {
    statuses.push((await client.request(`GET ${path} HTTP/1.1`, [`Host: ${authority}`])).status);
  };
  await get('/h/1');
  await get('/h/2');
  await get('/none');
  await get('/two');
  upstream.script = (_, socket) => void socket.write(reply(404));
  await get('/h/3');
  upstream.script = (request) => request.reset();
  await get('/none?x');
  const outsider = await rawClient(gateway.forward);
  statuses.push((await outsider.request('GET http://api.test/ HTTP/1.1', ['Host: api.test'])).status);
  expect(statuses).toEqual([200, 200, 200, 400, 404, 502, 407]);
  await gateway.recorded(7);
  const events = (await gateway.log())
    .split('\n')
    .filter((line) => line.includes('"msg":"exchange"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(events.map(({ status }) => status)).toEqual(statuses);
  expect(new Set(events.map(({ request_id }) => request_id)).size).toBe(7);
  expect(events[0]).toMatchObject({
    door: 'forward',
    kind: 'request',
    caller: 'ci',
    method: 'GET',
    scheme: 'https',
    host: 'api.test',
    path: '/h/1',
    credential: 'h',
    injected_headers: ['x-key'],
    outcome: 'completed',
  });
  expect(JSON.stringify(events)).not.toContain('?x');

  const metrics = await gateway.metrics();
  const sum = (name: string): number =>
    [...metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)$`, 'gm'))].reduce((total, match) => total + Number(match[1]), 0);
  expect(sum('sallyport_exchanges_total')).toBe(7);
  expect(sum('sallyport_refusals_total')).toBe(gateway.exchanges.filter(({ outcome }) => outcome === 'refused').length);
  expect(sum('sallyport_errors_total')).toBe(gateway.exchanges.filter(({ outcome }) => outcome === 'failed' || outcome === 'aborted').length);
  expect(metrics).toContain('sallyport_credential_injections_total{credential="h"} 3');
  expect(metrics).toContain('sallyport_exchange_duration_seconds_count{door="forward"} 7');
  expect(sum('sallyport_internal_faults_total')).toBe(0);
  expect(sum('sallyport_events_dropped_total')).toBe(0);
  expect(metrics).toContain('sallyport_active_exchanges{door="forward"} 0');
});
