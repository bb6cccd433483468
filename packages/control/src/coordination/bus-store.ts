import { sql } from 'kysely';
import { columnTypes } from '../database/column-types.js';
import { type Dialect, type Queryable, withTables } from '../database/schema.js';

interface BusMessagesTable {
  seq: number;
  message: string;
  created_at: number;
}

interface Tables {
  bus_messages: BusMessagesTable;
}

/** A message that waits in the table. */
export type StoredMessage = Pick<BusMessagesTable, 'seq' | 'message'>;

/** Stores a message and answers its number. The time is the database's. */
export async function insertMessage(db: Queryable, dialect: Dialect, message: string): Promise<number> {
  const now = sql.raw(columnTypes(dialect).now);
  const { rows } = await sql<{ seq: number }>`insert into bus_messages (message, created_at) values (${message}, ${now}) returning seq`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error('The database stored a message and did not say where.');
  return row.seq;
}

export async function findMessage(db: Queryable, seq: number): Promise<string | undefined> {
  return (await withTables<Tables>(db).selectFrom('bus_messages').select('message').where('seq', '=', seq).executeTakeFirst())?.message;
}

/** The messages after this one, in the order of their numbers. */
export function messagesAfter(db: Queryable, seq: number, limit: number): Promise<readonly StoredMessage[]> {
  return withTables<Tables>(db).selectFrom('bus_messages').select(['seq', 'message']).where('seq', '>', seq).orderBy('seq').limit(limit).execute();
}

/** The number of the newest message; 0 when there is none. */
export async function lastMessage(db: Queryable): Promise<number> {
  const query = withTables<Tables>(db)
    .selectFrom('bus_messages')
    .select(({ fn }) => fn.max('seq').as('last'));
  const { last } = await query.executeTakeFirstOrThrow();
  return last ?? 0;
}

/** Messages that have been there for longer than this, oldest first. */
export function messagesOlderThan(db: Queryable, dialect: Dialect, ageMs: number, limit: number): Promise<readonly StoredMessage[]> {
  const before = sql<number>`${sql.raw(columnTypes(dialect).now)} - ${ageMs}`;
  const query = withTables<Tables>(db).selectFrom('bus_messages').select(['seq', 'message']).where('created_at', '<', before);
  return query.orderBy('created_at').limit(limit).execute();
}

export async function deleteMessages(db: Queryable, seqs: readonly number[]): Promise<void> {
  await withTables<Tables>(db).deleteFrom('bus_messages').where('seq', 'in', seqs).execute();
}

/** Deletes the message of this number and all before it. */
export async function deleteMessagesUpTo(db: Queryable, seq: number): Promise<void> {
  await withTables<Tables>(db).deleteFrom('bus_messages').where('seq', '<=', seq).execute();
}
