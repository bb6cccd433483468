import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import { KEY_BYTES } from './aes-gcm.js';
import type { ProviderType } from './provider.js';

const text = z.string().min(1).max(4096);
const pathLike = z
  .string()
  .max(512)
  .regex(/^[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)*$/)
  // `..` would climb to another secret than the one that was allowed.
  .refine((path) => path.split('/').every((segment) => !/^\.+$/.test(segment)));
const vaultAccess = { vault_address: text, vault_token: text, vault_namespace: pathLike.optional() };

const forms = {
  value: z.strictObject({ value: text }),
  base64: z.strictObject({ base64: z.base64().min(1).max(8192) }),
  random: z.strictObject({ random: z.literal(true), num_bytes: z.int().min(16).max(64).default(KEY_BYTES) }),
  env_var: z.strictObject({ env_var: text }),
  env_var_base64: z.strictObject({ env_var_base64: text }),
  file: z.strictObject({ path: text }),
  hashicorpvault: z.strictObject({
    ...vaultAccess,
    vault_path: pathLike,
    vault_mount_path: pathLike.default('secret'),
    vault_key: text.default('value'),
  }),
  hashicorpvault_transit: z.strictObject({ ...vaultAccess, vault_transit_key_name: pathLike, vault_transit_mount_path: pathLike.default('transit') }),
} as const satisfies Record<ProviderType, z.ZodType>;

type Forms = typeof forms;

/** Where the material of a key is, by type. */
export type ProviderConfig = { [Type in ProviderType]: { readonly type: Type } & z.infer<Forms[Type]> }[ProviderType];

/** The member by which a form is recognised. */
const MARKS: Readonly<Record<ProviderType, string>> = {
  value: 'value',
  base64: 'base64',
  random: 'random',
  env_var: 'env_var',
  env_var_base64: 'env_var_base64',
  file: 'path',
  hashicorpvault: 'vault_path',
  hashicorpvault_transit: 'vault_transit_key_name',
};

/** The members that no answer may show. */
const SECRET_MEMBERS: readonly string[] = ['value', 'base64', 'vault_token'];

/**
 * Reads the `key_data` of a key, which is recognised by the members that are there: exactly one form, no further members. Throws
 * `key_data_invalid`, which never repeats a value.
 */
export function parseProviderConfig(data: unknown): ProviderConfig {
  const present = typeof data === 'object' && data !== null ? Object.keys(data) : [];
  const types = (Object.keys(MARKS) as ProviderType[]).filter((type) => present.includes(MARKS[type]));
  const [type] = types;
  if (type === undefined || types.length > 1) {
    throw invalid(`It has to hold exactly one of ${Object.values(MARKS).join(', ')}; it holds ${types.length === 0 ? 'none' : 'several'}.`);
  }
  const parsed = forms[type].safeParse(data);
  if (parsed.success) return { type, ...parsed.data } as ProviderConfig;
  const [issue] = parsed.error.issues;
  const member = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : issue?.path.join('.');
  throw invalid(`The member ${member} ${issue?.code === 'unrecognized_keys' ? 'is not one of this form' : 'is missing or not valid'}.`);
}

/** The `key_data` as it may be shown: without the type, and with the secret members left out. */
export function publicKeyData(config: ProviderConfig): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(config).filter(([member]) => member !== 'type' && !SECRET_MEMBERS.includes(member)));
}

function invalid(detail: string): SallyportError {
  return new SallyportError('key_data_invalid', { detail: `The key data is not valid. ${detail}` });
}
