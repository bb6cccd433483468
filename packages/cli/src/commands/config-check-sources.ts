import { Credential, clientCredentialsGrant, openTokenStore, type Source } from '@sallyport/credentials';
import { type GatewayConfig, makeSource } from '@sallyport/gateway';
import { asSallyportError } from '@sallyport/sdk';

/** Whether one credential, or what a provider gives, can be had. Holds no secret. */
export interface SourceResult {
  /** Its name under `gateway.credentials`, or under `gateway.providers`. */
  readonly credential?: string;
  readonly provider?: string;
  readonly source: string;
  /** `store` says that the refresh token was found in its store, and not whether the server takes it. */
  readonly tried: 'fetch' | 'store';
  readonly ok: boolean;
  readonly code?: string;
  readonly detail?: string;
  readonly hint?: string;
}

type Named = Pick<SourceResult, 'credential' | 'provider'>;
type Grant = NonNullable<GatewayConfig['credentials'][string]['grant']>;
type Provider = GatewayConfig['providers'][string];

/**
 * Fetches everything once, at the same time. Refresh tokens are only looked up in their stores: presenting one may change it, and whoever checks a
 * configuration may be on another machine than the gateway that relies on it.
 */
export async function trySources(config: GatewayConfig): Promise<SourceResult[]> {
  const credentials = Object.entries(config.credentials).map(([name, { source, grant }]) =>
    source === undefined ? tryGrant({ credential: name }, grant as Grant, config) : trySource({ credential: name }, makeSource(source)),
  );
  const providers = Object.entries(config.providers).map(([name, provider]) => tryProvider(name, provider, config));
  return (await Promise.all([...credentials, ...providers])).flat();
}

/** The other providers fetch nothing: they have it from the configuration, from a file that has just been read, or from a credential. */
async function tryProvider(name: string, provider: Provider, config: GatewayConfig): Promise<SourceResult[]> {
  if (provider.type === 'client_credentials' || provider.type === 'refresh_token') return [await tryGrant({ provider: name }, provider, config)];
  if (provider.type !== 'microsoft' || provider.mapping === null) return [];
  const results: SourceResult[] = [];
  // One after the other: there may be thousands of tenants.
  for (const tenant of new Set(config.mappings[provider.mapping].map(({ key }) => key))) {
    const result = await trySource({ provider: name }, storedToken(provider.store, tenant, config));
    results.push(result);
    // What keeps the store from one tenant keeps it from all of them.
    if (result.code === 'token_store_failed') break;
  }
  return results;
}

function tryGrant(named: Named, grant: Grant, config: GatewayConfig): Promise<SourceResult> {
  if (grant.type === 'client_credentials') return trySource(named, clientCredentialsGrant(grant.options));
  return trySource(named, storedToken(grant.store, grant.key ?? named.credential ?? named.provider ?? '', config));
}

/** The refresh token as it is in the store. */
function storedToken(name: string, key: string, { token_stores: stores }: GatewayConfig): Source {
  const store = openTokenStore(stores[name]);
  return {
    type: 'refresh_token',
    description: `refresh token ${JSON.stringify(key)} in ${store.description}`,
    async fetch(signal) {
      const { record } = await store.read(key, signal);
      return { secret: record.refreshToken, fields: new Map(), expiresAt: null };
    },
  };
}

async function trySource(named: Named, source: Source): Promise<SourceResult> {
  const credential = new Credential({ name: named.credential ?? named.provider ?? '', source });
  const shown = { ...named, source: source.description, tried: source.type === 'refresh_token' ? 'store' : 'fetch' } as const;
  try {
    await credential.resolve();
    return { ...shown, ok: true };
  } catch (thrown) {
    const { code, message, hint } = asSallyportError(thrown);
    return { ...shown, ok: false, code, detail: message, hint };
  } finally {
    credential.close();
  }
}
