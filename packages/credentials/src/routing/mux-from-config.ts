import type { CredentialProvider } from '@sallyport/sdk';
import type { KeyResolver } from './key-resolver.js';
import { Mux } from './mux.js';
import type { Route } from './route.js';
import { routeInvalid } from './route-invalid.js';
import type { RoutingOptions } from './routing-options.js';
import { staticMapping } from './static-mapping.js';

/** The fields of a `Route` as a configuration spells them. */
export interface RouteMatchConfig {
  readonly vendor_id?: string | undefined;
  readonly marketplace_id?: string | undefined;
  readonly product_id?: string | undefined;
  readonly environment_id?: string | undefined;
  readonly target_url?: string | undefined;
  readonly data?: Readonly<Record<string, string>> | undefined;
}

/** What becomes of a call: exactly one of the two. */
export interface ActionConfig {
  /** Name of a provider. */
  readonly provider?: string | undefined;
  /** Name of a forward target. */
  readonly forward?: string | undefined;
}

/** A whole mux as data. */
export interface MuxConfig {
  readonly routes: readonly (ActionConfig & { readonly match: RouteMatchConfig })[];
  /** For calls that no route matches; a provider, never a forward target. */
  readonly default?: ActionConfig | undefined;
}

/** A mapping as data. */
export type MappingConfig = readonly { readonly match: RouteMatchConfig; readonly key: string }[];

/**
 * Makes a mux of data and providers by name. Throws `route_invalid` at the first thing that is wrong, naming `routes[i]` or `default`: neither or both
 * of provider and forward, a provider that is not there, a forward for the default (calls would leave for it that nobody thought of), or whatever
 * `Mux.handle` refuses.
 */
export function muxFromConfig(config: MuxConfig, providers: ReadonlyMap<string, CredentialProvider>, options: RoutingOptions = {}): Mux {
  const mux = new Mux(options);
  for (const [i, { match, ...action }] of config.routes.entries()) {
    const where = `routes[${i}]`;
    const route = routeFromConfig(match, where);
    const target = forwardOf(action, where);
    if (target === null) mux.handle(route, providerOf(action, providers, where));
    else mux.handleForward(route, target);
  }
  if (config.default === undefined) return mux;
  if (forwardOf(config.default, 'default') !== null) {
    throw routeInvalid('default: it cannot be a forward; write a route for the calls that are to be forwarded');
  }
  mux.default(providerOf(config.default, providers, 'default'));
  return mux;
}

/** Makes a mapping of data; throws what `staticMapping` throws. */
export function mappingFromConfig(rules: MappingConfig, options: RoutingOptions = {}): KeyResolver {
  return staticMapping(
    rules.map(({ match, key }, i) => ({ match: routeFromConfig(match, `rules[${i}]`), key })),
    options,
  );
}

const fieldOf: ReadonlyMap<string, keyof Route> = new Map([
  ['vendor_id', 'vendorId'],
  ['marketplace_id', 'marketplaceId'],
  ['product_id', 'productId'],
  ['environment_id', 'environmentId'],
  ['target_url', 'targetUrl'],
  ['data', 'data'],
]);

function routeFromConfig(match: RouteMatchConfig, where: string): Route {
  if (typeof match !== 'object' || match === null) throw routeInvalid(`${where}: match is not an object of fields`);
  return Object.fromEntries(
    Object.entries(match).map(([name, value]) => {
      const field = fieldOf.get(name);
      if (field === undefined)
        throw routeInvalid(`${where}: match has a field ${JSON.stringify(name)}; the fields are ${[...fieldOf.keys()].join(', ')}`);
      return [field, value as unknown];
    }),
  );
}

/** The forward target of an action; null when it names a provider. */
function forwardOf({ provider, forward }: ActionConfig, where: string): string | null {
  if ((provider === undefined) === (forward === undefined)) {
    throw routeInvalid(`${where}: it needs ${provider === undefined ? 'a provider or a forward' : 'either a provider or a forward, not both'}`);
  }
  return forward ?? null;
}

function providerOf({ provider = '' }: ActionConfig, providers: ReadonlyMap<string, CredentialProvider>, where: string): CredentialProvider {
  const found = providers.get(provider);
  if (found !== undefined) return found;
  const names = [...providers.keys()].slice(0, 20).map((name) => JSON.stringify(name));
  const known = names.length === 0 ? 'there are none' : `there are ${names.join(', ')}`;
  throw routeInvalid(`${where}: there is no provider ${JSON.stringify(provider)}; ${known}`);
}
