import { sql } from 'kysely';
import type { Database } from '../database/open-database.js';

/** How many sessions of one service there are. */
export interface SessionCount {
  readonly service: string;
  readonly count: number;
}

/** No more sessions are looked at than that. */
const MOST = 100_000;

/** The sessions that have not ended, by service: at most 100,000 are counted, in an order of the database's choice. */
export async function countSessions({ db }: Pick<Database, 'db'>, now: number): Promise<readonly SessionCount[]> {
  const { rows } = await sql<{ service: string; count: number | string }>`
    select service, count(*) as count from (
      select service from sessions where ends_at > ${now} limit ${MOST}
    ) as counted group by service order by service`.execute(db);
  return rows.map(({ service, count }) => ({ service, count: Number(count) }));
}
