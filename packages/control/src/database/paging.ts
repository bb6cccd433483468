import { SallyportError } from '@sallyport/sdk';
import { type SelectQueryBuilder, sql } from 'kysely';
import { z } from 'zod';
import { canonicalJson, type Json } from './canonical-json.js';
import type { Sealer } from './sealer.js';

/** What a list is called and how it can be read. */
export interface ListDefinition {
  readonly name: string;
  /** For each field that one can order by: columns that are indexed in this sequence and never null, and of which the last one is unique. */
  readonly orders: Readonly<Record<string, readonly [string, ...string[]]>>;
  /** The order nobody has to ask for, as `FIELD ASC` or `FIELD DESC`. */
  readonly defaultOrder: string;
}

/** An order a list is read in. */
interface ListOrder {
  /** `FIELD ASC` or `FIELD DESC`. */
  readonly name: string;
  readonly columns: readonly [string, ...string[]];
  readonly direction: 'asc' | 'desc';
}

/** What a client asks for. A cursor may come alone: the filter and the order of the first page travel inside it. */
export interface PageRequest<Filter> {
  readonly cursor?: string | undefined;
  /** 1 to 1000; 100 when left out. */
  readonly limit?: number | undefined;
  /** `FIELD`, `FIELD ASC` or `FIELD DESC`, the direction in any case. */
  readonly order?: string | undefined;
  readonly filter?: Filter | undefined;
}

/** The page to read. */
export interface PagePlan<Filter> {
  readonly filter: Filter;
  readonly limit: number;
  readonly order: ListOrder;
  /** The last row of the page before: its values in the columns of the order. */
  readonly after: readonly (string | number)[] | undefined;
}

/** A page of a list. Without a cursor it is the last one. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly cursor?: string;
}

const DEFAULT_LIMIT = 100;
const MAXIMUM_LIMIT = 1000;
/** Rows of one statement: as many as are light enough together, however long each may be. */
const ROWS_AT_ONCE = 250;
/** Characters of text in the rows of one page. */
const HEAVIEST_PAGE = 4 * 1024 * 1024;

const cursorContent = z.tuple([z.string(), z.json(), z.array(z.union([z.string(), z.number()]))]);

/**
 * What to read for this request. Rejects a cursor that is not ours, is of another list, or comes with another filter or order than it was given out
 * for (`cursor_invalid`), a limit out of bounds and an order that the list does not have. What a cursor holds says where to go on, never what may be
 * seen: the permissions of the caller are applied to each page anew.
 */
export function planPage<Filter extends { readonly [key: string]: Json | undefined }>(
  list: ListDefinition,
  request: PageRequest<Filter>,
  sealer: Sealer,
): PagePlan<Filter> {
  const limit = request.limit ?? DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAXIMUM_LIMIT) throw new SallyportError('list_limit_invalid');
  if (request.cursor === undefined) {
    return { filter: request.filter ?? ({} as Filter), limit, order: orderOf(list, request.order ?? list.defaultOrder), after: undefined };
  }
  const [orderName, filter, after] = openCursor(list, request.cursor, sealer);
  const order = orderOf(list, orderName);
  const given = request.filter;
  const sameFilter = given === undefined || isEmpty(given) || canonicalJson(given) === canonicalJson(filter);
  if (!sameFilter || (request.order !== undefined && orderOf(list, request.order).name !== order.name) || after.length !== order.columns.length) {
    throw new SallyportError('cursor_invalid');
  }
  // Sealed by one of our processes, which had checked it.
  return { filter: filter as Filter, limit, order, after };
}

/**
 * Reads the page: the query with its conditions, which must select the columns of the order. Costs the rows of the page and one, however many come
 * before: there is no offset. A page ends early, with a cursor, where its rows have become heavy: who writes long rows must not be able to fill the
 * memory of whoever lists them.
 */
export async function readPage<DB, Table extends keyof DB, Row extends object>(
  query: SelectQueryBuilder<DB, Table, Row>,
  list: ListDefinition,
  plan: PagePlan<{ readonly [key: string]: Json | undefined }>,
  sealer: Sealer,
): Promise<Page<Row>> {
  const { columns } = plan.order;
  const placeOf = (row: Row): (string | number)[] => columns.map((column) => (row as Readonly<Record<string, string | number>>)[column]);
  const items: Row[] = [];
  let weight = 0;
  let { after } = plan;
  for (;;) {
    const wanted = Math.min(ROWS_AT_ONCE, plan.limit - items.length);
    const rows = await pageQuery(query, { ...plan, after, limit: wanted }).execute();
    const more = rows.length > wanted;
    for (const row of rows.slice(0, wanted)) {
      items.push(row);
      weight += weightOf(row);
      if (weight > HEAVIEST_PAGE) break;
    }
    const last = items.at(-1);
    if (last === undefined) return { items };
    after = placeOf(last);
    const cutShort = weight > HEAVIEST_PAGE && (more || last !== rows[Math.min(rows.length, wanted) - 1]);
    if (cutShort || (more && items.length === plan.limit)) {
      return { items, cursor: sealer.seal(JSON.stringify([plan.order.name, plan.filter, after]), contextOf(list)) };
    }
    if (!more) return { items };
  }
}

/** How much text a row holds. */
function weightOf(row: object): number {
  let weight = 0;
  for (const value of Object.values(row)) if (typeof value === 'string') weight += value.length;
  return weight;
}

/** The query of {@link readPage}: for tests of its plan. */
export function pageQuery<DB, Table extends keyof DB, Row>(
  query: SelectQueryBuilder<DB, Table, Row>,
  { order, after, limit }: PagePlan<unknown>,
): SelectQueryBuilder<DB, Table, Row> {
  const columns = order.columns.map((column) => sql.ref(column));
  let page = query.limit(limit + 1);
  for (const column of columns) page = page.orderBy(column, order.direction);
  if (after === undefined) return page;
  // A comparison of rows, which both databases answer by one descent into the index; the long form with `or` they do not.
  const comparison = sql.raw(order.direction === 'asc' ? '>' : '<');
  return page.where(sql<boolean>`(${sql.join(columns)}) ${comparison} (${sql.join(after)})`);
}

function openCursor(list: ListDefinition, cursor: string, sealer: Sealer): z.infer<typeof cursorContent> {
  const text = sealer.open(cursor, contextOf(list));
  if (text === undefined) throw new SallyportError('cursor_invalid');
  // Our own seal does not mean our own version: another release may have written it.
  const content = cursorContent.safeParse(JSON.parse(text));
  if (!content.success) throw new SallyportError('cursor_invalid');
  return content.data;
}

function orderOf(list: ListDefinition, text: string): ListOrder {
  const [, field = '', direction = 'ASC'] = /^(\w+)(?: +(asc|desc))?$/i.exec(text) ?? [];
  const columns = Object.hasOwn(list.orders, field) ? list.orders[field] : undefined;
  if (columns === undefined)
    throw new SallyportError('list_order_invalid', { detail: `Orders of this list: ${Object.keys(list.orders).join(', ')}.` });
  return { name: `${field} ${direction.toUpperCase()}`, columns, direction: direction.toLowerCase() === 'desc' ? 'desc' : 'asc' };
}

function contextOf(list: ListDefinition): string {
  return `cursor of ${list.name}`;
}

function isEmpty(filter: object): boolean {
  return Object.values(filter).every((value) => value === undefined);
}
