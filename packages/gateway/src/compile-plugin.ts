import { asSallyportError, type Plugin, SallyportError } from '@sallyport/sdk';
import type { GatewayConfig } from './config/schema.js';
import { ConsultedPlugin } from './pipeline/consult.js';
import { createPluginHost } from './plugins/create-plugin-host.js';
import type { PluginFactory } from './plugins/load-plugin.js';

/** What a gateway gives to a plugin that is not named in its configuration, and who hears of failures. */
export interface PluginMeans {
  /** A plugin that was handed to the gateway as an object; it takes the place of the one that the configuration names. */
  readonly plugin: Plugin | PluginFactory | null;
  readonly onPluginFailure: (error: SallyportError, requestId: string) => void;
}

/** How long a plugin may take to load, in milliseconds: it may fetch something before it is ready. */
const LOAD_TIMEOUT = 30_000;

/** Loads the plugin of a configuration, and checks that it leads nowhere that is not configured. Null without one. Errors: `plugin_load_failed`. */
export async function compilePlugin(config: GatewayConfig, means: PluginMeans): Promise<ConsultedPlugin | null> {
  const source = means.plugin ?? config.plugin?.module?.written;
  if (source === undefined) return null;
  const { options = {}, timeout = 10_000, isolation = 'inline', cache = 10_000, module } = config.plugin ?? {};
  const host = await createPluginHost({
    plugin: source,
    folder: module?.folder ?? process.cwd(),
    options,
    loadTimeoutMs: LOAD_TIMEOUT,
    timeoutMs: timeout,
    bodyLimit: config.limits.plugin_body,
    isolation,
    onTrouble: (error) => means.onPluginFailure(error, ''),
  });
  const unknown = host.forwardReferences?.find((name) => !Object.hasOwn(config.forward_targets, name));
  if (unknown !== undefined) {
    await host.close().catch((error: unknown) => means.onPluginFailure(asSallyportError(error), ''));
    throw new SallyportError('plugin_load_failed', {
      detail: `the plugin ${host.name} routes to the forward target ${JSON.stringify(unknown)}, which is not configured`,
      hint: 'Add it under gateway.forward_targets, or correct the name in the plugin.',
    });
  }
  return new ConsultedPlugin(host, cache, means.onPluginFailure);
}
