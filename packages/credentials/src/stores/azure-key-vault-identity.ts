import type { SallyportError } from '@sallyport/sdk';
import { Secret } from '@sallyport/sdk';
import { parseObject } from '../json-object.js';
import type { Material } from '../material.js';
import type { Source } from '../source.js';
import { checkedUrl, type HttpAnswer, type HttpCall, type HttpClient } from './http-client.js';
import { optionInvalid, storeFailed } from './http-failure.js';
import { retryAfter } from './http-retry.js';
import { checkSecret, readSecret, type SecretOrigin } from './http-secret.js';

/** Who asks Entra ID for the token of the vault. */
export type AzureIdentity =
  | {
      readonly method: 'client_secret';
      readonly tenantId: string;
      readonly clientId: string;
      readonly clientSecret: SecretOrigin;
      /** `https://login.microsoftonline.com` when left out; other clouds have their own. */
      readonly authority?: string;
    }
  | {
      readonly method: 'workload_identity';
      readonly tenantId: string;
      readonly clientId: string;
      /** The projected service account token; read anew for every token. */
      readonly tokenFile: string;
      readonly authority?: string;
    }
  | {
      readonly method: 'managed_identity';
      /** Client id of a user-assigned identity; the one of the machine when left out. */
      readonly clientId?: string;
      /** Where the metadata service answers; the fixed address of Azure when left out. */
      readonly endpoint?: string;
    };

const AUTHORITY = 'https://login.microsoftonline.com';
const METADATA = 'http://169.254.169.254/metadata/identity/oauth2/token';
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/**
 * Tokens for one resource, such as `https://vault.azure.net`. A fetch rejects with `token_store_failed`. Throws `config_invalid` for what cannot
 * work.
 */
export function azureIdentitySource(identity: AzureIdentity, resource: string, client: HttpClient): Source {
  const ask = identity.method === 'managed_identity' ? metadataCall(identity, resource) : tokenEndpointCall(identity, resource);
  const name = identity.method === 'managed_identity' ? 'the metadata service of Azure' : 'Entra ID';
  return {
    type: identity.method,
    description: name,
    async fetch(signal) {
      const answer = await client(await ask(signal), signal);
      if (answer.status !== 200) throw refusal(name, answer);
      return materialOf(name, answer);
    },
  };
}

type Ask = (signal: AbortSignal) => Promise<HttpCall>;

function metadataCall(identity: Extract<AzureIdentity, { method: 'managed_identity' }>, resource: string): Ask {
  const endpoint = identity.endpoint === undefined || identity.endpoint === METADATA ? METADATA : checkedUrl('identity.endpoint', identity.endpoint);
  const query = new URLSearchParams({ 'api-version': '2018-02-01', resource });
  if (identity.clientId !== undefined) query.set('client_id', checkedId('identity.client_id', identity.clientId));
  return async () => ({ method: 'GET', url: `${endpoint}?${query.toString()}`, headers: { metadata: 'true' } });
}

function tokenEndpointCall(identity: Exclude<AzureIdentity, { method: 'managed_identity' }>, resource: string): Ask {
  const authority = checkedUrl('identity.authority', identity.authority ?? AUTHORITY);
  const url = `${authority}/${checkedId('identity.tenant_id', identity.tenantId)}/oauth2/v2.0/token`;
  const clientId = checkedId('identity.client_id', identity.clientId);
  if (identity.method === 'client_secret') checkSecret('identity.client_secret', identity.clientSecret);
  return async (signal) => {
    const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, scope: `${resource}/.default` });
    if (identity.method === 'client_secret') {
      form.set('client_secret', (await readSecret(identity.clientSecret, signal)).reveal());
    } else {
      form.set('client_assertion_type', ASSERTION_TYPE);
      form.set('client_assertion', (await readSecret({ file: identity.tokenFile }, signal)).reveal().trim());
    }
    return { method: 'POST', url, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: form.toString() };
  };
}

function checkedId(option: string, id: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9.-]{0,127}$/.test(id)) return id;
  throw optionInvalid(option, 'is neither an id nor a domain', 'Copy it from the overview page of the directory or the application.');
}

function materialOf(name: string, answer: HttpAnswer): Material {
  const body = parseObject(answer.text);
  // The metadata service writes numbers as texts.
  const seconds = Number(body?.expires_in ?? Number.NaN);
  if (typeof body?.access_token === 'string' && body.access_token !== '' && seconds > 0 && Number.isFinite(seconds)) {
    return { secret: new Secret(body.access_token), fields: new Map(), expiresAt: Date.now() + seconds * 1000 };
  }
  throw storeFailed(`The answer of ${name} has no access token.`, { retryable: false, hint: 'Check the authority or the endpoint of the identity.' });
}

function refusal(name: string, answer: HttpAnswer): SallyportError {
  const { status } = answer;
  const body = parseObject(answer.text);
  // Only words and numbers that cannot be a secret are quoted: the answer may hold anything.
  const word = typeof body?.error === 'string' && /^[a-z_]{1,40}$/.test(body.error) ? `${body.error}, ` : '';
  const numbers: readonly unknown[] = Array.isArray(body?.error_codes) ? body.error_codes : [];
  const number = numbers.find((one): one is number => typeof one === 'number' && Number.isSafeInteger(one));
  const reason = `${word}${number === undefined ? '' : `AADSTS${number}, `}${status}`;
  // The metadata service answers 404 and 410 while it is being brought up to date.
  const retryable = status === 429 || status >= 500 || (name !== 'Entra ID' && (status === 404 || status === 410));
  const hint = retryable
    ? 'Try again later.'
    : 'Check the tenant, the client id and its secret or federated credential, or that the machine has this managed identity.';
  return storeFailed(`A token for the key vault was refused by ${name} (${reason}).`, { retryable, hint, retryAfter: retryAfter(answer) });
}
