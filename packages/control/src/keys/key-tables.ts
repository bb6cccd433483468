import type { Kysely } from 'kysely';
import type { Queryable, Schema } from '../database/schema.js';
import type { ProviderType } from './provider.js';

/** A key: where the material is that wraps its versions. */
interface EncryptionKeysTable {
  id: string;
  namespace: string;
  name: string | null;
  state: 'active' | 'disabled';
  provider: ProviderType;
  /** An envelope; null for the global key, whose provider is configured and never stored, and for a key that was destroyed. */
  key_data: string | null;
  version: number;
  created_at: number;
  updated_at: number;
  deleted_at: number | null;
}

/** A version of a key: one data key. `active` encrypts, `retiring` still has ciphertexts, `retired` has none. */
interface EncryptionKeyVersionsTable {
  id: string;
  key_id: string;
  ordinal: number;
  state: 'active' | 'retiring' | 'retired';
  /** Null once the material has been destroyed. */
  wrapped: string | null;
  /** How many messages have been encrypted with it or are reserved by a process. */
  messages: number;
  created_at: number;
  updated_at: number;
}

interface NamespaceEncryptionKeysTable {
  namespace: string;
  key_id: string;
  updated_at: number;
}

/** How far the re-encryption of one column has come. */
export interface ReencryptionProgressTable {
  table_name: string;
  column_name: string;
  run: number;
  state: 'running' | 'complete';
  after_id: string;
  scanned: number;
  changed: number;
  failed: number;
  first_failure: string | null;
  started_at: number;
  updated_at: number;
}

/** The tables of this domain. A type and not an interface, because only a type fits where Kysely wants any tables. */
export type KeysSchema = {
  encryption_keys: EncryptionKeysTable;
  encryption_key_versions: EncryptionKeyVersionsTable;
  namespace_encryption_keys: NamespaceEncryptionKeysTable;
  reencryption_progress: ReencryptionProgressTable;
};

export type KeyRow = Readonly<EncryptionKeysTable>;
export type KeyVersionRow = Readonly<EncryptionKeyVersionsTable>;

/** The same connection or transaction, with the tables of this domain instead of all others. */
export function keyTables(db: Queryable): Kysely<KeysSchema> {
  const all: Kysely<Schema> = db;
  return all.withTables<KeysSchema>();
}
