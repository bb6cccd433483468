import {
  type CallOptions,
  type Credential,
  type Plugin,
  type ResponseAction,
  type RouteAction,
  SallyportError,
  type TransactionContext,
} from '@sallyport/sdk';
import { callFailure } from './call-failure.js';
import {
  createMutableRequest,
  createMutableResponse,
  type RequestEdits,
  type RequestHead,
  type ResponseEdits,
  type ResponseHead,
} from './mutable-message.js';
import { checkCertificate, checkCredential, checkResponseAction, checkRouteAction } from './plugin-answers.js';

/** A call of a plugin, without what cannot cross a thread: the body and the signal. */
export type PluginCall =
  | { readonly method: 'getCredentials'; readonly context: TransactionContext; readonly request: RequestHead }
  | { readonly method: 'modifyResponse'; readonly context: TransactionContext; readonly response: ResponseHead }
  | { readonly method: 'routeRequest'; readonly context: TransactionContext }
  | { readonly method: 'signCsr'; readonly csr: string };

/** What came of a call, checked, as plain values: it can cross a thread. */
export type CallAnswer =
  | { readonly method: 'getCredentials'; readonly credential: Credential | null; readonly edits: RequestEdits }
  | { readonly method: 'modifyResponse'; readonly action: ResponseAction | null; readonly edits: ResponseEdits }
  | { readonly method: 'routeRequest'; readonly action: RouteAction | null }
  | { readonly method: 'signCsr'; readonly certificate: string };

/** What a call needs from outside of the thread that the plugin runs in. */
export interface CallMeans {
  readonly readBody: () => Promise<Uint8Array>;
  /** Bytes that a plugin may put in the place of a body. */
  readonly bodyLimit: number;
  /** May be made when it is first read, so nobody reads it but the plugin. */
  readonly signal: AbortSignal;
}

/**
 * Calls a plugin and checks what it answers. Rejects with a `SallyportError` in every case; see `callFailure` for what becomes of what a plugin
 * throws.
 */
export async function performCall(plugin: Plugin, call: PluginCall, means: CallMeans): Promise<CallAnswer> {
  try {
    switch (call.method) {
      case 'getCredentials':
        return await getCredentials(plugin, call, means);
      case 'modifyResponse':
        return await modifyResponse(plugin, call, means);
      case 'routeRequest':
        return { method: 'routeRequest', action: checkRouteAction(await plugin.routeRequest?.(call.context, optionsOf(means))) };
      case 'signCsr':
        if (plugin.signCsr === undefined) throw new SallyportError('plugin_failed', { detail: 'the plugin does not sign certificate requests' });
        return { method: 'signCsr', certificate: checkCertificate(await plugin.signCsr(call.csr, optionsOf(means))) };
    }
  } catch (error) {
    throw callFailure(error, call.method);
  }
}

async function getCredentials(
  plugin: Plugin,
  { context, request: head }: Extract<PluginCall, { method: 'getCredentials' }>,
  means: CallMeans,
): Promise<CallAnswer> {
  const request = createMutableRequest(head, means.readBody, means.bodyLimit);
  const answer = await plugin.getCredentials?.(context, request.message, optionsOf(means));
  return { method: 'getCredentials', credential: checkCredential(answer, Date.now()), edits: request.finish() };
}

async function modifyResponse(
  plugin: Plugin,
  { context, response: head }: Extract<PluginCall, { method: 'modifyResponse' }>,
  means: CallMeans,
): Promise<CallAnswer> {
  const response = createMutableResponse(head, means.readBody, means.bodyLimit);
  const answer = await plugin.modifyResponse?.(context, response.message, optionsOf(means));
  return { method: 'modifyResponse', action: checkResponseAction(answer), edits: response.finish() };
}

/** A property of its own, and not of a prototype: plugins hand copies of their options to `fetch`. */
function optionsOf(means: CallMeans): CallOptions {
  return {
    get signal() {
      return means.signal;
    },
  };
}
