import { oddAnswer } from './api-error.js';
import type { Answer } from './client.js';

interface ListAsked {
  readonly query?: { readonly cursor?: string };
  readonly signal?: AbortSignal;
}

type ListMethod<Asked, Item> = (asked?: Asked) => Promise<Answer<{ items: Item[]; cursor?: string }>>;

/**
 * A list page by page: `for await (const page of pagesOf(client.listActors, { query: { namespace: 'root.**' } }))`. A page is fetched when it is asked for.
 * Rejects with `ApiError`, also with `server_answer_invalid` when the server goes in circles.
 */
export async function* pagesOf<Asked extends ListAsked, Item>(
  list: ListMethod<Asked, Item>,
  asked?: Asked,
): AsyncGenerator<readonly Item[], void, undefined> {
  let next = asked;
  for (const seen = new Set<string>(); ; ) {
    const { items, cursor } = (await list(next)).data;
    if (!Array.isArray(items)) throw oddAnswer(200, 'The server answered something else than a page of a list');
    yield items;
    if (cursor === undefined) return;
    if (typeof cursor !== 'string' || seen.has(cursor)) throw oddAnswer(200, 'The server hands out the same page again and again');
    seen.add(cursor);
    // The filter of the first page travels in the cursor.
    next = { query: { cursor }, ...(asked?.signal !== undefined && { signal: asked.signal }) } as Asked;
  }
}

/** The same, item by item. */
export async function* itemsOf<Asked extends ListAsked, Item>(list: ListMethod<Asked, Item>, asked?: Asked): AsyncGenerator<Item, void, undefined> {
  for await (const page of pagesOf(list, asked)) yield* page;
}
