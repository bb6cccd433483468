import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { ask, configOn, operatorToken, served } from './running.test.support.js';

const page = readFileSync(new URL('../../../../docs/control-plane-metrics.md', import.meta.url), 'utf8');

describeOnBoth('the limits of the endpoints', (databases) => {
  test('an actor is told where it stands, and refused when it has had all', async () => {
    const control = await served(configOn(await databases.empty(), { rate_limits: { actor: { requests: 3, per: '1h' } } }), ['admin-api', 'worker']);
    const url = `${control.url('admin-api')}/namespaces`;
    const first = await ask(url);
    expect(first.headers.get('ratelimit-policy')).toBe('"actor";q=3;w=3600');
    expect(first.headers.get('ratelimit')).toMatch(/^"actor";r=2;t=\d+$/);
    for (let more = 0; more < 2; more += 1) expect((await ask(url)).status).toBe(200);
    const refused = await ask(url);
    expect(refused).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    // Whoever watches over it is not refused.
    for (let more = 0; more < 5; more += 1) expect((await ask(`${control.url('admin-api')}/healthz`)).status).toBe(200);
    expect((await ask(`${control.url('worker')}/metrics`)).text).toContain('sallyport_control_rate_limit_refusals_total{rule="actor"} 1\n');
  });

  test('whoever shows too many wrong tokens waits, and nobody with a right one does', async () => {
    const rate_limits = { failed_authentication: { requests: 2, per: '1h' } };
    const control = await served(configOn(await databases.empty(), { rate_limits }), ['admin-api', 'worker']);
    const url = `${control.url('admin-api')}/namespaces`;
    for (const token of ['wrong', await operatorToken({ exp: 1 })]) expect((await ask(url, { token })).status).toBe(401);
    expect(await ask(url, { token: 'wrong' })).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    // A page that sends browsers here with tokens of its own shuts out nobody.
    expect((await ask(url)).status).toBe(200);
    const { text } = await ask(`${control.url('worker')}/metrics`);
    expect(text).toContain('sallyport_control_failed_authentications_total 3\n');
    expect(text).toContain('sallyport_control_rate_limit_refusals_total{rule="failed_authentication"} 1\n');
  });

  test.each([
    ['10.0.0.0/8', 'believed from nobody but the balancers'],
    ['127.0.0.0/8', 'believed from a balancer'],
  ])('with trusted_proxies %s X-Forwarded-For is %s', async (network) => {
    const rate_limits = { failed_authentication: { requests: 1, per: '1h' } };
    const changes = { rate_limits, services: { admin_api: { trusted_proxies: [network] } } };
    const control = await served(configOn(await databases.empty(), changes), ['admin-api']);
    const url = `${control.url('admin-api')}/namespaces`;
    const from = (address: string) => ({ token: 'wrong', headers: { 'x-forwarded-for': address } });
    expect((await ask(url, from('198.51.100.1'))).status).toBe(401);
    expect((await ask(url, from('198.51.100.1'))).status).toBe(429);
    expect((await ask(url, from('198.51.100.2'))).status).toBe(network.startsWith('127.') ? 401 : 429);
    // What a client itself has written stands on the left of what the balancer adds.
    expect((await ask(url, from('203.0.113.9, 198.51.100.1'))).status).toBe(429);
  });
});

describeOnBoth('the log and the metrics', (databases) => {
  test('have a line for each request, and no token, no name and no query in it', async () => {
    const control = await served(configOn(await databases.empty()), ['admin-api', 'worker']);
    const token = await operatorToken();
    const admin = control.url('admin-api');
    await ask(`${admin}/namespaces?auth_token=${token}&namespace=root.query-of-mine`, { token: null });
    await ask(`${admin}/namespaces`, { method: 'POST', body: JSON.stringify({ path: 'root.name-of-mine' }), headers: { 'x-request-id': 'mine-1' } });
    await ask(`${admin}/namespaces/root.name-of-mine`, { token: 'a.wrong.token-of-mine' });
    await ask(`${admin}/nowhere/of-mine`);
    await ask(`${admin}/readyz`, { token: null });
    await expect.poll(async () => (await ask(`${control.url('worker')}/metrics`)).text).toContain('sallyport_control_tasks');
    const metrics = await ask(`${control.url('worker')}/metrics`);
    await control.stop();

    const lines = (await control.logged()).filter(({ msg }) => msg === 'request');
    const own = lines.filter(({ service, route }) => service === 'admin-api' && route !== '/readyz');
    expect(own).toMatchObject([
      { level: 30, method: 'GET', route: '/namespaces', status: 200, actor_id: expect.stringMatching(/^act_/) as string },
      { level: 30, method: 'POST', route: '/namespaces', status: 201, request_id: 'mine-1', duration_ms: expect.any(Number) as number },
      { level: 30, method: 'GET', route: '/namespaces/:path', status: 401 },
      { level: 30, method: 'GET', route: null, status: 404 },
    ]);
    expect(lines.filter(({ route }) => route === '/readyz')).toMatchObject([{ level: 20, status: 200 }]);
    for (const line of lines) expect(line).toHaveProperty('time');
    const text = (await control.logText()) + metrics.text;
    for (const secret of [token, 'of-mine', 'material of the global key', 'auth_token']) expect(text).not.toContain(secret);

    expect(metrics.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    for (const line of [
      'sallyport_control_http_requests_total{service="admin-api",route="/namespaces",method="POST",status="201"} 1',
      'sallyport_control_http_requests_total{service="admin-api",route="other",method="GET",status="404"} 1',
      'sallyport_control_http_request_duration_seconds_count{service="admin-api",route="/namespaces",method="GET"} 1',
      'sallyport_control_bus_listening 1',
      'sallyport_control_rate_limits_degraded 0',
      'sallyport_control_task_runner_polling 1',
      `sallyport_control_build_info{version="1.2.3",node="${process.versions.node}"} 1`,
    ]) {
      expect(metrics.text).toContain(`${line}\n`);
    }
    expect(metrics.text).toContain('process_cpu_seconds_total');
    const shown = [...metrics.text.matchAll(/^# TYPE (sallyport_\w+) /gm)].map(([, name]) => name);
    expect(shown.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });

  test('count what is in the database in the background', async () => {
    const control = await served(configOn(await databases.empty()), ['admin-api', 'worker']);
    const { body } = await ask(`${control.url('admin-api')}/reencryption/_run`, { method: 'POST' });
    expect(body).toBeDefined();
    await control.plane.database.transaction((trx) => control.plane.tasks.enqueue(trx, 'keys.sync', {}, { runAt: Date.now() + 3_600_000 }));
    await expect
      .poll(async () => (await ask(`${control.url('worker')}/metrics`)).text)
      .toContain('sallyport_control_tasks{name="keys.sync",state="pending"} 1\n');
  });
});
