import type { TransactionContext } from '@sallyport/sdk';
import type { PluginHost } from '../plugins/plugin-host.js';

/**
 * The routes of the configuration with a plugin behind them: a route that matches decides, and the plugin is asked about all other calls. A call that
 * no route matches fails with `route_not_found` when routes give credentials and the plugin gives none. Responses and certificate requests are the
 * plugin's.
 */
export function routesBeforePlugin(routes: PluginHost, matches: (context: TransactionContext) => boolean, plugin: PluginHost): PluginHost {
  const routed = plugin.methods.has('routeRequest');
  const references = routed ? plugin.forwardReferences : [];
  return {
    name: plugin.name,
    file: plugin.file,
    methods: new Set([...routes.methods, ...plugin.methods]),
    forwardReferences: references === null ? null : [...new Set([...(routes.forwardReferences ?? []), ...references])],
    async getCredentials(context, request, signal) {
      return await (matches(context) || !plugin.methods.has('getCredentials') ? routes : plugin).getCredentials(context, request, signal);
    },
    async routeRequest(context, signal) {
      if (matches(context)) return routes.methods.has('routeRequest') ? await routes.routeRequest(context, signal) : null;
      return routed ? await plugin.routeRequest(context, signal) : null;
    },
    modifyResponse: plugin.modifyResponse.bind(plugin),
    signCsr: plugin.signCsr.bind(plugin),
    async close() {
      await routes.close();
      await plugin.close();
    },
  };
}
