import { sql } from 'kysely';
import type { Database } from '../database/open-database.js';

/** How many tasks of one name are in one state. */
export interface TaskCount {
  readonly name: string;
  readonly state: string;
  readonly count: number;
}

/** No more tasks are looked at than that. */
const MOST = 100_000;

/** The tasks that are not finished, and those that are dead, by name and state: at most 100,000 are counted, in an order of the database's choice. */
export async function countTasks({ db }: Pick<Database, 'db'>): Promise<readonly TaskCount[]> {
  const { rows } = await sql<{ name: string; state: string; count: number | string }>`
    select name, state, count(*) as count from (
      select name, state from tasks where state in ('pending', 'running', 'failed', 'dead') limit ${MOST}
    ) as counted group by name, state order by name, state`.execute(db);
  return rows.map(({ count, ...row }) => ({ ...row, count: Number(count) }));
}
