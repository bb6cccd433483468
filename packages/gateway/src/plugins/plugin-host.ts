import type { ResponseAction, RouteAction, TransactionContext } from '@sallyport/sdk';
import { withinBounds } from './call-bounds.js';
import type { PluginMethod } from './call-failure.js';
import { holdBody, type ReadBody } from './message-body.js';
import type { RequestHead, ResponseHead } from './mutable-message.js';
import { PlacedFields } from './placed-fields.js';
import type { CallAnswer, CallMeans, PluginCall } from './plugin-call.js';

/** A request that a plugin may look at and change. */
export interface RequestForPlugin extends RequestHead {
  readonly readBody: ReadBody;
}

/** A response that a plugin may look at and change. */
interface ResponseForPlugin extends ResponseHead {
  readonly readBody: ReadBody;
}

/** What became of a message in the hands of a plugin. Prints without a header value. */
interface MessageChanges {
  /** The fields that were added or changed, ready to be written; a removed field is among its `names` and has no line. */
  readonly fields: PlacedFields;
  /** What was read of the body because the plugin asked; null when it did not. It still has to be sent, unless there is a `replacement`. */
  readonly bodyRead: Uint8Array | null;
  /** The body that is sent instead; null when it stays. */
  readonly replacement: Uint8Array | null;
}

export interface RequestChanges extends MessageChanges {
  /** The path as it goes out now; null when it stays byte for byte. */
  readonly path: string | null;
  /** The query with its `?`, or the empty text for none; null when it stays byte for byte. */
  readonly query: string | null;
}

export interface ResponseChanges extends MessageChanges {
  /** Null when it stays. */
  readonly status: number | null;
}

/** A credential of a plugin, ready to be placed: the fast path. */
export interface PluginCredential {
  readonly fields: PlacedFields;
  /** Milliseconds since the epoch; in the future when it was answered. */
  readonly expiresAt: number;
}

/** What a plugin said about the credentials of a request. A null credential is the slow path: the changes are all there is. */
export interface CredentialsAnswer {
  readonly credential: PluginCredential | null;
  readonly changes: RequestChanges;
}

/** What a plugin said about a response. */
interface ResponseAnswer {
  readonly action: ResponseAction | null;
  readonly changes: ResponseChanges;
}

/**
 * A plugin that was loaded, wherever it runs. Every call rejects with a `SallyportError` and with nothing else: `plugin_failed` (the cause is for
 * the log alone), `plugin_timeout`, `plugin_result_invalid`, the reason of an aborted signal, or the code that the plugin chose by throwing one.
 * None is waited for beyond the timeout and the signal, and what a plugin does later has no effect.
 */
export interface PluginHost {
  /** What the configuration calls it. */
  readonly name: string;
  /** The file it was loaded from, for watching; null for an object. */
  readonly file: string | null;
  /** The methods it has. */
  readonly methods: ReadonlySet<PluginMethod>;
  /** The forward targets it may name; null when it does not say. */
  readonly forwardReferences: readonly string[] | null;
  getCredentials(context: TransactionContext, request: RequestForPlugin, signal: AbortSignal): Promise<CredentialsAnswer>;
  modifyResponse(context: TransactionContext, response: ResponseForPlugin, signal: AbortSignal): Promise<ResponseAnswer>;
  routeRequest(context: TransactionContext, signal: AbortSignal): Promise<RouteAction | null>;
  signCsr(csr: string, signal: AbortSignal): Promise<string>;
  /** Ends the thread of the plugin, if it has one. Calls that are under way fail. */
  close(): Promise<void>;
}

/** What is known of a plugin once it is loaded. */
export interface LoadedPlugin {
  readonly name: string;
  readonly file: string | null;
  readonly methods: ReadonlySet<PluginMethod>;
  readonly forwardReferences: readonly string[] | null;
}

/** How the calls of a host are bounded. */
export interface HostLimits {
  /** Milliseconds for each call. */
  readonly timeoutMs: number;
  /** Bytes of a body that a plugin reads, or puts in its place. */
  readonly bodyLimit: number;
}

/** Brings a call to where the plugin is. Settles within the timeout and the signal, whatever the plugin does. */
export type PerformCall = (call: PluginCall, means: CallMeans & { readonly timeoutMs: number }) => Promise<CallAnswer>;

/** Brings a call to a plugin in this thread. A plugin that blocks the event loop blocks everything: only a worker can be stopped. */
export function inThisThread(perform: (call: PluginCall, means: CallMeans) => Promise<CallAnswer>): PerformCall {
  return (call, { signal, timeoutMs, readBody, bodyLimit }) =>
    withinBounds(call.method, { signal, timeoutMs }, (ending) =>
      perform(call, {
        readBody,
        bodyLimit,
        get signal() {
          return ending.signal;
        },
      }),
    );
}

/** The host of a loaded plugin, over whatever brings a call to it. */
export function pluginHost(plugin: LoadedPlugin, { timeoutMs, bodyLimit }: HostLimits, perform: PerformCall, close: () => Promise<void>): PluginHost {
  const call = async <M extends PluginMethod>(one: Extract<PluginCall, { method: M }>, readBody: () => Promise<Uint8Array>, signal: AbortSignal) =>
    (await perform(one, { readBody, bodyLimit, signal, timeoutMs })) as Extract<CallAnswer, { method: M }>;
  const callWithBody = async <M extends PluginMethod>(one: Extract<PluginCall, { method: M }>, readBody: ReadBody, signal: AbortSignal) => {
    const body = holdBody(readBody, bodyLimit);
    try {
      const answer = await call(one, body.read, signal);
      // The plugin need not have waited for what it asked for.
      const reading = body.settled();
      const bodyRead = reading === null ? null : await withinBounds(one.method, { signal, timeoutMs }, () => reading);
      return { answer, bodyRead };
    } finally {
      body.close();
    }
  };
  return {
    ...plugin,
    async getCredentials(context, { readBody, method, url, headers }, signal) {
      const request: RequestHead = { method, url, headers };
      const { answer, bodyRead } = await callWithBody({ method: 'getCredentials', context, request }, readBody, signal);
      const { credential, edits } = answer;
      return {
        credential: credential === null ? null : { fields: credentialFields(credential.headers), expiresAt: credential.expiresAt },
        changes: { fields: new PlacedFields(edits.fields), path: edits.path, query: edits.query, bodyRead, replacement: edits.body },
      };
    },
    async modifyResponse(context, { readBody, status, headers }, signal) {
      const response: ResponseHead = { status, headers };
      const { answer, bodyRead } = await callWithBody({ method: 'modifyResponse', context, response }, readBody, signal);
      const { action, edits } = answer;
      return { action, changes: { fields: new PlacedFields(edits.fields), status: edits.status, bodyRead, replacement: edits.body } };
    },
    async routeRequest(context, signal) {
      return (await call({ method: 'routeRequest', context }, noBody, signal)).action;
    },
    async signCsr(csr, signal) {
      return (await call({ method: 'signCsr', csr }, noBody, signal)).certificate;
    },
    close,
  };
}

function credentialFields(headers: Readonly<Record<string, string>>): PlacedFields {
  return new PlacedFields(Object.entries(headers).map(([name, value]) => ({ name, values: [value] })));
}

function noBody(): Promise<Uint8Array> {
  return Promise.resolve(new Uint8Array(0));
}
