import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import type { CronEntry } from '../tasks/cron-ticks.js';
import { type AttemptContext, defineTask, type Task } from '../tasks/task.js';
import type { KeyRotation } from './key-rotation.js';
import type { KeyService } from './key-service.js';
import { GLOBAL_KEY } from './key-store.js';
import type { Reencryption } from './reencryption.js';
import type { Retirement } from './retirement.js';

/** What the tasks of this domain work with. */
export interface KeyTasksOptions {
  readonly keys: Pick<KeyService, 'sync'>;
  readonly reencryption: Pick<Reencryption, 'begin' | 'step' | 'progress'>;
  readonly retirement: Retirement;
  readonly rotation: KeyRotation;
  readonly upkeep: KeyUpkeep;
}

/** How the versions of keys come and go, in milliseconds. */
export interface KeyUpkeep {
  /** How old the active version of a key may become; null to rotate by hand. */
  readonly rotateAfterMs: number | null;
  /** How long a version that nothing uses any more is kept. */
  readonly destroyAfterMs: number;
}

/** The task that brings everything under the active versions of the keys. */
export const REENCRYPT_KEYS = 'keys.reencrypt';
const SYNC_KEYS = 'keys.sync';
const RETIRE_KEYS = 'keys.retire';
const ROTATE_KEYS = 'keys.rotate';

/** When the tasks are due, in UTC. */
export const keyCron: readonly CronEntry[] = [
  { task: SYNC_KEYS, schedule: '*/15 * * * *', payload: {} },
  { task: REENCRYPT_KEYS, schedule: '*/30 * * * *', payload: {} },
  { task: ROTATE_KEYS, schedule: '25 * * * *', payload: {} },
  { task: RETIRE_KEYS, schedule: '10 * * * *', payload: {} },
];

const nothing = z.strictObject({});
/** The least: a process may have encrypted with a version just before it retired, and its transaction takes its time. */
const GRACE_MS = 24 * 3_600_000;
/** Of many keys that failed so many are named in the result. */
const FAILURES_NAMED = 100;

/** The tasks that keep keys as they should be: each may be run again at any time, and by several processes at once. */
export function keyTasks({ keys, reencryption, retirement, rotation, upkeep }: KeyTasksOptions): readonly Task[] {
  return [
    defineTask({
      name: SYNC_KEYS,
      schema: nothing,
      singleton: true,
      retry: { attempts: 3 },
      async run({ signal }) {
        const { checked, rotated, failures } = await keys.sync(signal);
        const global = failures.find(({ keyId }) => keyId === GLOBAL_KEY);
        // Everything depends on this one; the provider of a tenant's key that is not there is the tenant's affair.
        if (global !== undefined) {
          throw new SallyportError('key_provider_failed', { detail: `The global key could not be synchronised: ${global.code}.` });
        }
        const named = failures.slice(0, FAILURES_NAMED).map(({ keyId, code }) => ({ key_id: keyId, code }));
        return { checked, rotated: rotated.length, failed: failures.length, failures: named };
      },
    }),
    defineTask({
      name: REENCRYPT_KEYS,
      schema: nothing,
      singleton: true,
      retry: { attempts: 3 },
      run: (context) => reencrypt(reencryption, context),
    }),
    defineTask({
      name: ROTATE_KEYS,
      schema: nothing,
      singleton: true,
      retry: { attempts: 3 },
      run: async ({ signal }) => ({ rotated: upkeep.rotateAfterMs === null ? 0 : await rotation.rotateOlder(upkeep.rotateAfterMs, signal) }),
    }),
    defineTask({
      name: RETIRE_KEYS,
      schema: nothing,
      singleton: true,
      retry: { attempts: 3 },
      async run({ signal }) {
        const retired = await retirement.retireUnused(signal);
        const destroyed = await retirement.purgeRetired(Math.max(GRACE_MS, upkeep.destroyAfterMs), signal);
        return { retired: retired.length, destroyed: destroyed.length };
      },
    }),
  ];
}

/** A whole run. One that was left unfinished is finished first, because it does not look again at what it has passed. */
async function reencrypt(reencryption: KeyTasksOptions['reencryption'], { signal, progress }: AttemptContext) {
  for (let fresh = false; !fresh; ) {
    fresh = await reencryption.begin();
    do progress(await summary(reencryption));
    while (await reencryption.step(signal));
  }
  const columns = await reencryption.progress();
  const failed = columns.reduce((sum, column) => sum + column.failed, 0);
  if (failed > 0) {
    const first = columns.find((column) => column.first_failure !== null);
    const detail = `${failed} values could not be re-encrypted; the first is ${first?.table_name}.${first?.column_name} of ${first?.first_failure}.`;
    throw new SallyportError('reencryption_incomplete', { detail });
  }
  return { changed: columns.reduce((sum, column) => sum + column.changed, 0) };
}

async function summary(reencryption: KeyTasksOptions['reencryption']) {
  const columns = await reencryption.progress();
  const running = columns.find(({ state }) => state === 'running');
  const done = columns.reduce((sum, { scanned }) => sum + scanned, 0);
  return running === undefined ? { done } : { done, note: `${running.table_name}.${running.column_name}` };
}
