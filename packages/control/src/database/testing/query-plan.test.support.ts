import { type CompiledQuery, sql } from 'kysely';
import type { Database } from '../open-database.js';
import type { Queryable } from '../schema.js';

/** What the database would do for a query. */
export interface QueryPlan {
  /** The plan in the words of the database, for the message of a failed assertion. */
  readonly text: string;
  /** Tables that are read from end to end because no index serves. */
  readonly scannedTables: readonly string[];
  /** The rows are put in order after they have been read, instead of being read in order. */
  readonly sorts: boolean;
}

/**
 * Asks the database for its plan. On Postgres with whole-table scans and sorts priced out, so that a small test table shows what a large one would
 * do.
 */
export async function queryPlan(database: Database, query: CompiledQuery): Promise<QueryPlan> {
  return database.dialect === 'sqlite' ? sqlitePlan(database.db, query) : database.transaction((trx) => postgresPlan(trx, query));
}

/** Rejects, with the plan, unless indexes serve the query: no table is read from end to end, and the rows come in the order that was asked for. */
export async function requireIndexed(database: Database, query: CompiledQuery): Promise<void> {
  const { scannedTables, sorts, text } = await queryPlan(database, query);
  if (scannedTables.length > 0) throw new Error(`Reads ${scannedTables.join(', ')} from end to end:\n${query.sql}\n${text}`);
  if (sorts) throw new Error(`Sorts what it has read:\n${query.sql}\n${text}`);
}

async function sqlitePlan(db: Queryable, query: CompiledQuery): Promise<QueryPlan> {
  const { rows } = await db.executeQuery<{ detail: string }>({ ...query, sql: `explain query plan ${query.sql}`, query: sql`x`.compile(db).query });
  const lines = rows.map((row) => row.detail);
  return {
    text: lines.join('\n'),
    scannedTables: lines.flatMap((line) => /^SCAN (\S+)(?!.* USING (?:COVERING )?INDEX)/.exec(line)?.[1] ?? []),
    sorts: lines.some((line) => line.includes('TEMP B-TREE')),
  };
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly PlanNode[];
}

async function postgresPlan(trx: Queryable, query: CompiledQuery): Promise<QueryPlan> {
  await sql`set local enable_seqscan = off`.execute(trx);
  await sql`set local enable_sort = off`.execute(trx);
  await sql`set local enable_incremental_sort = off`.execute(trx);
  const { rows } = await trx.executeQuery<{ 'QUERY PLAN': readonly [{ readonly Plan: PlanNode }] }>({
    ...query,
    sql: `explain (format json) ${query.sql}`,
    query: sql`x`.compile(trx).query,
  });
  const nodes = rows.flatMap((row) => row['QUERY PLAN'].flatMap(({ Plan }) => flatten(Plan)));
  return {
    text: JSON.stringify(rows[0]?.['QUERY PLAN'], undefined, 2),
    scannedTables: nodes.flatMap((node) => (node['Node Type'] === 'Seq Scan' ? (node['Relation Name'] ?? []) : [])),
    sorts: nodes.some((node) => node['Node Type'].endsWith('Sort')),
  };
}

function flatten(node: PlanNode): readonly PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)];
}
