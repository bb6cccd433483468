import { openTokenStore, type SecretOrigin, type TokenStoreDescription } from '@sallyport/credentials';
import { SallyportError, Secret } from '@sallyport/sdk';
import { z } from 'zod';
import { duration, name, path, readableFile, text, type ValueContext, value } from './values.js';

/** The token stores by name: where refresh tokens are kept. */
export function tokenStoresSchema(context: ValueContext) {
  return z.record(name, storeSchema(context)).prefault({}).describe('Where refresh tokens are kept, by name.');
}

function storeSchema(context: ValueContext) {
  return z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('file').describe('One token in a file.'),
      path: path(context).describe('Path of the file; made when the first token is stored.'),
    }),
    z.strictObject({
      type: z.literal('directory').describe('A file for each key.'),
      path: path(context).describe('Path of the directory; only its owner may have access.'),
    }),
    vaultSchema(context),
    azureKeyVaultSchema(context),
    controlPlaneSchema(context),
  ]);
}

function vaultSchema(context: ValueContext) {
  const auth = z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('token').describe('A token as it is.'),
      token: secretOrigin(context, 'a token').describe('The token; a file is read again when Vault refuses it.'),
    }),
    z.strictObject({
      type: z.literal('approle').describe('A login with role and secret id.'),
      role_id: value(context, 'a role id').describe('The role id.'),
      secret_id: secretOrigin(context, 'a secret id').describe('The secret id; a file is read for every login.'),
      mount: text('a mount').optional().describe('Where the auth method is mounted; `approle` when left out.'),
    }),
    z.strictObject({
      type: z.literal('kubernetes').describe('A login with the service account of the pod.'),
      role: text('a role').describe('The role.'),
      jwt_file: path(context).optional().describe('File with the service account token; where Kubernetes puts it when left out.'),
      mount: text('a mount').optional().describe('Where the auth method is mounted; `kubernetes` when left out.'),
    }),
  ]);
  return z
    .strictObject({
      type: z.literal('vault').describe('HashiCorp Vault or OpenBao, KV version 2.'),
      address: text('an https:// URL').describe('Where Vault is; `http://` only for loopback addresses.'),
      auth: auth.describe('How the gateway gets in.'),
      mount: text('a mount').optional().describe('Where the KV engine is mounted; `secret` when left out.'),
      path: text('a path').optional().describe('Path below the mount with `{key}` in it; `tenants/{key}` when left out.'),
      namespace: text('a namespace').optional().describe('Namespace, of Vault Enterprise, HCP or OpenBao.'),
      ...networkKeys(context),
    })
    .transform(({ auth: written, ca, timeout, ...rest }, issues): TokenStoreDescription => {
      const login =
        written.type === 'token'
          ? { method: written.type, token: written.token }
          : written.type === 'approle'
            ? { method: written.type, roleId: written.role_id, secretId: written.secret_id, ...defined({ mount: written.mount }) }
            : { method: written.type, role: written.role, ...defined({ jwtFile: written.jwt_file, mount: written.mount }) };
      const { type, address } = rest;
      const others = defined({ mount: rest.mount, path: rest.path, namespace: rest.namespace, caFile: ca, timeoutMs: timeout });
      return opened({ type, address, auth: login, ...others }, issues);
    });
}

