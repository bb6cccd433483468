import { sql } from 'kysely';
import type { Database } from '../database/open-database.js';
import type { Task } from './task.js';
import { taskOf } from './tasks.test.support.js';

/** What a task of these tests leaves behind: one row each time that it was run to its end. */
interface Effect {
  readonly task: string;
  readonly place: number;
  readonly process: number;
}

export async function createEffects(database: Database): Promise<void> {
  await sql`create table effects (task text not null, place integer not null, process integer not null)`.execute(database.db);
}

export async function effectsOf(database: Database): Promise<readonly Effect[]> {
  const { rows } = await sql<Effect>`select task, place, process from effects`.execute(database.db);
  return rows;
}

/** Tasks that take a few turns, say how far they are, and leave an effect. */
export function effectTasks(database: () => Database): readonly Task[] {
  const leave: Parameters<typeof taskOf>[1] = async ({ id, payload, progress }) => {
    progress({ done: 1, total: 2 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await sql`insert into effects (task, place, process) values (${id}, ${payload as number}, ${process.pid})`.execute(database().db);
  };
  return [taskOf('effect', leave, { attempts: 100 }), taskOf('single', leave, { attempts: 100, singleton: true })];
}
