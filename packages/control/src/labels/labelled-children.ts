import { type SelectQueryBuilder, sql } from 'kysely';
import type { Queryable } from '../database/schema.js';
import type { Identity, LabelledKind } from './carried-labels.js';

/** A resource whose labels are handed down. */
export interface LabelParent {
  readonly kind: LabelledKind;
  readonly id: string;
}

/** A resource that carries what its parents hand down. */
export interface LabelledChild {
  readonly identity: Identity;
  readonly parents: readonly LabelParent[];
  /** Where it stands among all of its kind: what `page` goes on behind. */
  readonly position: string;
}

/** How a domain enumerates those of its resources that carry labels. */
export interface LabelledChildren {
  readonly kind: LabelledKind;
  /**
   * The next resources at and below a namespace, those behind `after` if it is given, by an index and in an order that stays: one that is made
   * meanwhile moves no other. Parents of the same kind come before their children.
   */
  page(db: Queryable, below: string, after: string | undefined, limit: number): Promise<readonly LabelledChild[]>;
}

/** A row, and where it stands. */
interface PlacedRow<Row> {
  readonly row: Row;
  readonly position: string;
}

/**
 * Reads a page of the rows at and below a namespace. An index begins with `columns`, of which the first one holds the path of the namespace and all
 * together are unique; the query selects them.
 */
export async function rowsOfSubtree<DB, Table extends keyof DB, Row extends object>(
  query: SelectQueryBuilder<DB, Table, Row>,
  columns: readonly [string, ...string[]],
  page: { readonly below: string; readonly after: string | undefined; readonly limit: number },
): Promise<readonly PlacedRow<Row>[]> {
  const { below, after, limit } = page;
  const [path] = columns;
  const refs = columns.map((column) => sql.ref(column));
  const rows: Row[] = [];
  for (const { from, to } of rangesOf(below)) {
    let part = query.where(sql<boolean>`${sql.ref(path)} >= ${from} and ${sql.ref(path)} < ${to}`).limit(limit - rows.length);
    // A comparison of rows, which both databases answer by one descent into the index.
    if (after !== undefined) part = part.where(sql<boolean>`(${sql.join(refs)}) > (${sql.join(JSON.parse(after) as readonly unknown[])})`);
    for (const ref of refs) part = part.orderBy(ref);
    rows.push(...(await part.execute()));
    if (rows.length >= limit) break;
  }
  return rows.map((row) => ({ row, position: JSON.stringify(columns.map((column) => (row as Readonly<Record<string, unknown>>)[column])) }));
}

/**
 * The namespace itself, and what is below it, as ranges in the order of bytes. They are two, because paths such as `root.a-x` lie between `root.a` and
 * `root.a.b`: no character of a path comes before `-`, then comes the dot, and `/` is the one after it.
 */
function rangesOf(path: string): readonly { readonly from: string; readonly to: string }[] {
  return [
    { from: path, to: `${path}-` },
    { from: `${path}.`, to: `${path}/` },
  ];
}
