import { asSallyportError, type Plugin, SallyportError } from '@sallyport/sdk';
import type { DeclaredRoutes } from './compile-providers.js';
import { pluginDefaults } from './config/schema/plugin.js';
import type { GatewayConfig } from './config/schema.js';
import { ConsultedPlugin } from './pipeline/consulted-plugin.js';
import { measuredHost, type PluginCallListener } from './pipeline/measured-host.js';
import { createPluginHost, type PluginSettings } from './plugins/create-plugin-host.js';
import type { PluginFactory } from './plugins/load-plugin.js';
import type { PluginHost } from './plugins/plugin-host.js';
import { routeFinder } from './providers/route-finder.js';
import { routesBeforePlugin } from './providers/routes-before-plugin.js';
import type { SharedCredentials } from './providers/shared-credentials.js';

/** What a gateway gives to a plugin that is not named in its configuration, and who hears of failures. */
export interface PluginMeans {
  /** A plugin that was handed to the gateway as an object; it takes the place of the one that the configuration names. */
  readonly plugin: Plugin | PluginFactory | null;
  readonly onPluginFailure: (error: SallyportError, requestId: string) => void;
  readonly onPluginCall: PluginCallListener;
  /** Hears of credentials that an upstream refused. */
  readonly shared: SharedCredentials;
}

/** How long a plugin may take to load, in milliseconds: it may fetch something before it is ready. */
const LOAD_TIMEOUT = 30_000;
/** Longer than any provider of the configuration takes: each has limits of its own, and says more about what took too long. */
const ROUTES_TIMEOUT = 60_000;
/** What records name as the credential of a call that a route decided about. */
const ROUTES = 'routes';

/**
 * Loads the plugin of a configuration behind its routes, and checks that it leads nowhere that is not configured. Null without both. Errors:
 * `plugin_load_failed`, and `config_invalid` when a plugin that was handed in meets a default.
 */
export async function compilePlugin(config: GatewayConfig, declared: DeclaredRoutes | null, means: PluginMeans): Promise<ConsultedPlugin | null> {
  const { cache } = config.plugin ?? pluginDefaults;
  const plugin = await loadHost(config, means);
  if (plugin === null && declared === null) return null;
  const host = declared === null ? (plugin as PluginHost) : await behindRoutes(config, declared, plugin);
  const consulted = new ConsultedPlugin(measuredHost(host, means.onPluginCall), cache, {
    onFailure: means.onPluginFailure,
    onRefused: (fields) => means.shared.refused(fields.values),
  });
  if (declared !== null) declared.onOutdated = () => consulted.credentials.clear();
  return consulted;
}

/**
 * Loads a plugin as a configuration says, and checks nothing of what it means for the rest of it. `isolation` is that of the configuration when left
 * out. Errors: `plugin_load_failed`.
 */
export async function openPlugin(
  plugin: PluginSettings['plugin'],
  { plugin: settings, limits }: Pick<GatewayConfig, 'plugin' | 'limits'>,
  { onTrouble, isolation }: Pick<PluginSettings, 'onTrouble'> & Partial<Pick<PluginSettings, 'isolation'>>,
): Promise<PluginHost> {
  const { options, timeout, isolation: configured } = settings ?? pluginDefaults;
  return await createPluginHost({
    plugin,
    folder: settings?.module?.folder ?? process.cwd(),
    options,
    loadTimeoutMs: LOAD_TIMEOUT,
    timeoutMs: timeout,
    bodyLimit: limits.plugin_body,
    isolation: isolation ?? configured,
    onTrouble,
  });
}

async function loadHost(config: GatewayConfig, means: PluginMeans): Promise<PluginHost | null> {
  const source = means.plugin ?? config.plugin?.module?.written;
  if (source === undefined) return null;
  if (config.default !== undefined) {
    throw new SallyportError('config_invalid', {
      detail: 'gateway.default: a plugin takes the calls that no route matches',
      hint: 'Leave out the default or the plugin; a route with `match: {}` is for every call.',
    });
  }
  const host = await openPlugin(source, config, { onTrouble: (error) => means.onPluginFailure(error, '') });
  const unknown = host.forwardReferences?.find((name) => !Object.hasOwn(config.forward_targets, name));
  if (unknown !== undefined) {
    await host.close().catch((error: unknown) => means.onPluginFailure(asSallyportError(error), ''));
    throw new SallyportError('plugin_load_failed', {
      detail: `the plugin ${host.name} routes to the forward target ${JSON.stringify(unknown)}, which is not configured`,
      hint: 'Add it under gateway.forward_targets, or correct the name in the plugin.',
    });
  }
  return host;
}

async function behindRoutes(config: GatewayConfig, { plugin: routing }: DeclaredRoutes, plugin: PluginHost | null): Promise<PluginHost> {
  const routes = await createPluginHost({
    plugin: routing,
    folder: process.cwd(),
    options: {},
    loadTimeoutMs: LOAD_TIMEOUT,
    timeoutMs: ROUTES_TIMEOUT,
    bodyLimit: config.limits.plugin_body,
    isolation: 'inline',
    onTrouble: () => {},
  });
  if (plugin === null) return { ...routes, name: ROUTES };
  const find = routeFinder(config.routes);
  return routesBeforePlugin(routes, (context) => find(context) !== null, plugin);
}
