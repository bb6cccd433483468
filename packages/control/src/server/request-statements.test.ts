import { expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { openCounted } from '../database/testing/statement-count.test.support.js';
import { serveControl } from './testing/served-control.test.support.js';

describeOnBoth('the statements of a request', (databases) => {
  test('who calls is four of them, whatever the request', async () => {
    const database = openCounted(await databases.migrated());
    const control = await serveControl(database);
    try {
      const token = await control.admin.token();
      const count = async (method: string, path: string, body?: unknown): Promise<number> => {
        const request = async () => expect((await control.request(method, path, { token, body })).status).toBeLessThan(300);
        return (await database.statementsOf(request)).length;
      };
      // The keys of the actor, the actor, its labels and its annotations.
      const caller = 4;
      expect(await count('GET', '/namespaces/root')).toBe(caller + 3);
      expect(await count('GET', '/actors?limit=20')).toBe(caller + 3);
      expect(await count('GET', `/actors/${control.admin.id}`)).toBe(caller + 3);
      expect(await count('POST', '/namespaces', { path: 'root.a' })).toBeLessThanOrEqual(caller + 8);
      expect(await count('PATCH', `/actors/${control.admin.id}`, { annotations: { seen: 'today' } })).toBeLessThanOrEqual(caller + 10);
    } finally {
      await control.close();
      await database.close();
    }
  });
});
