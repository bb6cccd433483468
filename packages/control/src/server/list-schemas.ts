import { z } from 'zod';
import type { Page, PageRequest } from '../database/paging.js';

/** The parameters of every list. A cursor may come alone: the filter and the order of the first page travel inside it. */
const pageParameters = {
  limit: z.coerce.number().int().min(1).max(1000).optional().describe('How many at most; 100 when left out.'),
  cursor: z.string().max(16_384).optional().describe('Where the page before ended.'),
  order_by: z.string().max(64).optional().describe('`FIELD`, `FIELD ASC` or `FIELD DESC`.'),
};

/** The parameters of a list with these filters. */
export function listQuery<Filters extends z.ZodRawShape>(filters: Filters) {
  return z.strictObject({ ...filters, ...pageParameters });
}

/** The answer of a list. */
export function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), cursor: z.string().optional().describe('Left out on the last page.') });
}

type ListQuery = { readonly limit?: number | undefined; readonly cursor?: string | undefined; readonly order_by?: string | undefined };

/** The parameters of a list as a request for a page: what is no paging is the filter. */
export function pageRequest<Query extends ListQuery>({
  limit,
  cursor,
  order_by: order,
  ...filter
}: Query): PageRequest<Omit<Query, keyof ListQuery>> {
  return { limit, cursor, order, filter };
}

/** A page as the answer of a list. */
export function pageAnswer<Row, Item>({ items, cursor }: Page<Row>, show: (row: Row) => Item): { items: Item[]; cursor?: string } {
  return { items: items.map(show), ...(cursor === undefined ? {} : { cursor }) };
}

/** A time: RFC 3339 in UTC with milliseconds. */
export const timeSchema = z.iso.datetime({ precision: 3 });

/** Milliseconds since 1970 as such a time. */
export function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
