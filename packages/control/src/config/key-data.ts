import { configValues, type ValueContext } from '@sallyport/gateway';
import { z } from 'zod';
import type { ProviderType } from '../keys/provider.js';
import { type ProviderConfig, parseProviderConfig } from '../keys/provider-config.js';
import { accepted, withoutUndefined } from './accepted.js';

const { path, readableFile, secretValue, text, value } = configValues;

type EveryMember<Config> = Config extends unknown ? keyof Config : never;
/** `random` is another key after each start, and nothing could be read any more. */
type Member = Exclude<EveryMember<Exclude<ProviderConfig, { readonly type: 'random' }>>, 'type'>;

/** Where the material of a key of the installation is. What is secret in it comes out only through `reveal`. */
export interface KeyData {
  readonly type: ProviderType;
  /** What `openProvider` takes. Keep the result out of any object that outlives the statement. */
  reveal(): ProviderConfig;
}

/** The data of a key that the configuration names: one of the forms that keys have, with its variables and files looked up where they are secret. */
export function keyDataSchema(context: ValueContext) {
  const members = {
    value: material(context, (plain) => Buffer.byteLength(plain)).describe('The key as it is: 16 bytes at least, 32 random ones are best.'),
    base64: material(context, (plain) => Buffer.from(plain, 'base64').length).describe('The key in base64.'),
    env_var: variable(context).describe('The environment variable that holds the key.'),
    env_var_base64: variable(context).describe('The environment variable that holds the key in base64.'),
    path: readableFile(context).optional().describe('The file that holds the key.'),
    vault_address: text('a URL').optional().describe('Where Vault or OpenBao is.'),
    vault_token: secret(context, 'the token').describe('The token for it.'),
    vault_namespace: text('a namespace').optional().describe('Its namespace.'),
    vault_path: text('a path').optional().describe('The secret in its KV engine, version 2.'),
    vault_mount_path: text('a mount').optional().describe('Where that engine is mounted; `secret` when left out.'),
    vault_key: text('a name').optional().describe('The field of that secret; `value` when left out.'),
    vault_transit_key_name: text('a name').optional().describe('The key of its Transit engine.'),
    vault_transit_mount_path: text('a mount').optional().describe('Where that engine is mounted; `transit` when left out.'),
    aws_region: text('a region').optional().describe('The region of AWS, where no ARN says it.'),
    aws_credentials: awsCredentials(context).optional().describe('How to get into AWS; as the machine does when left out.'),
    aws_secret_id: text('an id').optional().describe('The secret in AWS Secrets Manager.'),
    aws_secret_key: text('a name').optional().describe('The field of that secret, where it is JSON.'),
    aws_secrets_manager_endpoint: text('a URL').optional().describe('Where AWS Secrets Manager is, in place of the usual.'),
    aws_kms_key_id: text('an id').optional().describe('The key in AWS KMS: an id, an ARN or an alias.'),
    aws_kms_endpoint: text('a URL').optional().describe('Where AWS KMS is, in place of the usual.'),
    gcp_project: text('a project').optional().describe('The project in Google Cloud.'),
    gcp_credentials_file: path(context).optional().describe('File with a service account; as the machine does when left out.'),
    gcp_credentials_json: secret(context, 'the service account').describe('The service account itself.'),
    gcp_secret_name: text('a name').optional().describe('The secret in its Secret Manager.'),
    gcp_secret_version: text('a version').optional().describe('The version of that secret; `latest` when left out.'),
    gcp_secret_manager_endpoint: text('a URL').optional().describe('Where Secret Manager is, in place of the usual.'),
    gcp_kms_key_name: text('a name').optional().describe('The key in its KMS, by its whole resource name.'),
    gcp_location: text('a location').optional().describe('The location of that key.'),
    gcp_key_ring: text('a name').optional().describe('The key ring of that key.'),
    gcp_crypto_key: text('a name').optional().describe('The name of that key.'),
    gcp_kms_endpoint: text('a URL').optional().describe('Where KMS is, in place of the usual.'),
    cache_ttl: text('a duration').optional().describe('How long an answer of Vault, AWS or Google Cloud is used again; not at all when left out.'),
  } satisfies Record<Member, z.ZodType>;
  return z.strictObject(members).transform((written, issues): KeyData => {
    const { value: plain, base64, vault_token, gcp_credentials_json, aws_credentials, ...rest } = written;
    const secrets = { value: plain, base64, vault_token, gcp_credentials_json };
    const revealed = Object.fromEntries(Object.entries(secrets).map(([key, one]) => [key, one?.reveal()]));
    const config = accepted(() => parseProviderConfig(withoutUndefined({ ...rest, ...revealed, aws_credentials: aws_credentials?.() })), issues);
    return { type: config?.type ?? 'value', reveal: () => config as ProviderConfig };
  });
}

function material(context: ValueContext, bytesOf: (plain: string) => number) {
  return secretValue(context, 'the key', (plain) => {
    const bytes = bytesOf(plain);
    return bytes >= 16 && bytes <= 4_096 ? null : `the key has ${bytes} bytes; between 16 and 4096 are needed, 32 random ones are best`;
  }).optional();
}

function secret(context: ValueContext, what: string) {
  return secretValue(context, what, (plain) => (plain === '' ? `${what} is empty` : null)).optional();
}

function variable(context: ValueContext) {
  return text('the name of an environment variable')
    .refine((name) => context.variable(name) !== undefined, 'this environment variable is not set')
    .optional();
}

function awsCredentials(context: ValueContext) {
  return z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('implicit').describe('As the machine gets in.') }),
      z.strictObject({
        type: z.literal('access_key').describe('An access key.'),
        access_key_id: value(context, 'an access key id').describe('Its id.'),
        secret_access_key: secretValue(context, 'the access key', (plain) => (plain === '' ? 'the access key is empty' : null)).describe(
          'Its secret.',
        ),
        session_token: secret(context, 'the session token').describe('The token of a session.'),
      }),
    ])
    .transform((written) => () => {
      if (written.type === 'implicit') return { type: written.type };
      const { type, access_key_id, secret_access_key, session_token } = written;
      return withoutUndefined({ type, access_key_id, secret_access_key: secret_access_key.reveal(), session_token: session_token?.reveal() });
    });
}
