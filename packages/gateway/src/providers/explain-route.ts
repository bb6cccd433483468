import { TransactionContext, type TransactionFields } from '@sallyport/sdk';
import type { GatewayConfig } from '../config/schema.js';
import { routeFinder } from './route-finder.js';

/** What a call through the sidecar meets after the policy has let it out. */
export interface RouteExplanation {
  /** Place of the route under `gateway.routes`, from 0; null when none matches. */
  readonly route: number | null;
  /** The places of all routes that match, in the order of the file. */
  readonly matching: readonly number[];
  /** Who decides: a provider, a forward target, the plugin, the bindings of `gateway.credentials`, or nobody, and the call fails. */
  readonly outcome: 'provider' | 'forward' | 'plugin' | 'bindings' | 'none';
  /** Name of the provider or the forward target, or the plugin as the configuration has it; null for the other outcomes. */
  readonly name: string | null;
  /** Type of the provider, or URL of the forward target; null for the other outcomes. */
  readonly detail: string | null;
  /** A clause that says why. */
  readonly why: string;
}

/**
 * Which route a call with this context meets, and what becomes of it: decided by the code that decides about real calls. Nothing is fetched and no plugin
 * is asked; the plugin of the configuration is taken for one that gives credentials.
 */
export function explainRoute(config: GatewayConfig, fields: TransactionFields): RouteExplanation {
  const context = new TransactionContext(fields);
  const { routes, default: fallback, plugin } = config;
  const route = routeFinder(routes)(context);
  const matching = routes.flatMap((one, place) => (routeFinder([one])(context) === null ? [] : [place]));
  const found = { route, matching };
  if (route !== null) {
    const { provider, forward } = routes[route];
    const why = matching.length === 1 ? 'no other route matches' : 'it is the most specific of those that match, or the first of these';
    if (provider !== undefined) return { ...found, outcome: 'provider', name: provider, detail: config.providers[provider].type, why };
    const target = forward as string;
    return { ...found, outcome: 'forward', name: target, detail: config.forward_targets[target].url, why };
  }
  if (plugin?.module !== undefined)
    return { ...found, outcome: 'plugin', name: plugin.module.written, detail: null, why: 'no route matches, so the plugin decides' };
  if (fallback !== undefined) {
    const { provider } = fallback;
    return {
      ...found,
      outcome: 'provider',
      name: provider,
      detail: config.providers[provider].type,
      why: 'no route matches, so the default decides',
    };
  }
  const given = routes.some(({ provider }) => provider !== undefined);
  if (given) return { ...found, outcome: 'none', name: null, detail: null, why: 'no route matches, and there is no default (route_not_found)' };
  return {
    ...found,
    outcome: 'bindings',
    name: null,
    detail: null,
    why: 'no route gives credentials, so the bindings of gateway.credentials decide',
  };
}
