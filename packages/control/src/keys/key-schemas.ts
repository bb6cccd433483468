import { z } from 'zod';
import { labelMap } from '../labels/label-routes.js';
import type { LabelSet } from '../labels/label-service.js';
import { timeSchema, timeText } from '../server/list-schemas.js';
import { secretText } from '../server/redaction.js';
import type { KeyRow, KeyVersionRow, ReencryptionProgressTable } from './key-tables.js';

/** The name of a key, which is a label of it too. */
export const keyName = z
  .string()
  .regex(
    /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
    'must be 1 to 63 letters, digits, `.`, `_` and `-`, with a letter or a digit at both ends',
  );

/**
 * Where the material is. The provider is told by the members that are there, and which go together is checked when it is opened; here stand the ones
 * that are secret.
 */
export const keyData = z
  .looseObject({
    value: secretText().optional(),
    base64: secretText().optional(),
    vault_token: secretText().optional(),
    gcp_credentials_json: secretText().optional(),
    aws_credentials: z.looseObject({ secret_access_key: secretText().optional(), session_token: secretText().optional() }).optional(),
  })
  .describe('The members of exactly one provider: what is there says which it is.');

/** A key. */
export const keySchema = z
  .object({
    id: z.string(),
    namespace: z.string(),
    name: z.string().nullable(),
    state: z.enum(['active', 'disabled']).describe('A disabled key encrypts nothing new; what it encrypted can be read.'),
    provider: z.string(),
    key_data: keyData.optional().describe('Only of a single key, and never of the global one.'),
    key_data_error: z.string().optional().describe('Why `key_data` cannot be shown now, as the code of an error.'),
    labels: labelMap,
    annotations: labelMap,
    created_at: timeSchema,
    updated_at: timeSchema,
  })
  .meta({ id: 'EncryptionKey', description: 'A key that wraps the data keys of a namespace and of what is below it.' });

/** A key without its data. */
export function shownKey({ id, namespace, name, state, provider, created_at, updated_at }: KeyRow, carried: LabelSet | undefined) {
  const { labels = {}, annotations = {} } = carried ?? {};
  return { id, namespace, name, state, provider, labels, annotations, created_at: timeText(created_at), updated_at: timeText(updated_at) };
}

/** A version of a key. */
export const keyVersionSchema = z
  .object({
    id: z.string(),
    state: z.enum(['active', 'retiring', 'retired']).describe('`retiring` has ciphertexts still; `retired` has none.'),
    messages: z.int().describe('How many have been encrypted with it, or are reserved by a process.'),
    destroyed: z.boolean().describe('Its material is gone: nothing it encrypted can be read.'),
    created_at: timeSchema,
    updated_at: timeSchema,
  })
  .meta({ id: 'EncryptionKeyVersion', description: 'A data key of a key, which encrypts.' });

/** A version without its material. */
export function shownVersion({ id, state, messages, wrapped, created_at, updated_at }: KeyVersionRow): z.input<typeof keyVersionSchema> {
  return { id, state, messages, destroyed: wrapped === null, created_at: timeText(created_at), updated_at: timeText(updated_at) };
}

/** How far one column is. */
export const reencryptionSchema = z
  .object({
    table: z.string(),
    column: z.string(),
    state: z.enum(['running', 'complete']),
    scanned: z.int(),
    changed: z.int(),
    failed: z.int(),
    first_failure: z.string().nullable().describe('The id of the first row that could not be re-encrypted, and the code of the error.'),
    started_at: timeSchema,
    updated_at: timeSchema,
  })
  .meta({ id: 'Reencryption', description: 'How far the re-encryption of one column is, or how its last run went.' });

/** The progress of one column. */
export function shownReencryption(row: Readonly<ReencryptionProgressTable>): z.input<typeof reencryptionSchema> {
  const { table_name: table, column_name: column, run: _run, after_id: _after, started_at, updated_at, ...rest } = row;
  return { table, column, ...rest, started_at: timeText(started_at), updated_at: timeText(updated_at) };
}
