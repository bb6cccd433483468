// What a page of each list costs, by the number of rows that there are. Prints one line of JSON: nanoseconds by list, page and size.
import { Secret } from '@sallyport/sdk';
import { createActors, systemRequester } from '../../packages/control/dist/actors/actors.js';
import { createAuditTrail } from '../../packages/control/dist/audit/audit-trail.js';
import { migrate } from '../../packages/control/dist/database/migrate.js';
import { openDatabase } from '../../packages/control/dist/database/open-database.js';
import { createSealer } from '../../packages/control/dist/database/sealer.js';
import { everywhere } from '../../packages/control/dist/namespaces/namespace-matcher.js';
import { createNamespaces } from '../../packages/control/dist/namespaces/namespaces.js';
import { createSessions } from '../../packages/control/dist/sessions/sessions.js';
import { createTasks } from '../../packages/control/dist/tasks/tasks.js';
import { addRows, orderValues, smallRows, tenants } from './list-rows.mjs';

const { connection, rows, short } = JSON.parse(process.argv[2] ?? '');
const page = 100;
/** Readings of a page: so many at least, and at most, and how long until then (in nanoseconds). */
const [least, most, patience] = short ? [10, 100, 200_000_000n] : [20, 1000, 1_000_000_000n];

const database = openDatabase(connection);
await migrate(database);
const sealer = createSealer([new Secret('a key for the cursors of the bench')]);
const audit = createAuditTrail({ database, sealer });
const namespaces = createNamespaces({ database, audit, sealer });
const actors = createActors({ database, namespaces, audit, sealer });
const sessions = createSessions({ database, actors, audit, sealer });
const tasks = createTasks({ database, audit, sealer, tasks: [] });

/**
 * @typedef {{ cursor?: string, limit?: number, filter?: Record<string, string> }} Asked
 * @typedef {object} List
 * @property {string} title
 * @property {(asked: Asked) => Promise<{ items: readonly unknown[] }>} read
 * @property {(size: number) => string} middle the cursor of the page in the middle
 * @property {Record<string, string>} [labels] further pages, by title: label selectors
 */

/** @param {string} name @param {string} order @param {readonly (string | number)[]} after */
const cursor = (name, order, after) => sealer.seal(JSON.stringify([order, {}, after]), `cursor of ${name}`);
/** @param {string} name @param {string} order @param {string} prefix @returns {(size: number) => string} */
const byTime = (name, order, prefix) => (size) => {
  const { padded, time } = orderValues(size / 2);
  return cursor(name, order, [time, `${prefix}_${padded}`]);
};

/** @type {readonly List[]} */
const lists = [
  {
    title: 'namespaces',
    read: (asked) => namespaces.list(asked, everywhere),
    middle: () => cursor('namespaces', 'path ASC', [`root.t${tenants / 2}.`]),
  },
  {
    title: 'actors',
    read: (asked) => actors.list(asked, systemRequester),
    middle: byTime('actors', 'created_at ASC', 'act'),
    labels: { 'label, 1 %': 'plan=p42', 'label, 100 rows': 'rare=yes' },
  },
  { title: 'audit events', read: (asked) => audit.list(asked, everywhere), middle: byTime('audit_events', 'created_at DESC', 'aud') },
  { title: 'tasks', read: (asked) => tasks.list(asked, everywhere), middle: byTime('tasks', 'created_at DESC', 'tsk') },
  { title: 'sessions', read: (asked) => sessions.list(asked, systemRequester), middle: byTime('sessions', 'created_at DESC', 'sess') },
];

/** @param {List} list @param {number} size @returns {readonly { title: string, asked: Asked }[]} */
function pagesOf({ middle, labels = {} }, size) {
  const pages = [
    { title: 'first page', asked: { limit: page } },
    { title: 'page in the middle', asked: { limit: page, cursor: middle(size) } },
    { title: 'subtree, 1 %', asked: { limit: page, filter: { namespace: 'root.t42.**' } } },
    { title: `subtree, ${smallRows} rows`, asked: { limit: page, filter: { namespace: 'root.small.**' } } },
    ...Object.entries(labels).map(([title, selector]) => ({ title, asked: { limit: page, filter: { label_selector: selector } } })),
  ];
  // Where a hundredth is less than a page, it would be compared with a whole one.
  return pages.filter(({ title }) => !title.endsWith('1 %') || size >= page * tenants);
}

/** Nanoseconds for one page, the fastest of many: whatever else runs on the machine only makes it slower. @param {() => Promise<unknown>} read */
async function measure(read) {
  const begin = process.hrtime.bigint();
  let fastest = Number.POSITIVE_INFINITY;
  // A page that takes long is not asked for as often.
  for (let done = 0; done < least || (done < most && process.hrtime.bigint() - begin < patience); done++) {
    const before = process.hrtime.bigint();
    await read();
    fastest = Math.min(fastest, Number(process.hrtime.bigint() - before));
  }
  return fastest;
}

const sizes = [1000, 10_000, 100_000, 200_000, 1_000_000].filter((size) => size <= rows && (size !== 200_000 || rows < 1_000_000));
if (sizes.at(-1) !== rows) sizes.push(rows);
/** @type {Map<string, { title: string, nanoseconds: Record<string, number> }>} */
const found = new Map();
let filled = 0;
for (const size of sizes) {
  await addRows(database, filled, size);
  filled = size;
  for (const list of lists) {
    for (const { title: which, asked } of pagesOf(list, size)) {
      const { items } = await list.read(asked);
      const title = `${list.title}: ${which}`;
      if (items.length !== page) throw new Error(`${title}, ${size}: ${items.length} rows instead of ${page}`);
      const one = found.get(title) ?? { title, nanoseconds: {} };
      one.nanoseconds[size] = await measure(() => list.read(asked));
      found.set(title, one);
    }
  }
}
await database.close();
console.log(JSON.stringify([...found.values()]));
