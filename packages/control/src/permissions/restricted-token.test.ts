import { expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { serveControl } from '../server/testing/served-control.test.support.js';
import type { Permission } from './permission.js';

describeOnBoth('a token that limits itself', (databases) => {
  test('so that it cannot be told what is left is refused, and not taken for one without a limit', async () => {
    const control = await serveControl(await databases.open());
    try {
      const stored: Permission[] = Array.from({ length: 200 }, (_, at) => ({ namespace: 'root.**', resources: ['*'], verbs: ['get', `v${at}`] }));
      const actor = await control.actor('root', 'wide', stored);
      const restriction = (count: number) =>
        Array.from({ length: count }, (_, at) => ({ namespace: 'root.**', resources: ['*'], verbs: ['get', `w${at}`] }));
      expect((await control.request('GET', '/me', { token: await actor.token({ permissions: restriction(10) }) })).status).toBe(200);
      const refused = await control.request('GET', '/me', { token: await actor.token({ permissions: restriction(60) }) });
      expect(refused).toMatchObject({ status: 400, body: { code: 'permission_invalid' } });
    } finally {
      await control.close();
    }
  });
});
