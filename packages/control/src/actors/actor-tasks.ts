import { setTimeout as sleep } from 'node:timers/promises';
import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import type { Namespaces } from '../namespaces/namespaces.js';
import type { Permission } from '../permissions/permission.js';
import type { CronEntry } from '../tasks/cron-ticks.js';
import { defineTask, type Task } from '../tasks/task.js';
import { type ActorSources, type DeclaredActor, readKeyDirectory } from './actor-sources.js';
import { systemRequester } from './actors.js';

/** Where the actors come from that the configuration names. */
export interface ConfiguredActors {
  /** Those that it declares itself. */
  readonly declared: readonly DeclaredActor[];
  /** Directories of public keys by namespace, and what the actors in them may do. */
  readonly directories: Readonly<Record<string, { readonly keys_path: string; readonly permissions: readonly Permission[] }>>;
  /** When the directories are looked at, in UTC. */
  readonly schedule: string;
}

export interface ActorSyncParts {
  readonly sources: Pick<ActorSources, 'sync'>;
  readonly namespaces: Pick<Namespaces, 'ensure'>;
}

/** What a synchronisation did. */
interface ActorSyncResult {
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  /** Actors of these names have another source, and are left alone. */
  readonly conflicts: readonly string[];
  /** Namespaces that are being deleted: nothing can be put into them. */
  readonly left_out: readonly string[];
}

const SYNC_ACTORS = 'actors.sync';
/** Of many that conflict so many are named in the result of the task. */
const CONFLICTS_NAMED = 100;
const ATTEMPTS = 10;
/** What comes of two processes that do the same at the same time: the other one has done it, and whoever looks again finds it done. */
const OVERTAKEN: ReadonlySet<string> = new Set(['actor_exists', 'actor_not_found', 'precondition_failed', 'unique_violation', 'database_busy']);

/**
 * Makes the actors of the configuration what it says, to be called before a process serves anybody. Any number of processes may do it at once. Where
 * no directory is configured (any more), those that came from one are deleted.
 */
export async function syncConfiguredActors(parts: ActorSyncParts, { declared, directories }: ConfiguredActors): Promise<ActorSyncResult> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const result = await sync(parts, 'config', declared);
      if (Object.keys(directories).length === 0) await sync(parts, 'key_directory', []);
      return result;
    } catch (error) {
      if (!(error instanceof SallyportError && OVERTAKEN.has(error.code)) || attempt >= ATTEMPTS) throw error;
    }
    // By chance, so that two do not meet again and again.
    await sleep(Math.random() * 50 * attempt);
  }
}

/** The task that makes the actors of the key directories what is in them, and when it is due. */
export function actorTasks(
  parts: ActorSyncParts,
  { directories, schedule }: ConfiguredActors,
): { tasks: readonly Task[]; cron: readonly CronEntry[] } {
  const entries = Object.entries(directories);
  const task = defineTask({
    name: SYNC_ACTORS,
    schema: z.strictObject({}),
    singleton: true,
    retry: { attempts: 3 },
    async run({ signal }) {
      const found: DeclaredActor[] = [];
      // All of them before anything is written: a directory that cannot be read is not an empty one.
      for (const [namespace, { keys_path: folder, permissions }] of entries) {
        signal.throwIfAborted();
        found.push(...(await readFolder(folder, namespace, permissions)));
      }
      const { conflicts, left_out, ...counts } = await sync(parts, 'key_directory', found);
      return { ...counts, conflicts: conflicts.slice(0, CONFLICTS_NAMED), left_out };
    },
  });
  return { tasks: [task], cron: entries.length === 0 ? [] : [{ task: SYNC_ACTORS, schedule, payload: {} }] };
}

async function sync(parts: ActorSyncParts, source: 'config' | 'key_directory', declared: readonly DeclaredActor[]): Promise<ActorSyncResult> {
  const left_out: string[] = [];
  for (const namespace of new Set(declared.map((actor) => actor.namespace))) {
    if (!(await isThere(parts, namespace))) left_out.push(namespace);
  }
  const kept = declared.filter(({ namespace }) => !left_out.includes(namespace));
  return { ...(await parts.sources.sync(source, kept)), left_out };
}

/** Makes the namespace if need be. One that is being deleted must not keep all others waiting. */
async function isThere({ namespaces }: ActorSyncParts, namespace: string): Promise<boolean> {
  try {
    await namespaces.ensure(namespace, systemRequester.context);
    return true;
  } catch (error) {
    if (error instanceof SallyportError && error.code === 'namespace_not_active') return false;
    throw error;
  }
}

async function readFolder(folder: string, namespace: string, permissions: readonly Permission[]): Promise<readonly DeclaredActor[]> {
  try {
    return await readKeyDirectory(folder, namespace, permissions);
  } catch (error) {
    if (error instanceof SallyportError) throw error;
    const detail = `The directory ${folder} or a file in it cannot be read.`;
    throw new SallyportError('actor_directory_unreadable', { detail, cause: error });
  }
}
