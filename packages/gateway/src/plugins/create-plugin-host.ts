import type { SallyportError } from '@sallyport/sdk';
import { loadFailure } from './load-failure.js';
import { loadPlugin, type PluginSource } from './load-plugin.js';
import { performCall } from './plugin-call.js';
import { type HostLimits, inThisThread, type PluginHost, pluginHost } from './plugin-host.js';
import { PluginWorker } from './worker-host.js';

/** Everything between a plugin in the configuration and a host that can be called. */
export interface PluginSettings extends PluginSource, HostLimits {
  /**
   * `inline`: in the thread of the gateway. Fastest, but a plugin that blocks, ends the process or throws outside of its calls takes the gateway
   * with it. `worker`: in a thread of its own, which is ended when it blocks and started again when it ends. Only for a plugin that is named.
   */
  readonly isolation: 'inline' | 'worker';
  /** Hears what no caller learns of: a thread that ended, a promise that the plugin forgot. Must not throw. */
  readonly onTrouble: (error: SallyportError) => void;
}

/** Loads a plugin and makes it callable. Rejects with `plugin_load_failed`. */
export async function createPluginHost(settings: PluginSettings): Promise<PluginHost> {
  if (settings.isolation === 'worker') return await inWorker(settings);
  const { plugin, loaded } = await loadPlugin(settings);
  return pluginHost(
    loaded,
    settings,
    inThisThread((call, means) => performCall(plugin, call, means)),
    () => Promise.resolve(),
  );
}

async function inWorker(settings: PluginSettings): Promise<PluginHost> {
  const { plugin } = settings;
  if (typeof plugin !== 'string') {
    throw loadFailure('(passed in)', 'an object cannot be handed to a thread; give its path or package, or leave out `isolation: worker`');
  }
  const worker = new PluginWorker({ ...settings, plugin });
  const loaded = await worker.start();
  return pluginHost(
    loaded,
    settings,
    (call, means) => worker.perform(call, means),
    () => worker.close(),
  );
}
