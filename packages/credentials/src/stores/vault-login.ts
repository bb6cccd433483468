import { Secret } from '@sallyport/sdk';
import { Credential } from '../credential.js';
import { isObject, parseObject } from '../json-object.js';
import type { Material } from '../material.js';
import { plainMaterial } from '../material.js';
import type { Source } from '../source.js';
import type { HttpClient } from './http-client.js';
import { optionInvalid, storeFailed } from './http-failure.js';
import { checkSecret, readSecret, type SecretOrigin } from './http-secret.js';
import { vaultPath } from './vault-path.js';
import { vaultRefusal } from './vault-refusal.js';

/** How to get in. What is known as a file is read anew for every login, and whenever Vault refuses the token. */
export type VaultAuth =
  | { readonly method: 'token'; readonly token: SecretOrigin }
  | { readonly method: 'approle'; readonly roleId: string; readonly secretId: SecretOrigin; readonly mount?: string }
  | { readonly method: 'kubernetes'; readonly role: string; readonly jwtFile?: string; readonly mount?: string };

/** What a login needs to know about the server. */
export interface VaultLoginOptions {
  readonly name: string;
  /** Without a slash at the end. */
  readonly address: string;
  readonly auth: VaultAuth;
  readonly headers: Readonly<Record<string, string>>;
  readonly client: HttpClient;
}

/** Hands out the token that Vault is asked with. */
export interface VaultLogin {
  /** A valid token, from a login if need be, which all callers share. */
  token(signal: AbortSignal): Promise<Material>;
  /** Vault refused this token: the next one comes from a new login. */
  refused(token: Material): void;
}

interface Issued {
  readonly token: Secret;
  readonly renewable: boolean;
  /** Seconds; 0 for a token that does not end. */
  readonly lifetime: number;
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * A login that is repeated when it has to be. A token from a login is renewed (`renew-self`) at three quarters of its life; when Vault will not
 * renew it, or renews it by less than half because its maximum is near, there is a new login. A token that was given is used as it is.
 */
export function vaultLogin(options: VaultLoginOptions): VaultLogin {
  const { auth, name } = options;
  let issued: Issued | null = null;
  let fullLifetime = 0;

  async function issue(signal: AbortSignal): Promise<Issued> {
    if (auth.method === 'token') return { token: await readSecret(auth.token, signal), renewable: false, lifetime: 0 };
    if (issued?.renewable) {
      const renewed = await renew(options, issued.token, signal);
      if (renewed !== null && renewed.lifetime >= fullLifetime / 2) return renewed;
    }
    const fresh = await logIn(options, auth, signal);
    fullLifetime = fresh.lifetime;
    return fresh;
  }

  checkAuth(auth);
  const source: Source = {
    type: 'vault',
    description: name,
    async fetch(signal) {
      issued = await issue(signal);
      const material = plainMaterial(issued.token.reveal().trim(), issued.lifetime === 0 ? null : Date.now() + issued.lifetime * 1000);
      if (material !== null) return material;
      throw storeFailed(`The token for ${name} is empty.`, { retryable: false, hint: 'Write the token into its file.' });
    },
  };
  const credential = new Credential({ name: 'of the token store', source });
  return {
    token: (signal) => credential.resolve(signal),
    refused(token) {
      if (issued?.token.reveal().trim() === token.secret.reveal()) issued = null;
      credential.invalidate(token);
    },
  };
}

function checkAuth(auth: VaultAuth): void {
  if (auth.method !== 'token') loginPath(auth);
  if (auth.method === 'token') checkSecret('auth.token', auth.token);
  if (auth.method === 'approle') checkSecret('auth.secret_id', auth.secretId);
  if (auth.method === 'approle' && auth.roleId === '')
    throw optionInvalid('auth.role_id', 'is empty', 'Read it from auth/approle/role/NAME/role-id.');
  if (auth.method === 'kubernetes' && auth.role === '') throw optionInvalid('auth.role', 'is empty', 'Name a role of the Kubernetes login.');
}

function loginPath({ method, mount = method }: Exclude<VaultAuth, { method: 'token' }>): string {
  return vaultPath('auth.mount', mount);
}

async function logIn(options: VaultLoginOptions, auth: Exclude<VaultAuth, { method: 'token' }>, signal: AbortSignal): Promise<Issued> {
  const { address, client, headers, name } = options;
  const url = `${address}/v1/auth/${loginPath(auth)}/login`;
  const fields =
    auth.method === 'approle'
      ? { role_id: auth.roleId, secret_id: (await readSecret(auth.secretId, signal)).reveal() }
      : { role: auth.role, jwt: (await readSecret({ file: auth.jwtFile ?? SERVICE_ACCOUNT }, signal)).reveal() };
  const answer = await client({ method: 'POST', url, headers, body: JSON.stringify(fields) }, signal);
  if (answer.status !== 200) throw vaultRefusal(`The ${auth.method} login of ${name}`, answer);
  const issued = issuedBy(answer.text);
  if (issued !== null) return issued;
  throw storeFailed(`The ${auth.method} login of ${name} answered without a token.`, { retryable: false, hint: 'Check the address of Vault.' });
}

/** Null when the token cannot be renewed any more, for whatever reason: a login is the answer to all of them. */
async function renew({ address, client, headers }: VaultLoginOptions, token: Secret, signal: AbortSignal): Promise<Issued | null> {
  const call = {
    method: 'POST',
    url: `${address}/v1/auth/token/renew-self`,
    headers: { ...headers, 'x-vault-token': token.reveal() },
    body: '{}',
  } as const;
  const answer = await client(call, signal);
  return answer.status === 200 ? issuedBy(answer.text) : null;
}

function issuedBy(text: string): Issued | null {
  const auth = parseObject(text)?.auth;
  if (!isObject(auth) || typeof auth.client_token !== 'string' || auth.client_token === '') return null;
  const { lease_duration: lifetime, renewable } = auth;
  return {
    token: new Secret(auth.client_token),
    renewable: renewable === true,
    lifetime: typeof lifetime === 'number' && lifetime > 0 ? lifetime : 0,
  };
}
