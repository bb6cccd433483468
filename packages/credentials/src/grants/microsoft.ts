import { type CallOptions, type CredentialProvider, SallyportError, type TransactionContext } from '@sallyport/sdk';
import { LRUCache } from 'lru-cache';
import { Credential } from '../credential.js';
import type { RefreshCoordinator } from '../refresh/coordinator.js';
import type { Exchange } from '../refresh/exchange.js';
import { type KeyResolver, resolveCredentialKey } from '../routing/key-resolver.js';
import type { Source } from '../source.js';
import { type BearerProviderOptions, bearerProvider } from './bearer-provider.js';
import type { ClientAuthentication } from './client-authentication.js';
import { type TokenEndpoint, type TokenEndpointOptions, tokenEndpoint } from './token-endpoint.js';

/** The Secure Application Model: one app registration, and one refresh token for each customer's tenant. All times are milliseconds. */
export interface MicrosoftOptions
  extends Pick<TokenEndpointOptions, 'timeoutMs' | 'minTlsVersion' | 'ca' | 'extraParams' | 'assumedLifetimeMs' | 'allowHttp'>,
    BearerProviderOptions {
  /** Without the tenant; `https://login.microsoftonline.com` when left out. */
  readonly endpoint?: string;
  readonly clientId: string;
  readonly authentication: ClientAuthentication;
  /** Keeps the refresh tokens, each under the id of its tenant. */
  readonly coordinator: RefreshCoordinator;
  /** Asked for the tenant of a call whose context data have no `TenantID`. */
  readonly resolver?: KeyResolver;
  /** How many tenants are remembered; 10,000 when left out. Those that were not used for longest lose their access tokens only. */
  readonly maxTenants?: number;
  /** An access token counts as expired this long before it is; 5 min when left out. */
  readonly expiryMarginMs?: number;
  /** Told of every failed fetch. Must not throw. */
  readonly onFailure?: (error: SallyportError) => void;
}

/** A provider that holds access tokens of many tenants. */
export interface MicrosoftProvider extends CredentialProvider {
  /** Forgets all access tokens and ends what is under way. The coordinator stays open. */
  close(): void;
}

const ENDPOINT = 'https://login.microsoftonline.com';
const MARGIN_MS = 300_000;
const MAX_TENANTS = 10_000;
const MAX_RESOURCES = 100;
const TENANT = /^[a-zA-Z0-9][a-zA-Z0-9.-]{0,127}$/;
const RESOURCE = /^[\x21-\x7e]{1,1024}$/;

/**
 * Bearer tokens for the tenant and the resource of a call: `TenantID` and `Resource` of its context data. They come from the v1 endpoint
 * (`ENDPOINT/TENANT/oauth2/token` with `resource`), whose refresh tokens are good for every resource of the tenant. One access token is fetched at a time
 * for each pair of tenant and resource, those of different resources in parallel; whichever refresh token comes with them, no save overwrites a newer one.
 *
 * Refresh tokens are used as reusable ones: Microsoft Entra ID issues a new one each time and does not revoke the old one. Errors: those of
 * `RefreshCoordinator`, `context_data_missing`, `context_data_field_invalid`. Throws `config_invalid` when made with what cannot work.
 */
export function microsoftProvider(options: MicrosoftOptions): MicrosoftProvider {
  const { coordinator, onFailure, resolver = null, maxTenants = MAX_TENANTS } = options;
  const base = (options.endpoint ?? ENDPOINT).replace(/\/+$/, '');
  // Made for nobody, to find out at the start what would fail with the first call.
  endpointOf('common');
  const tenants = new LRUCache<string, LRUCache<string, Credential>>({ max: maxTenants });

  function endpointOf(tenant: string): TokenEndpoint {
    return tokenEndpoint({ ...options, url: `${base}/${tenant}/oauth2/token`, expiryMarginMs: options.expiryMarginMs ?? MARGIN_MS });
  }

  function credentialOf(tenant: string, resource: string): Credential {
    const resources = tenants.get(tenant) ?? new LRUCache<string, Credential>({ max: MAX_RESOURCES });
    tenants.set(tenant, resources);
    // What falls out of the pools is not closed: somebody may be waiting for it, and it holds nothing that has to be given back.
    const credential = resources.get(resource) ?? new Credential({ name: `microsoft ${tenant}`, source: sourceOf(tenant, resource), ...reporting });
    resources.set(resource, credential);
    return credential;
  }

  const reporting = onFailure === undefined ? {} : { onFailure };

  function sourceOf(tenant: string, resource: string): Source {
    const endpoint = endpointOf(tenant);
    const exchange: Exchange = (refreshToken, signal) =>
      endpoint.request('refresh_token', { refresh_token: refreshToken.reveal(), resource }, [refreshToken], signal);
    return {
      type: 'microsoft',
      description: `refresh token of the tenant ${tenant} at ${endpoint.where}`,
      fetch: (signal) => coordinator.refreshReusable({ key: tenant, exchange, timeoutMs: endpoint.timeoutMs, signal }),
    };
  }

  return {
    async getCredentials(context, request, call) {
      const tenant = await tenantOf(context, resolver, call);
      const resource = context.dataString('Resource');
      if (resource === null) {
        throw new SallyportError('context_data_missing', {
          detail: 'missing required context data: the field "Resource" was not sent',
          members: { field: 'Resource' },
        });
      }
      if (!RESOURCE.test(resource)) throw fieldInvalid('Resource', 'is not the identifier of a resource');
      return await bearerProvider(credentialOf(tenant, resource), options).getCredentials(context, request, call);
    },
    close() {
      for (const resources of tenants.values()) for (const credential of resources.values()) credential.close();
      tenants.clear();
    },
  };
}

/** The tenant becomes a part of a URL and of a file name, so it is judged wherever it comes from. */
async function tenantOf(context: TransactionContext, resolver: KeyResolver | null, call: CallOptions): Promise<string> {
  const tenant = await resolveCredentialKey(context, 'TenantID', resolver, call);
  if (!TENANT.test(tenant)) throw fieldInvalid('TenantID', 'is not a tenant id or a domain');
  return tenant;
}

function fieldInvalid(field: string, what: string): SallyportError {
  return new SallyportError('context_data_field_invalid', {
    detail: `the field ${JSON.stringify(field)} of the context data ${what}`,
    members: { field },
  });
}
