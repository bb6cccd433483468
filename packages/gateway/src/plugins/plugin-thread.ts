// What runs in the thread of a plugin: loads it, then performs the calls that arrive on the port.

import { type MessagePort, workerData } from 'node:worker_threads';
import { asSallyportError, type Plugin, SallyportError, TransactionContext } from '@sallyport/sdk';
import { loadPlugin } from './load-plugin.js';
import { holdBody } from './message-body.js';
import { type PluginCall, performCall } from './plugin-call.js';
import { type FromThread, fromPlainError, plainError, type ThreadData, type ToThread, unpacked } from './thread-messages.js';

/** A call that is under way in this thread. */
interface Running {
  readonly abort: AbortController;
  /** What waits for the body. */
  body: { resolve(bytes: Uint8Array): void; reject(error: Error): void } | null;
}

const given = workerData as { port?: MessagePort } & ThreadData;
const port = given.port as MessagePort;
// Out of the reach of the plugin, which can import `workerData` as well: what comes out of this port is believed.
delete given.port;

const running = new Map<number, Running>();

// A promise that the plugin forgot. Without this it would end the thread, and with it the calls of others.
process.on('unhandledRejection', (cause) => {
  const detail = 'a promise of the plugin was rejected, and nothing was waiting for it';
  send({ kind: 'stray', error: plainError(new SallyportError('plugin_failed', { detail, cause: cause ?? String(cause) })) });
});

try {
  send({ kind: 'loading' });
  const { plugin, folder, options, loadTimeoutMs } = given;
  const made = await loadPlugin({ plugin, folder, options: unpacked(options) as Record<string, unknown>, loadTimeoutMs });
  port.on('message', (message: ToThread) => receive(made.plugin, message));
  send({ kind: 'loaded', loaded: made.loaded });
} catch (error) {
  send({ kind: 'not-loaded', error: plainError(asSallyportError(error)) });
}

function receive(plugin: Plugin, message: ToThread): void {
  const one = running.get(message.id);
  switch (message.kind) {
    case 'call':
      void perform(plugin, message.id, message.call);
      break;
    case 'abort':
      one?.abort.abort(fromPlainError(message.error));
      break;
    case 'body':
      one?.body?.resolve(message.bytes);
      break;
    case 'no-body':
      one?.body?.reject(fromPlainError(message.error));
      break;
    case 'ping':
      send({ kind: 'pong', id: message.id });
  }
}

async function perform(plugin: Plugin, id: number, call: PluginCall): Promise<void> {
  // Before anything else: what was begun when the thread ends is not begun again.
  send({ kind: 'began', id });
  const one: Running = { abort: new AbortController(), body: null };
  running.set(id, one);
  const ask = (): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      one.body = { resolve, reject };
      send({ kind: 'read-body', id });
    });
  const body = holdBody(ask, given.bodyLimit);
  try {
    const answer = await performCall(plugin, revived(call), { readBody: body.read, bodyLimit: given.bodyLimit, signal: one.abort.signal });
    send({ kind: 'answer', id, answer });
  } catch (error) {
    send({ kind: 'failure', id, error: plainError(asSallyportError(error)) });
  } finally {
    body.close();
    running.delete(id);
  }
}

/** A class does not cross a thread. */
function revived(call: PluginCall): PluginCall {
  return 'context' in call ? { ...call, context: new TransactionContext(call.context) } : call;
}

function send(message: FromThread): void {
  port.postMessage(message);
}
