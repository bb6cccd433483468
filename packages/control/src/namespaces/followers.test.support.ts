import { createActorKeys } from '../actors/actor-keys.js';
import { createActorSources } from '../actors/actor-sources.js';
import { createActors } from '../actors/actors.js';
import { labelledActors } from '../actors/labelled-actors.js';
import { createAuditTrail, SYSTEM_ACTOR } from '../audit/audit-trail.js';
import type { Database, DatabaseOptions } from '../database/open-database.js';
import { type TestDatabases, testSealer } from '../database/testing/databases.test.support.js';
import { createEncryptedColumns } from '../keys/encrypted-columns.js';
import { ensureGlobalKey } from '../keys/global-key.js';
import { createKeyService } from '../keys/key-service.js';
import { openKeyring } from '../keys/keyring.js';
import { labelledKeys } from '../keys/labelled-keys.js';
import { parseProviderConfig } from '../keys/provider-config.js';
import { createLabelCarrying } from '../labels/label-carrying.js';
import { carryEnqueuer, labelTasks } from '../labels/label-tasks.js';
import { createSessions } from '../sessions/sessions.js';
import { createPeople } from '../sign-in/people.js';
import type { Task } from '../tasks/task.js';
import { migrateTaskEngine } from '../tasks/task-engine.js';
import { createTasks, type TaskRecord } from '../tasks/tasks.js';
import { until } from '../tasks/tasks.test.support.js';
import { labelledNamespaces } from './labelled-namespaces.js';
import { destructionEnqueuer, namespaceTasks } from './namespace-tasks.js';
import { createNamespaces } from './namespaces.js';

export type Followers = Awaited<ReturnType<typeof followersOn>>;

/** A new database with all tables, those of the tasks included. */
export async function databaseWithTasks(databases: TestDatabases): Promise<{ readonly options: DatabaseOptions; readonly database: Database }> {
  const options = await databases.migrated();
  const database = databases.opened(options);
  await migrateTaskEngine(database);
  return { options, database };
}

/** Every domain that follows the namespaces, put together as the control plane does, in one process. */
export async function followersOn(
  options: DatabaseOptions,
  database: Database,
  more: { readonly pageSize?: number; readonly now?: () => number; readonly tasks?: readonly Task[] } = {},
) {
  const { pageSize = 100, now = Date.now } = more;
  const shared = { database, sealer: testSealer, audit: createAuditTrail({ database, sealer: testSealer, now }), now };
  const carrying = createLabelCarrying({
    ...{ database, pageSize, now, enqueue: carryEnqueuer(() => tasks) },
    children: [labelledNamespaces, labelledActors, labelledKeys],
  });
  const namespaces = createNamespaces({
    ...shared,
    onNamespaceDestroyed: [
      (destroyed) => actors.onNamespaceDestroyed(destroyed),
      (destroyed) => sessions.onNamespaceDestroyed(destroyed),
      async ({ path, trx }) => {
        await keys.shred(trx, path, { actorId: SYSTEM_ACTOR });
        return 'done';
      },
    ],
    onDestroyRequested: destructionEnqueuer(() => tasks),
    onLabelsChanged: (trx, path, who) => carrying.changed(trx, path, who),
  });
  const globalKey = { current: parseProviderConfig({ value: 'the material of the global key' }) };
  const keyring = openKeyring({ database, globalKey, env: {} });
  await ensureGlobalKey(database, keyring);
  const keys = createKeyService({ ...shared, keyring, columns: createEncryptedColumns(), env: {}, namespaces });
  const actors = createActors({
    ...{ ...shared, namespaces },
    onActorDeleted: [(trx, actor) => sessions.onActorDeleted(trx, actor), (trx, actor) => people.onActorDeleted(trx, actor)],
  });
  const actorKeys = createActorKeys({ ...shared, actors });
  const sources = createActorSources({ ...shared, actors });
  const sessions = createSessions({ ...shared, actors });
  const people = createPeople({ ...shared, actors, sources, sessions });
  const problems: unknown[] = [];
  const tasks = createTasks({
    ...{ ...shared, now: Date.now, onProblem: ({ error }) => void problems.push(error) },
    tasks: [...labelTasks(carrying), ...namespaceTasks(namespaces), ...(more.tasks ?? [])],
  });

  /** Runs tasks until none waits, and answers all there were, the newest first. */
  async function runAll(): Promise<readonly TaskRecord[]> {
    const url = options.provider === 'postgres' ? { postgresUrl: options.url } : {};
    const runner = await tasks.start({ ...url, pollIntervalMs: 20, leaseMs: 20_000 });
    try {
      return await until(async () => {
        const { items } = await tasks.list({ limit: 1000 }, [{ path: 'root', subtree: true }]);
        return items.every(({ state }) => state === 'succeeded' || state === 'dead') && items;
      });
    } finally {
      await runner.stop();
    }
  }

  return { ...shared, namespaces, carrying, keyring, globalKey, keys, actors, actorKeys, sources, sessions, people, tasks, problems, runAll };
}
