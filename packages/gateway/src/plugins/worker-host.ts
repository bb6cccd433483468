import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { SallyportError } from '@sallyport/sdk';
import { HANGS_AT_IMPORT, loadFailure } from './load-failure.js';
import type { CallAnswer, CallMeans, PluginCall } from './plugin-call.js';
import type { LoadedPlugin } from './plugin-host.js';
import { restartDelay } from './restart-delay.js';
import { type FromThread, fromPlainError, packed, type ThreadData } from './thread-messages.js';
import { WorkerCalls } from './worker-calls.js';

// From the sources, as in tests, the compiled thread is taken too: a thread is run by Node itself, which may not know TypeScript.
const entry = new URL('../../dist/plugins/plugin-thread.js', import.meta.url);

/** Old space of a thread. A plugin that needs more loses its thread, and the gateway goes on. */
const MEMORY_MB = 256;

/** How long a thread may take until it begins to load its plugin. */
const BOOT_MS = 30_000;

/** What a thread is started with, before it is made fit to cross. */
export interface WorkerOptions {
  readonly plugin: string;
  readonly folder: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly loadTimeoutMs: number;
  readonly bodyLimit: number;
  /** Hears what no caller learns of: a thread that ended, one that could not be started again, a promise that the plugin forgot. Must not throw. */
  readonly onTrouble: (error: SallyportError) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
  readonly startedAt: number;
  /** It was ended because it did not turn its event loop any more. */
  blocked: boolean;
}

/** What a thread said first: that it has the plugin, or why not. */
type Start = { readonly thread: Thread; readonly loaded: LoadedPlugin };

/**
 * A plugin in a thread of its own. A thread that ends, or blocks, is replaced, with a growing pause after the second time; calls that had begun in it
 * fail with `plugin_failed`, those that had not are begun in the next one.
 */
export class PluginWorker {
  readonly #options: WorkerOptions;
  readonly #calls: WorkerCalls;
  readonly #delay = restartDelay();
  #thread: Thread | null = null;
  #starting: Worker | null = null;
  #restart: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#calls = new WorkerCalls({
      post: (message) => this.#thread?.port.postMessage(message),
      blocked: () => this.#endBlocked(),
    });
  }

  /** Starts the thread for the first time. Rejects with `plugin_load_failed`. */
  async start(): Promise<LoadedPlugin> {
    const { thread, loaded } = await this.#spawn();
    this.#adopt(thread);
    return loaded;
  }

  perform(call: PluginCall, means: CallMeans & { readonly timeoutMs: number }): Promise<CallAnswer> {
    if (this.#closed) return Promise.reject(closed());
    return this.#calls.perform(call, means, this.#thread !== null);
  }

  /** Ends the thread. Calls that are under way fail with `plugin_failed`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    this.#calls.failAll(closed());
    await Promise.all([this.#thread?.worker.terminate(), this.#starting?.terminate()]);
  }

  #endBlocked(): void {
    if (this.#thread === null) return;
    this.#thread.blocked = true;
    void this.#thread.worker.terminate();
  }

  #adopt(thread: Thread): void {
    this.#thread = thread;
    // A gateway that has nothing else to do may end.
    thread.worker.unref();
    thread.port.unref();
    this.#calls.resume();
  }

  #spawn(): Promise<Start> {
    const { plugin, folder, options, loadTimeoutMs, bodyLimit } = this.#options;
    const { port1: port, port2 } = new MessageChannel();
    const data: ThreadData & { port: MessagePort } = { plugin, folder, options: packed(options), loadTimeoutMs, bodyLimit, port: port2 };
    const worker = new Worker(entry, {
      name: `plugin ${plugin}`,
      workerData: data,
      transferList: [port2],
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB },
    });
    const thread: Thread = { worker, port, startedAt: Date.now(), blocked: false };
    this.#starting = worker;
    return new Promise<Start>((resolve, reject) => {
      let fault: unknown = null;
      let timer = setTimeout(() => fail(loadFailure(plugin, `no thread could be started for it within ${BOOT_MS / 1000} s`)), BOOT_MS);
      const done = (): void => {
        clearTimeout(timer);
        this.#starting = null;
      };
      const fail = (error: SallyportError): void => {
        done();
        void worker.terminate();
        reject(error);
      };
      const receive = (message: FromThread): void => {
        if (message.kind === 'loading') {
          // The thread sees to a plugin that waits for ever; one that blocks while it loads has to be ended from here.
          clearTimeout(timer);
          timer = setTimeout(
            () => fail(loadFailure(plugin, `did not finish within ${loadTimeoutMs / 1000} s ${HANGS_AT_IMPORT}`)),
            loadTimeoutMs * 2,
          );
        } else if (message.kind === 'loaded') {
          done();
          resolve({ thread, loaded: message.loaded });
        } else if (message.kind === 'not-loaded') fail(fromPlainError(message.error));
        else if (message.kind === 'stray') this.#options.onTrouble(fromPlainError(message.error));
        else if (thread === this.#thread) this.#calls.receive(message);
      };
      port.on('message', receive);
      worker.on('error', (error) => {
        fault = error;
      });
      worker.on('exit', (code) => {
        if (thread === this.#thread) {
          // What the thread said last may be behind this event: above all which calls it began.
          for (let last = receiveMessageOnPort(port); last !== undefined; last = receiveMessageOnPort(port)) receive(last.message as FromThread);
          this.#ended(thread, threadFailure(thread, fault, code));
        } else fail(loadFailure(plugin, `ended its thread while it was loaded (exit code ${code})`, fault ?? undefined));
        port.close();
      });
    });
  }

  #ended(thread: Thread, error: SallyportError): void {
    this.#thread = null;
    if (this.#closed) return;
    this.#calls.threadEnded(error);
    this.#options.onTrouble(error);
    this.#restartAfter(thread.startedAt);
  }

  #restartAfter(startedAt: number): void {
    this.#restart = setTimeout(() => void this.#startAgain(), this.#delay.next(startedAt, Date.now())).unref();
  }

  async #startAgain(): Promise<void> {
    const startedAt = Date.now();
    try {
      const { thread } = await this.#spawn();
      if (this.#closed) await thread.worker.terminate();
      else this.#adopt(thread);
    } catch (cause) {
      if (this.#closed) return;
      const error = new SallyportError('plugin_failed', { detail: 'the plugin could not be started again', cause });
      this.#calls.failAll(error);
      this.#options.onTrouble(error);
      this.#restartAfter(startedAt);
    }
  }
}

function threadFailure({ blocked }: Thread, fault: unknown, code: number): SallyportError {
  const detail = blocked ? 'the thread of the plugin was ended because it was blocked' : 'the thread of the plugin ended';
  return new SallyportError('plugin_failed', { detail, cause: fault ?? new Error(`the exit code of the thread was ${code}`) });
}

function closed(): SallyportError {
  return new SallyportError('plugin_failed', { detail: 'the plugin was closed: the configuration was replaced, or the gateway is stopping' });
}
