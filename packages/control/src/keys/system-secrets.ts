import { randomBytes } from 'node:crypto';
import { Secret } from '@sallyport/sdk';
import { newId } from '../database/ids.js';
import type { Database } from '../database/open-database.js';
import { type Queryable, withTables } from '../database/schema.js';
import type { EncryptedColumn } from './encrypted-columns.js';
import { type CiphertextPlace, keyVersionOf } from './envelope.js';
import type { Keyring } from './keyring.js';

/** What a secret of the system is for: sealing cursors and stored outcomes, or signing the tokens that the system mints. */
export type SystemSecretPurpose = 'sealing' | 'signing';

/** A secret of the system: 32 random bytes as base64url. */
export interface SystemSecret {
  readonly id: string;
  readonly secret: Secret;
}

interface Tables {
  system_secrets: { id: string; namespace: string; purpose: string; secret: string; created_at: number };
}

/** Where these secrets are; they are encrypted with the global key. */
export const systemSecretsColumn: EncryptedColumn = { table: 'system_secrets', column: 'secret', keyNamespace: () => null };

/**
 * The secrets of this purpose, the newest first; the first is the one to use, the others open what is still around. One is made when there is none:
 * processes that start together get the same.
 */
export async function systemSecrets(
  database: Database,
  keyring: Keyring,
  purpose: SystemSecretPurpose,
): Promise<readonly [SystemSecret, ...SystemSecret[]]> {
  const [first, ...others] = await stored(database.db, purpose);
  if (first !== undefined) return [await opened(keyring, first), ...(await Promise.all(others.map((row) => opened(keyring, row))))];
  await makeFirst(database, keyring, purpose);
  return systemSecrets(database, keyring, purpose);
}

/** Makes the first secret of a purpose. Of processes that do so at the same time one makes it. */
async function makeFirst(database: Database, keyring: Keyring, purpose: SystemSecretPurpose): Promise<void> {
  const id = newId('ssec');
  const secret = await keyring.encrypt(placeOf(id), new Secret(randomBytes(32).toString('base64url')), null);
  await database.transaction(async (trx) => {
    if ((await stored(trx, purpose)).length > 0) return;
    await keyring.requireUsable(trx, keyVersionOf(secret));
    await tables(trx).insertInto('system_secrets').values({ id, namespace: 'root', purpose, secret, created_at: Date.now() }).execute();
  });
}

function tables(db: Queryable) {
  return withTables<Tables>(db);
}

function stored(db: Queryable, purpose: SystemSecretPurpose) {
  return tables(db)
    .selectFrom('system_secrets')
    .selectAll()
    .where('purpose', '=', purpose)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .execute();
}

async function opened(keyring: Keyring, { id, secret }: Tables['system_secrets']): Promise<SystemSecret> {
  return { id, secret: await keyring.decrypt(placeOf(id), secret) };
}

function placeOf(id: string): CiphertextPlace {
  return { table: systemSecretsColumn.table, column: systemSecretsColumn.column, row: id, namespace: 'root' };
}
