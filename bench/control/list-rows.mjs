import { sql } from 'kysely';

/** The time of the row 0; each row is a millisecond younger than the one before. */
const firstTime = 1_760_000_000_000;
/** How many tenants the rows are spread over. */
export const tenants = 100;
/** How many rows lie in `root.small`, whatever the size: the oldest hundred of every ten. */
export const smallRows = 100;
/** Rows of one statement. */
const rowsAtOnce = 20_000;

/** @param {'sqlite' | 'postgres'} dialect how a row names itself, and what it is counted by */
function words(dialect) {
  const padded = dialect === 'sqlite' ? "printf('%08d', i)" : "lpad(i::text, 8, '0')";
  const tenant = dialect === 'sqlite' ? `printf('%02d', i % ${tenants})` : `lpad((i % ${tenants})::text, 2, '0')`;
  const isSmall = `i < ${smallRows * 10} and i % 10 = 0`;
  return { padded, tenant, isSmall, namespace: `case when ${isSmall} then 'root.small' else 'root.t' || ${tenant} end`, time: `${firstTime} + i` };
}

/**
 * The statements that add rows to all tables, as long as `numbers` lists them by the name i.
 * @param {'sqlite' | 'postgres'} dialect
 * @returns {readonly (readonly [into: string, select: string])[]}
 */
function inserts(dialect) {
  const { padded, tenant, isSmall, namespace, time } = words(dialect);
  return [
    [
      `namespaces (id, path, path_key, parent_path, name, state, version, created_at, updated_at, deleted_at)`,
      `select 'ns_' || ${padded}, ${namespace} || '.n' || ${padded}, ${namespace} || '.n' || ${padded} || '.', ${namespace}, 'n' || ${padded}, 'active', 1, ${time}, ${time}, null from numbers`,
    ],
    [
      `actors (id, namespace, external_id, permissions, source, token_generation, version, created_at, updated_at, deleted_at)`,
      `select 'act_' || ${padded}, ${namespace}, 'service-' || ${padded}, '[]', 'api', 0, 1, ${time}, ${time}, null from numbers`,
    ],
    [
      `resource_labels (resource_type, resource_id, key, value, system)`,
      `select 'act', 'act_' || ${padded}, 'plan', 'p' || ${tenant}, 0 from numbers`,
    ],
    [
      `resource_labels (resource_type, resource_id, key, value, system)`,
      `select 'act', 'act_' || ${padded}, 'rare', 'yes', 0 from numbers where ${isSmall}`,
    ],
    [
      `audit_events (id, created_at, actor_id, action, resource_type, resource_id, namespace, request_id, before, after)`,
      `select 'aud_' || ${padded}, ${time}, 'act_' || ${tenant}, 'actors.update', 'actors', 'act_' || ${padded}, ${namespace}, null, null, '{"labels":{"plan":"p1"}}' from numbers`,
    ],
    [
      `tasks (id, name, namespace, state, payload, fence, attempts, max_attempts, created_by, created_at, updated_at, finished_at, purge_after)`,
      `select 'tsk_' || ${padded}, 'keys.sync', ${namespace}, 'succeeded', '{}', 1, 1, 5, 'system', ${time}, ${time}, ${time}, ${time} from numbers`,
    ],
    [
      `sessions (id, digest, service, actor_id, namespace, permissions, signed_in_by, address, user_agent, created_at, seen_at, ends_at, expires_at)`,
      `select 'sess_' || ${padded}, 'digest-' || ${padded}, 'admin-api', 'act_' || ${tenant}, ${namespace}, null, 'token', null, null, ${time}, ${time}, 9000000000000, 9000000000000 from numbers`,
    ],
  ];
}

/**
 * Adds the rows from one number up to another to all tables.
 * @param {import('../../packages/control/dist/database/open-database.js').Database} database
 * @param {number} from
 * @param {number} to not itself
 */
export async function addRows({ db, dialect }, from, to) {
  for (let first = from; first < to; first += rowsAtOnce) {
    const last = Math.min(first + rowsAtOnce, to) - 1;
    const numbers =
      dialect === 'sqlite'
        ? `numbers (i) as (select ${first} union all select i + 1 from numbers where i < ${last})`
        : `numbers (i) as (select i from generate_series(${first}, ${last}) as i)`;
    for (const [into, select] of inserts(dialect)) {
      await sql.raw(`insert into ${into} with ${dialect === 'sqlite' ? 'recursive ' : ''}${numbers} ${select}`).execute(db);
    }
  }
  // What autovacuum does by itself within the minute.
  if (dialect === 'postgres') await sql.raw('vacuum analyze').execute(db);
}

/** The values of the row with this number in the columns that lists are ordered by. @param {number} i */
export function orderValues(i) {
  const padded = String(i).padStart(8, '0');
  return { padded, time: firstTime + i };
}
