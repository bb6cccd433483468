import { type Answer, itemsOf, type Result } from '@sallyport/client';
import type { Column } from '../../control/output.js';
import { countOption } from './option-values.js';
import { type Flag, type ResourceCommand, resourceCommand } from './resource-command.js';

type ListName = 'listNamespaces' | 'listActors' | 'listKeys' | 'listTasks' | 'listAuditEvents';
type ItemOf<Name extends ListName> = Result<Name> extends { items: (infer Item)[] } ? Item : never;
type ListMethod = (asked?: { query?: object }) => Promise<Answer<{ items: object[]; cursor?: string }>>;

/** A list with its filters: each flag is the query parameter of the same name. */
interface ListDeclaration<Name extends ListName> {
  readonly summary: string;
  readonly description?: string;
  readonly operation: Name;
  readonly filters: readonly Flag[];
  readonly columns: readonly Column<ItemOf<Name>>[];
  readonly empty: string;
  readonly adminOnly?: true;
  readonly examples: readonly string[];
}

interface ListOptions extends Readonly<Record<string, unknown>> {
  readonly limit: number;
  readonly all?: true;
}

/** The largest page that the server gives. */
const LARGEST_PAGE = 1000;

/** The filter of nearly every list. */
export const namespaceFilter: Flag = {
  flags: '-n, --namespace <matcher>',
  description: 'only in this namespace; PATH.** is it with everything below it',
};

/** The command `list` of a resource. */
export function listCommand<Name extends ListName>(declared: ListDeclaration<Name>): ResourceCommand {
  const { operation, filters, columns, empty, ...rest } = declared;
  return resourceCommand<ListOptions>({
    name: 'list',
    ...rest,
    flags: [
      ...filters,
      { flags: '--order-by <order>', description: 'such as "created_at DESC"' },
      { flags: '--limit <count>', description: 'how many at most', parse: countOption, default: 100 },
      { flags: '--all', description: 'all there are' },
    ],
    run: async ({ client, options }) => {
      const limit = options.all === true ? Number.POSITIVE_INFINITY : options.limit;
      const query = { ...queryOf(filters, options), order_by: options.orderBy, limit: Math.min(LARGEST_PAGE, limit) };
      const items: object[] = [];
      let more = false;
      for await (const item of itemsOf(client[operation] as unknown as ListMethod, { query })) {
        more = items.length === limit;
        if (more) break;
        items.push(item);
      }
      return { kind: 'list', items, columns, empty, more };
    },
  });
}

function queryOf(filters: readonly Flag[], options: ListOptions): Record<string, unknown> {
  return Object.fromEntries(
    filters.map(({ flags }) => {
      const name = /--([a-z-]+)/.exec(flags)?.[1] ?? '';
      return [name.replaceAll('-', '_'), options[name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())]];
    }),
  );
}
