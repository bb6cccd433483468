import { z } from 'zod';
import type { Actors } from '../actors/actors.js';
import type { AuditTrail } from '../audit/audit-trail.js';
import type { Database } from '../database/open-database.js';
import { expiredIdempotencyKeys, purge } from '../database/purge.js';
import type { Namespaces } from '../namespaces/namespaces.js';
import type { Sessions } from '../sessions/sessions.js';
import type { People } from '../sign-in/people.js';
import type { CronEntry } from '../tasks/cron-ticks.js';
import { defineTask, type Task } from '../tasks/task.js';
import { purgeNonces } from '../tokens/nonce-store.js';

/** What has rows that go some time. */
export interface RetentionParts {
  readonly database: Database;
  readonly namespaces: Pick<Namespaces, 'purge'>;
  readonly actors: Pick<Actors, 'purge'>;
  readonly people: Pick<People, 'purge'>;
  readonly sessions: Pick<Sessions, 'purge'>;
  readonly audit: Pick<AuditTrail, 'purge'>;
  readonly now?: () => number;
}

/** How long things are kept, in milliseconds: the section `retention` of the configuration. */
export interface Retention {
  readonly soft_deleted: number;
  /** Null is for ever. */
  readonly audit: number | null;
}

interface Purge {
  readonly task: string;
  /** In UTC; not all in the same minute. */
  readonly schedule: string;
  /** Deletes for good what has been kept for long enough, and answers how many rows. Goes on with the next run when it is interrupted. */
  readonly run: (signal: AbortSignal) => Promise<number>;
}

/** The tasks that delete for good what has been kept for long enough, and when they are due. */
export function retentionTasks(
  parts: RetentionParts,
  retention: Retention,
): { readonly tasks: readonly Task[]; readonly cron: readonly CronEntry[] } {
  const purges = purgesOf(parts, retention);
  return {
    tasks: purges.map(({ task: name, run }) =>
      defineTask({
        name,
        schema: z.strictObject({}),
        singleton: true,
        retry: { attempts: 3 },
        run: async ({ signal }) => ({ deleted: await run(signal) }),
      }),
    ),
    cron: purges.map(({ task, schedule }) => ({ task, schedule, payload: {} })),
  };
}

function purgesOf(parts: RetentionParts, { soft_deleted: kept, audit: trail }: Retention): readonly Purge[] {
  const { database, namespaces, actors, people, sessions, audit, now = Date.now } = parts;
  const purges: readonly Purge[] = [
    { task: 'idempotency.purge', schedule: '3 * * * *', run: (signal) => purge(database, expiredIdempotencyKeys, { before: now(), signal }) },
    { task: 'nonces.purge', schedule: '6 * * * *', run: (signal) => purgeNonces(database, now(), signal) },
    { task: 'sessions.purge', schedule: '9 * * * *', run: (signal) => sessions.purge(signal) },
    { task: 'namespaces.purge', schedule: '12 * * * *', run: (signal) => namespaces.purge(kept, signal) },
    { task: 'people.purge', schedule: '15 * * * *', run: (signal) => people.purge(now() - kept, signal) },
    { task: 'actors.purge', schedule: '18 * * * *', run: (signal) => actors.purge(now() - kept, signal) },
  ];
  if (trail === null) return purges;
  return [...purges, { task: 'audit.purge', schedule: '21 * * * *', run: (signal) => audit.purge(trail, signal) }];
}
