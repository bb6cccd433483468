import {
  bearerProvider,
  type Credential,
  mappingFromConfig,
  microsoftProvider,
  muxFromConfig,
  openCredentialsFile,
  staticProvider,
} from '@sallyport/credentials';
import type { CredentialProvider, Plugin, SallyportError } from '@sallyport/sdk';
import type { MicrosoftConfig, ProviderConfig } from './config/schema/providers.js';
import type { GatewayConfig } from './config/schema.js';
import { boundProvider } from './providers/bound-provider.js';
import { configDigest } from './providers/config-digest.js';
import { type GrantMeans, openCoordinator, openGrant } from './providers/open-grant.js';

/** What the providers of one configuration are made with. */
export interface ProviderMeans extends GrantMeans {
  /** Told of what is allowed and probably not meant. The text holds no secret. Must not throw. */
  readonly onWarning: (message: string) => void;
}

/** What belongs to one configuration and goes with it. */
export interface Belongings {
  /** Has something released when the configuration is not in use any more. */
  add(release: () => void): void;
}

/** The routes of a configuration as a plugin, with what they hold. */
export interface DeclaredRoutes {
  readonly plugin: Plugin;
  /** Called when what the providers handed out before may be old now; to be set by whoever keeps it. */
  onOutdated: () => void;
}

/**
 * Makes the providers that the routes of a configuration name, and of these a plugin; null without routes and default. It gives credentials only
 * where a route or the default does, and routes requests only where a route forwards. Rejects with `config_invalid` or `config_not_found` for a
 * credentials file; what was opened until then is among the belongings.
 */
export async function compileProviders(
  config: GatewayConfig,
  credentials: ReadonlyMap<string, Credential>,
  means: ProviderMeans,
  belongings: Belongings,
): Promise<DeclaredRoutes | null> {
  const { routes, default: fallback, providers: described } = config;
  if (routes.length === 0 && fallback === undefined) return null;
  const declared: { plugin: Plugin; onOutdated: () => void } = { plugin: {}, onOutdated: () => {} };
  const providers = new Map<string, CredentialProvider>();
  for (const name of usedProviders(config)) {
    const onChange = (): void => declared.onOutdated();
    providers.set(name, await openProvider(name, described[name], { config, credentials, means, belongings, onChange }));
  }
  const mux = muxFromConfig({ routes, default: fallback }, providers);
  const routing: Plugin = { routeRequest: (context) => mux.routeRequest(context), forwardReferences: () => mux.forwardReferences() };
  const giving: Plugin = { getCredentials: (context, request, options) => mux.getCredentials(context, request, options) };
  const forwards = mux.forwardReferences().length > 0;
  declared.plugin = { ...(forwards ? routing : {}), ...(providers.size > 0 ? giving : {}) };
  return declared;
}

/** The names of the providers that calls can get to. */
function usedProviders({ routes, default: fallback }: Pick<GatewayConfig, 'routes' | 'default'>): Set<string> {
  const named = [...routes.map(({ provider }) => provider), fallback?.provider];
  return new Set(named.filter((name) => name !== undefined));
}

interface Surroundings {
  readonly config: GatewayConfig;
  readonly credentials: ReadonlyMap<string, Credential>;
  readonly means: ProviderMeans;
  readonly belongings: Belongings;
  readonly onChange: () => void;
}

async function openProvider(name: string, provider: ProviderConfig, surroundings: Surroundings): Promise<CredentialProvider> {
  const { config, credentials, means, belongings } = surroundings;
  const onIssued = means.shared.issued.bind(means.shared);
  switch (provider.type) {
    case 'client_credentials':
    case 'refresh_token': {
      const share = openGrant(name, provider, config.token_stores, means);
      belongings.add(share.release);
      return bearerProvider(share.value, { onIssued });
    }
    case 'microsoft':
      return openMicrosoft(provider, surroundings);
    case 'static':
      return staticProvider({ headers: provider.headers });
    case 'credentials_file':
      return await openFile(provider.path, surroundings);
    case 'credential':
      return boundProvider(credentials.get(provider.credential) as Credential, config.credentials[provider.credential].bind, onIssued);
  }
}

function openMicrosoft(provider: MicrosoftConfig, { config, means, belongings }: Surroundings): CredentialProvider {
  const rules = provider.mapping === null ? null : config.mappings[provider.mapping];
  const share = means.shared.use(configDigest(['microsoft', provider, config.token_stores[provider.store], rules]), () =>
    microsoftProvider({
      ...provider.options,
      coordinator: openCoordinator(provider.store, config.token_stores, means),
      onFailure: means.onCredentialFailure,
      onIssued: means.shared.issued.bind(means.shared),
      ...(rules === null ? {} : { resolver: mappingFromConfig(rules) }),
    }),
  );
  belongings.add(share.release);
  return share.value;
}

async function openFile(path: string, { means, belongings, onChange }: Surroundings): Promise<CredentialProvider> {
  const onReject = (error: SallyportError): void => means.onCredentialFailure(error);
  const file = await openCredentialsFile({ path, onWarning: means.onWarning, onChange, onReject });
  belongings.add(() => file.close());
  return file;
}
