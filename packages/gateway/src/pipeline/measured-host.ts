import { performance } from 'node:perf_hooks';
import type { PluginHost } from '../plugins/plugin-host.js';
import type { PluginCall } from '../record/plugin-cells.js';

/** Hears of every call of a plugin, with how long it took in milliseconds. Must not throw. */
export type PluginCallListener = (method: PluginCall, result: 'answered' | 'failed', durationMs: number) => void;

/** The same host, each of whose calls is told of when it has ended. */
export function measuredHost(host: PluginHost, onCall: PluginCallListener): PluginHost {
  const measured = async <T>(method: PluginCall, call: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    let result: 'answered' | 'failed' = 'failed';
    try {
      const answer = await call();
      result = 'answered';
      return answer;
    } finally {
      onCall(method, result, performance.now() - began);
    }
  };
  return {
    ...host,
    getCredentials: (context, request, signal) => measured('getCredentials', () => host.getCredentials(context, request, signal)),
    modifyResponse: (context, response, signal) => measured('modifyResponse', () => host.modifyResponse(context, response, signal)),
    routeRequest: (context, signal) => measured('routeRequest', () => host.routeRequest(context, signal)),
    signCsr: (csr, signal) => measured('signCsr', () => host.signCsr(csr, signal)),
  };
}
