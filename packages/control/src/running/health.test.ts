import { expect, test } from 'vitest';
import { hasRedis, startRedis } from '../coordination/redis.test.support.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { sharedPostgres } from '../database/testing/shared-postgres.test.support.js';
import { until } from '../tasks/tasks.test.support.js';
import { ask, configOn, endLater, passageTo, type Served, served } from './running.test.support.js';

/** Waits until the answer for readiness has this status, and gives its body. */
async function readiness(url: string, status: 200 | 503): Promise<Readonly<Record<string, unknown>>> {
  let body: Readonly<Record<string, unknown>> = {};
  await until(async () => {
    const answer = await ask(`${url}/readyz`, { token: null });
    body = answer.body as typeof body;
    return answer.status === status;
  });
  return body;
}

describeOnBoth('the health of a process', (databases) => {
  test('is told on a port of its own without TLS, and nothing else is there', async () => {
    const changes = { services: { admin_api: { health_port: 0, tls: { self_signed: { dir: '/nowhere' } } } } };
    expect(configOn(await databases.empty(), changes).services.admin_api.health_port).toBe(0);
    const control = await served(configOn(await databases.empty(), { services: { admin_api: { health_port: 0 } } }), ['admin-api']);
    await readiness(control.healthUrl('admin-api'), 200);
    for (const path of ['/ping', '/healthz', '/metrics'])
      expect((await ask(`${control.healthUrl('admin-api')}${path}`, { token: null })).status).toBe(200);
    expect((await ask(`${control.healthUrl('admin-api')}/namespaces`)).status).toBe(404);
    expect((await ask(`${control.url('admin-api')}/metrics`)).status).toBe(404);
  });

  test.skipIf(!hasRedis)('says that Redis is gone, and that it is back', async () => {
    const redis = await startRedis();
    endLater(() => redis.stop());
    const config = configOn(await databases.empty(), { redis: { url: `redis://127.0.0.1:${redis.port}` } });
    const control = await served(config, ['admin-api']);
    await readiness(control.url('admin-api'), 200);
    await redis.kill();
    expect(await readiness(control.url('admin-api'), 503)).toMatchObject({ ok: false, db: true, bus: false });
    expect((await ask(`${control.url('admin-api')}/ping`)).status).toBe(200);
    // Nobody waits for a Redis that is gone.
    expect((await ask(`${control.url('admin-api')}/namespaces`)).status).toBe(200);
    await redis.start();
    await readiness(control.url('admin-api'), 200);
  });

  test('without a Redis from the beginning: it serves, and is not ready', async () => {
    const control = await served(configOn(await databases.empty(), { redis: { url: 'redis://127.0.0.1:1' } }), ['admin-api']);
    expect(await readiness(control.url('admin-api'), 503)).toMatchObject({ db: true, bus: false });
    expect((await ask(`${control.url('admin-api')}/namespaces`)).status).toBe(200);
  });

  if (databases.dialect === 'sqlite') return;

  async function behindPassage(): Promise<{ readonly control: Served; readonly cut: () => void; readonly mend: () => Promise<void> }> {
    const options = await databases.empty();
    const passage = await passageTo(Number(new URL(await sharedPostgres()).port));
    const url = new URL(String(options.provider === 'postgres' ? options.url : ''));
    url.port = String(passage.port);
    return { ...passage, control: await served(configOn({ provider: 'postgres', url: url.href }), ['admin-api', 'worker']) };
  }

  test('says that the database is gone, and that it is back', async () => {
    const { control, cut, mend } = await behindPassage();
    await readiness(control.url('worker'), 200);
    cut();
    expect(await readiness(control.url('worker'), 503)).toMatchObject({ ok: false, db: false, stopping: false });
    expect((await ask(`${control.url('worker')}/ping`)).status).toBe(200);
    expect((await ask(`${control.url('worker')}/healthz`)).status).toBe(503);
    expect(await ask(`${control.url('admin-api')}/namespaces`)).toMatchObject({ status: 503, body: { code: 'database_unavailable' } });
    await mend();
    expect(await readiness(control.url('worker'), 200)).toMatchObject({ db: true, bus: true, tasks: true });
    expect((await ask(`${control.url('admin-api')}/namespaces`)).status).toBe(200);
    const { body } = await ask(`${control.url('admin-api')}/reencryption/_run`, { method: 'POST' });
    const task = `${control.url('admin-api')}/tasks/${body.task_id ?? body.id}`;
    await until(async () => (await ask(task)).body.state === 'succeeded');
  });

  test('a stop without the database ends all the same', async () => {
    const { control, cut } = await behindPassage();
    await readiness(control.url('worker'), 200);
    cut();
    await control.stop(AbortSignal.abort()).catch(() => undefined);
    await expect(ask(`${control.url('worker')}/ping`)).rejects.toThrow('fetch failed');
  });
});
