import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import { KEY_BYTES } from './aes-gcm.js';
import { awsRegion } from './aws-resource.js';
import { gcpKmsKeyName } from './gcp-resource.js';
import { parseServiceAccount } from './gcp-service-account.js';
import type { ProviderType } from './provider.js';
import { cacheMilliseconds } from './provider-cache.js';

const text = z.string().min(1).max(4096);
const pathLike = z
  .string()
  .max(512)
  .regex(/^[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)*$/)
  // `..` would climb to another secret than the one that was allowed.
  .refine((path) => path.split('/').every((segment) => !/^\.+$/.test(segment)));
const cacheTtl = z.string().refine((written) => cacheMilliseconds(written) !== null);
const awsAccess = {
  aws_region: z
    .string()
    .max(64)
    // Becomes a part of the host name that is called.
    .regex(/^[a-z]{2,}(?:-[a-z0-9]+)+$/)
    .optional(),
  aws_credentials: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('implicit') }),
      z.strictObject({ type: z.literal('access_key'), access_key_id: text, secret_access_key: text, session_token: text.optional() }),
    ])
    .optional(),
  cache_ttl: cacheTtl.optional(),
};
const gcpAccess = {
  gcp_credentials_file: text.optional(),
  gcp_credentials_json: z
    .string()
    .max(16_384)
    .refine((json) => parseServiceAccount(json) !== null)
    .optional(),
  cache_ttl: cacheTtl.optional(),
};
const gcpProject = z
  .string()
  .max(128)
  .regex(/^[a-z0-9][a-z0-9.:-]*$/);
const gcpName = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9_-]+$/);
const AWS_KMS_KEY =
  /^(?:(?:arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:)(?:key\/[A-Za-z0-9-]+|alias\/[A-Za-z0-9/_-]+)|[A-Za-z0-9-]+|alias\/[A-Za-z0-9/_-]+)$/;
const AWS_SECRET = /^(?:arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:)?[A-Za-z0-9/_+=.@-]+$/;
const GCP_KMS_KEY = /^projects\/[a-z0-9][a-z0-9.:-]*\/locations\/[a-z0-9-]+\/keyRings\/[A-Za-z0-9_-]+\/cryptoKeys\/[A-Za-z0-9_-]+$/;
const vaultAccess = { vault_address: text, vault_token: text, vault_namespace: pathLike.optional(), cache_ttl: cacheTtl.optional() };

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
  aws_secrets_manager: z
    .strictObject({
      ...awsAccess,
      aws_secret_id: z.string().max(2048).regex(AWS_SECRET),
      aws_secret_key: text.optional(),
      aws_secrets_manager_endpoint: text.optional(),
    })
    .refine((form) => awsRegion(form.aws_secret_id, form.aws_region) !== null, { path: ['aws_region'] }),
  aws_kms: z
    .strictObject({ ...awsAccess, aws_kms_key_id: z.string().max(2048).regex(AWS_KMS_KEY), aws_kms_endpoint: text.optional() })
    .refine((form) => awsRegion(form.aws_kms_key_id, form.aws_region) !== null, { path: ['aws_region'] }),
  gcp: z
    .strictObject({
      ...gcpAccess,
      gcp_project: gcpProject,
      gcp_secret_name: gcpName,
      gcp_secret_version: gcpName.default('latest'),
      gcp_secret_manager_endpoint: text.optional(),
    })
    .refine(oneGcpCredential, { path: ['gcp_credentials_json'] }),
  gcp_kms: z
    .strictObject({
      ...gcpAccess,
      gcp_kms_key_name: z.string().max(1024).regex(GCP_KMS_KEY).optional(),
      gcp_project: gcpProject.optional(),
      gcp_location: gcpName.optional(),
      gcp_key_ring: gcpName.optional(),
      gcp_crypto_key: gcpName.optional(),
      gcp_kms_endpoint: text.optional(),
    })
    .refine((form) => gcpKmsKeyName(form) !== null, { path: ['gcp_kms_key_name'] })
    .refine(oneGcpCredential, { path: ['gcp_credentials_json'] }),
} as const satisfies Record<ProviderType, z.ZodType>;

type Forms = typeof forms;

/** Where the material of a key is, by type. */
export type ProviderConfig = { [Type in ProviderType]: { readonly type: Type } & z.infer<Forms[Type]> }[ProviderType];

/** The members by which a form is recognised: it has at least one of them. */
const MARKS: Readonly<Record<ProviderType, readonly string[]>> = {
  value: ['value'],
  base64: ['base64'],
  random: ['random'],
  env_var: ['env_var'],
  env_var_base64: ['env_var_base64'],
  file: ['path'],
  hashicorpvault: ['vault_path'],
  hashicorpvault_transit: ['vault_transit_key_name'],
  aws_secrets_manager: ['aws_secret_id'],
  aws_kms: ['aws_kms_key_id'],
  gcp: ['gcp_secret_name'],
  gcp_kms: ['gcp_kms_key_name', 'gcp_crypto_key'],
};

/** The members that no answer may show, wherever they are. */
const SECRET_MEMBERS: readonly string[] = ['value', 'base64', 'vault_token', 'gcp_credentials_json', 'secret_access_key', 'session_token'];

/**
 * Reads the `key_data` of a key, which is recognised by the members that are there: exactly one form, no further members. Throws
 * `key_data_invalid`, which never repeats a value.
 */
export function parseProviderConfig(data: unknown): ProviderConfig {
  const present = typeof data === 'object' && data !== null ? Object.keys(data) : [];
  const types = (Object.keys(MARKS) as ProviderType[]).filter((type) => MARKS[type].some((mark) => present.includes(mark)));
  const [type] = types;
  if (type === undefined || types.length > 1) {
    throw invalid(`It has to hold exactly one of ${Object.values(MARKS).flat().join(', ')}; it holds ${types.length === 0 ? 'none' : 'several'}.`);
  }
  const parsed = forms[type].safeParse(data);
  if (parsed.success) return { type, ...parsed.data } as ProviderConfig;
  const [issue] = parsed.error.issues;
  const path = issue?.path ?? [];
  const member = issue?.code === 'unrecognized_keys' ? issue.keys.map((key) => [...path, key].join('.')).join(', ') : path.join('.');
  throw invalid(`The member ${member} ${issue?.code === 'unrecognized_keys' ? 'is not one of this form' : 'is missing or not valid'}.`);
}

/** The `key_data` as it may be shown: without the type, and with the secret members left out. */
export function publicKeyData(config: ProviderConfig): Readonly<Record<string, unknown>> {
  const { type: _type, ...members } = config;
  return withoutSecrets(members);
}

function withoutSecrets(members: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const shown = Object.entries(members).filter(([member, value]) => value !== undefined && !SECRET_MEMBERS.includes(member));
  return Object.fromEntries(shown.map(([member, value]) => [member, isRecord(value) ? withoutSecrets(value) : value]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function oneGcpCredential(form: { readonly gcp_credentials_file?: string | undefined; readonly gcp_credentials_json?: string | undefined }): boolean {
  return form.gcp_credentials_file === undefined || form.gcp_credentials_json === undefined;
}

function invalid(detail: string): SallyportError {
  return new SallyportError('key_data_invalid', { detail: `The key data is not valid. ${detail}` });
}
