import { expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { until } from '../tasks/tasks.test.support.js';
import { ask, configOn, everyService, openThings, operatorToken, served } from './running.test.support.js';

describeOnBoth('a control plane that serves', (databases) => {
  test.each(everyService)('serves %s alone, and leaves nothing open', async (service) => {
    const config = configOn(await databases.empty());
    await ask(`${(await served(config, [service])).url(service)}/ping`);
    const before = openThings();
    const control = await served(config, [service]);
    expect(Object.keys(control.ports)).toEqual([service]);
    expect(await ask(`${control.url(service)}/ping`, { token: null })).toMatchObject({ status: 200, body: { service, message: 'pong' } });
    await until(async () => (await ask(`${control.url(service)}/readyz`, { token: null })).status === 200);
    const { body } = await ask(`${control.url(service)}/readyz`, { token: null });
    expect(body).toEqual({ service, ok: true, db: true, bus: true, stopping: false, ...(service === 'worker' ? { tasks: true } : {}) });
    await control.stop();
    await expect(ask(`${control.url(service)}/ping`)).rejects.toThrow('fetch failed');
    await until(() => openThings() <= before);
  });

  test('serves all of them, each with its own operations', async () => {
    const control = await served(configOn(await databases.empty()));
    for (const service of everyService) {
      const { body } = await ask(`${control.url(service)}/openapi.json`, { token: null });
      expect(Object.keys(body.paths)).toContain('/readyz');
      expect(Object.keys(body.paths).includes('/namespaces')).toBe(service === 'api' || service === 'admin-api');
    }
    expect((await ask(`${control.url('worker')}/namespaces`)).status).toBe(404);
    await control.stop();
  });

  test('knows the actors of its configuration before it answers anybody, and those alone', async () => {
    const options = await databases.empty();
    const control = await served(configOn(options), ['admin-api']);
    expect((await ask(`${control.url('admin-api')}/namespaces`)).status).toBe(200);
    await control.stop();
    const without = await served(configOn(options, { system_auth: { actors: [] } }), ['admin-api']);
    expect((await ask(`${without.url('admin-api')}/namespaces`)).status).toBe(401);
  });

  test('runs tasks where there is a worker, and there alone', async () => {
    const options = await databases.empty();
    const api = await served(configOn(options), ['admin-api']);
    const { body } = await ask(`${api.url('admin-api')}/reencryption/_run`, { method: 'POST' });
    const task = `${api.url('admin-api')}/tasks/${body.task_id ?? body.id}`;
    expect((await ask(task)).body).toMatchObject({ state: 'pending', attempts: 0 });
    await served(configOn(options), ['worker']);
    await until(async () => (await ask(task)).body.state === 'succeeded');
  });

  test('stops once, however often it is told to', async () => {
    const control = await served(configOn(await databases.empty()));
    await Promise.all([control.stop(), control.stop()]);
    await control.stop();
    await expect(ask(`${control.url('api')}/ping`, { token: await operatorToken() })).rejects.toThrow('fetch failed');
  });
});
