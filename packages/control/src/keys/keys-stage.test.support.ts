import { SallyportError, Secret } from '@sallyport/sdk';
import { sql } from 'kysely';
import { type AuditTrail, type ChangeContext, createAuditTrail } from '../audit/audit-trail.js';
import type { Database } from '../database/open-database.js';
import { createSealer } from '../database/sealer.js';
import { createNamespaces } from '../namespaces/namespaces.js';
import { createEncryptedColumns, type EncryptedColumn, type EncryptedColumns } from './encrypted-columns.js';
import { ensureGlobalKey } from './global-key.js';
import { createKeyRotation, type KeyRotation } from './key-rotation.js';
import { createKeyService, type KeyService } from './key-service.js';
import { versionsOf } from './key-store.js';
import type { KeyVersionRow } from './key-tables.js';
import { type Keyring, type KeyringOptions, openKeyring } from './keyring.js';
import { parseProviderConfig } from './provider-config.js';
import type { ProviderRule } from './provider-rules.js';
import { createReencryption, type Reencryption } from './reencryption.js';
import { createRetirement, type Retirement } from './retirement.js';

/** A column of a domain of its own: `things.secret`, bound to the hosts in `things.hosts`. */
const thingsColumn: EncryptedColumn = {
  table: 'things',
  column: 'secret',
  also: ['hosts'],
  hosts: ({ hosts }) => String(hosts).split(' '),
};

/** Everything of this domain over one database. */
export interface KeysStage {
  readonly keyring: Keyring;
  readonly service: KeyService;
  readonly columns: EncryptedColumns;
  readonly audit: AuditTrail;
  readonly reencryption: Reencryption;
  readonly retirement: Retirement;
  readonly rotation: KeyRotation;
  /** Writes a row with this secret; replaces the secret of one that is there. */
  write(id: string, namespace: string, secret: string): Promise<void>;
  /** The secret of a row. */
  read(id: string): Promise<string>;
  /** All versions of a key, the newest first. */
  versions(keyId: string): Promise<readonly KeyVersionRow[]>;
  /** Which version encrypted a row. */
  versionOf(id: string): Promise<string>;
}

export interface KeysStageOptions extends Partial<Pick<KeyringOptions, 'globalKey' | 'messageBlock' | 'messageLimit' | 'activeForMs' | 'now'>> {
  readonly env?: Readonly<Record<string, string>>;
  readonly rules?: readonly ProviderRule[];
  readonly pageSize?: number;
}

/** Who makes the changes of tests. */
export const tester: ChangeContext = { actorId: 'act_tester', requestId: 'req_1' };

/** Makes the table of things. */
export async function createThings(database: Database): Promise<void> {
  const text = database.dialect === 'postgres' ? sql.raw('text collate "C"') : sql.raw('text');
  await sql`create table things (id ${text} primary key, namespace ${text} not null, hosts ${text} not null, secret ${text})`.execute(database.db);
}

/** Opens the stage of one process on a database that has the table of things. */
export async function openKeysStage(database: Database, options: KeysStageOptions = {}): Promise<KeysStage> {
  const { env = {}, pageSize = 100, rules, ...rest } = options;
  const allowed = rules === undefined ? {} : { rules };
  const globalKey = { current: parseProviderConfig({ value: 'the material of the global key' }) };
  const keyring = openKeyring({ database, globalKey, env, ...allowed, ...rest });
  const columns = createEncryptedColumns();
  columns.registerEncryptedColumn(thingsColumn);
  const now = rest.now === undefined ? {} : { now: rest.now };
  const sealer = createSealer([new Secret('a key for tests, long enough')]);
  const audit = createAuditTrail({ database, sealer });
  const namespaces = createNamespaces({ database, sealer, audit });
  for (const path of ['root.a.b.c', 'root.ab', 'root.b', 'root.moved']) await namespaces.ensure(path, tester);
  const service = createKeyService({ database, keyring, columns, env, audit, namespaces, sealer, ...allowed, ...now });
  await ensureGlobalKey(database, keyring, rest.now);
  const { db } = database;

  async function row(id: string): Promise<{ namespace: string; secret: string }> {
    const { rows } = await sql<{ namespace: string; secret: string }>`select namespace, secret from things where id = ${id}`.execute(db);
    const [found] = rows;
    if (found === undefined) throw new Error(`There is no row ${id}.`);
    return found;
  }

  const place = (id: string, namespace: string) => ({ table: 'things', column: 'secret', row: id, namespace, hosts: ['api.example.com'] });
  return {
    ...{ keyring, service, columns, audit },
    reencryption: createReencryption({ database, keyring, columns, pageSize, ...now }),
    retirement: createRetirement({ database, columns, ...now }),
    rotation: createKeyRotation({ database, keyring, audit, ...now }),
    async write(id, namespace, secret) {
      const sealed = await keyring.encrypt(place(id, namespace), new Secret(secret));
      const values = sql`insert into things (id, namespace, hosts, secret) values (${id}, ${namespace}, 'api.example.com', ${sealed})`;
      await sql`${values} on conflict (id) do update set secret = ${sealed}`.execute(db);
    },
    async read(id) {
      const { namespace, secret } = await row(id);
      return (await keyring.decrypt(place(id, namespace), secret)).reveal();
    },
    versions: (keyId) => versionsOf(db, keyId),
    versionOf: async (id) => (await row(id)).secret.slice(7, 47),
  };
}

/** The code that something is refused with; `none` when it is done. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    return error.code;
  }
}
