import { afterEach, expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { type ServedControl, serveControl } from '../server/testing/served-control.test.support.js';
import { migrateTaskEngine } from '../tasks/task-engine.js';

describeOnBoth('/reencryption', (databases) => {
  let control: ServedControl | undefined;
  afterEach(async () => control?.close());

  test('a run is asked for, is done once, and shows how it went', async () => {
    const database = await databases.open();
    await migrateTaskEngine(database);
    control = await serveControl(database);
    const { request, admin, actor, plane } = control;
    await request('POST', '/namespaces', { as: admin, body: { path: 'root.a' } });
    const asked = await request('POST', '/reencryption/_run', { as: admin });
    expect(asked).toMatchObject({ status: 202, body: { task_id: expect.stringMatching(/^tsk_/) } });
    expect((await request('POST', '/reencryption/_run', { as: admin })).body).toEqual(asked.body);
    expect(await request('GET', `/tasks/${asked.body.task_id}`, { as: admin })).toMatchObject({ body: { name: 'keys.reencrypt', state: 'pending' } });
    await request('POST', '/keys/key_global/_rotate', { as: admin });
    await plane.reencryption.run(new AbortController().signal);
    const { body } = await request('GET', '/reencryption', { as: admin });
    expect(body.items).toContainEqual(
      expect.objectContaining({ table: 'system_secrets', column: 'secret', state: 'complete', changed: 2, failed: 0 }),
    );
    for (const as of [
      await actor('root.a', 'tenant'),
      await actor('root', 'one', [{ namespace: 'root.**', resources: ['keys'], verbs: ['*'], resource_ids: ['key_1'] }]),
    ]) {
      for (const [method, path] of [
        ['GET', ''],
        ['POST', '/_run'],
      ] as const) {
        expect(await request(method, `/reencryption${path}`, { as })).toMatchObject({ status: 403, body: { code: 'permission_denied' } });
      }
    }
  });
});
