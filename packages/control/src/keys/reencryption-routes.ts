import { z } from 'zod';
import type { Database } from '../database/open-database.js';
import { ROOT } from '../namespaces/namespace-path.js';
import type { Caller } from '../server/caller.js';
import { type Operation, operation, type ServiceName } from '../server/operation.js';
import type { Tasks } from '../tasks/tasks.js';
import { reencryptionSchema, shownReencryption } from './key-schemas.js';
import { GLOBAL_KEY } from './key-store.js';
import { REENCRYPT_KEYS } from './key-tasks.js';
import type { Reencryption } from './reencryption.js';

/** What the operations on re-encryption work with. */
export interface ReencryptionRoutes {
  readonly database: Database;
  readonly reencryption: Pick<Reencryption, 'progress'>;
  readonly tasks: Pick<Tasks, 'enqueue'>;
}

const services: readonly ServiceName[] = ['admin-api'];
const resource = 'keys';

/** `/reencryption`. It concerns the values of all namespaces, so it is for those who may do the same with the global key. */
export function reencryptionOperations({ database, reencryption, tasks }: ReencryptionRoutes): readonly Operation[] {
  const common = { services, tag: resource } as const;

  function requireOnAll(verb: string, { by }: Caller): void {
    by.authority.require({ namespace: ROOT, resource, verb, resource_id: GLOBAL_KEY });
  }

  return [
    operation({
      ...common,
      name: 'getReencryption',
      method: 'GET',
      path: '/reencryption',
      summary: 'How far each column is, or how its last run went',
      access: { resource, verb: 'get' },
      status: 200,
      result: z.object({ items: z.array(reencryptionSchema) }),
      handle: async ({ caller }) => {
        requireOnAll('get', caller);
        return { body: { items: (await reencryption.progress()).map(shownReencryption) } };
      },
    }),
    operation({
      ...common,
      name: 'runReencryption',
      method: 'POST',
      path: '/reencryption/_run',
      summary: 'Brings everything under the active versions of the keys as soon as possible, and not only at the next half hour',
      description: 'Asking again before it has begun leads to the same task.',
      access: { resource, verb: 'update' },
      status: 202,
      result: z.object({ task_id: z.string().describe('`GET /tasks/ID` says how far it is.') }),
      handle: async ({ caller }) => {
        requireOnAll('update', caller);
        const { id } = await tasks.enqueue(database.db, REENCRYPT_KEYS, {}, { who: caller.by.context, jobKey: 'asked-for' });
        return { body: { task_id: id } };
      },
    }),
  ];
}