function azureKeyVaultSchema(context: ValueContext) {
  const principal = {
    tenant_id: value(context, 'a tenant id').describe('Id of the tenant.'),
    client_id: value(context, 'a client id').describe('Id of the application.'),
    authority: text('an https:// URL').optional().describe('Where tokens come from; `https://login.microsoftonline.com` when left out.'),
  };
  const identity = z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('managed_identity').describe('The identity of the machine.'),
      client_id: value(context, 'a client id').optional().describe('Id of a user-assigned identity; the one of the machine when left out.'),
    }),
    z.strictObject({
      type: z.literal('workload_identity').describe('A federated token, as in Kubernetes.'),
      ...principal,
      token_file: path(context).describe('File with the federated token; read for every login.'),
    }),
    z.strictObject({
      type: z.literal('client_secret').describe('An application with a secret.'),
      ...principal,
      client_secret: secretOrigin(context, 'a client secret').describe('Its secret; a file is read for every login.'),
    }),
  ]);
  return z
    .strictObject({
      type: z.literal('azure_key_vault').describe('Azure Key Vault, a secret for each key.'),
      vault_url: text('an https:// URL').describe('`https://NAME.vault.azure.net`.'),
      identity: identity.prefault({ type: 'managed_identity' }).describe('Who the gateway is there.'),
      prefix: text('a prefix').optional().describe('Begins the name of every secret; `chaperone-rt-` when left out.'),
      resource: text('a resource').optional().describe('What tokens are asked for; made from `vault_url` when left out.'),
      settle: duration(60_000).optional().describe('How long a write rests before it counts, where several processes write; `1s` when left out.'),
      ...networkKeys(context),
    })
    .transform(({ type, vault_url: vaultUrl, identity: written, settle, ca, timeout, prefix, resource }, issues): TokenStoreDescription => {
      const who =
        written.type === 'managed_identity'
          ? { method: written.type, ...defined({ clientId: written.client_id }) }
          : written.type === 'workload_identity'
            ? { method: written.type, ...principalOf(written), tokenFile: written.token_file }
            : { method: written.type, ...principalOf(written), clientSecret: written.client_secret };
      const others = defined({ prefix, resource, settleMs: settle, caFile: ca, timeoutMs: timeout });
      return opened({ type, vaultUrl, identity: who, ...others }, issues);
    });
}

function controlPlaneSchema(context: ValueContext) {
  return z
    .strictObject({
      type: z.literal('control_plane').describe('An HTTP service that keeps the contract of docs/token-stores.md.'),
      base_url: text('an https:// URL').describe('Everything before `/tokens/KEY`; `http://` only for loopback addresses.'),
      token: secretOrigin(context, 'a token').describe('Sent as a bearer token; a file is read for every request.'),
      ...networkKeys(context),
    })
    .transform(
      ({ type, base_url: baseUrl, token, ca, timeout }, issues): TokenStoreDescription =>
        opened({ type, baseUrl, token, ...defined({ caFile: ca, timeoutMs: timeout }) }, issues),
    );
}

function networkKeys(context: ValueContext) {
  return {
    ca: readableFile(context).optional().describe('PEM file of the authorities that are trusted instead of the usual ones.'),
    timeout: duration(60_000).optional().describe('How long one request may take; `3s` when left out.'),
  };
}

function principalOf({ tenant_id, client_id, authority }: { tenant_id: string; client_id: string; authority?: string | undefined }) {
  return { tenantId: tenant_id, clientId: client_id, ...defined({ authority }) };
}

/** As `secretValue`, but a file stays a file: it is read whenever the secret is needed, so that whoever rotates it only writes the file. */
function secretOrigin(context: ValueContext, what: string) {
  const reference = z
    .strictObject({
      env: text('the name of an environment variable').optional().describe('Name of the environment variable that holds it.'),
      file: path(context).optional().describe('File that holds it.'),
    })
    .meta({ oneOf: [{ required: ['env'] }, { required: ['file'] }] });
  return z
    .union([z.string(), reference], { error: `expected ${what}: a text, {env: NAME} or {file: path}` })
    .meta({ writeOnly: true })
    .transform((written, issues): SecretOrigin => {
      const { env, file } = typeof written === 'string' ? { env: undefined, file: undefined } : written;
      if (file !== undefined && env === undefined) return { file };
      const plain = typeof written === 'string' ? written : env === undefined || file !== undefined ? null : (context.variable(env) ?? null);
      if (plain === null) {
        const message = env === undefined || file !== undefined ? 'expected exactly one of env and file' : 'the environment variable is not set';
        issues.addIssue({ code: 'custom', message });
      } else if (plain.trim() === '') issues.addIssue({ code: 'custom', message: `${what} is empty` });
      return new Secret(plain ?? '');
    });
}

interface Issues {
  addIssue(issue: { code: 'custom'; path: PropertyKey[]; message: string }): void;
}

/** The description, once a store has been made of it: what the store itself refuses is reported at the option that it names. */
function opened(description: TokenStoreDescription, issues: Issues): TokenStoreDescription {
  try {
    openTokenStore(description);
  } catch (cause) {
    if (!(cause instanceof SallyportError)) throw cause;
    const [, option = '', message = cause.message] = /^([a-z_.]+): (.*)$/s.exec(cause.message) ?? [];
    issues.addIssue({ code: 'custom', path: option === '' ? [] : option.split('.'), message });
  }
  return description;
}

/** The same without what is undefined. */
export function defined<T extends object>(given: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, one]) => one !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
