import { asSallyportError, SallyportError } from '@sallyport/sdk';
import { goneFailure, timeoutFailure } from './call-failure.js';
import type { CallAnswer, CallMeans, PluginCall } from './plugin-call.js';
import { type FromThread, fromPlainError, plainError, type ToThread } from './thread-messages.js';

/** One call of a plugin in a thread, from the side of those who wait. */
interface Pending {
  readonly id: number;
  readonly call: PluginCall;
  readonly means: CallMeans;
  readonly timeoutMs: number;
  readonly resolve: (answer: CallAnswer) => void;
  readonly reject: (error: SallyportError) => void;
  readonly gone: () => void;
  /** The plugin was called: what it did cannot be taken back, so it is not called again when its thread ends. */
  began: boolean;
  /** How many threads it was sent to. */
  sent: number;
  /** Its time was over once before it began, because another call blocked the thread. */
  extended: boolean;
  /** Somebody still waits. */
  waiting: boolean;
  ping: NodeJS.Timeout | null;
  deadline: NodeJS.Timeout | null;
  /** Runs out when the ping was not answered. */
  verdict: NodeJS.Timeout | null;
}

/** What the calls need of the thread. */
export interface ThreadPort {
  /** Brings a message to the thread, if there is one at the moment. */
  readonly post: (message: ToThread) => void;
  /** The thread does not turn its event loop any more. */
  readonly blocked: () => void;
}

/** A call that did not begin in this many threads is not tried in another. */
const MOST_THREADS = 3;

/** After this part of its time a call asks whether the thread is still turning its event loop. */
const PING_AT = 0.75;

/** A thread on a busy machine has at least this long to answer that. */
const GRACE_MS = 1_000;

/** The calls that are under way in the thread of a plugin. */
export class WorkerCalls {
  readonly #thread: ThreadPort;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  constructor(thread: ThreadPort) {
    this.#thread = thread;
  }

  /** Calls the plugin as soon as there is a thread; `ready` says whether there is one now. */
  perform(call: PluginCall, { timeoutMs, ...means }: CallMeans & { readonly timeoutMs: number }, ready: boolean): Promise<CallAnswer> {
    return new Promise((resolve, reject) => {
      if (means.signal.aborted) {
        reject(goneFailure(means.signal));
        return;
      }
      const id = ++this.#lastId;
      const gone = (): void => this.#giveUp(one, goneFailure(means.signal));
      const one: Pending = {
        ...{ id, call, means, timeoutMs, resolve, reject, gone },
        ...{ began: false, sent: 0, extended: false, waiting: true, ping: null, deadline: null, verdict: null },
      };
      this.#pending.set(id, one);
      means.signal.addEventListener('abort', gone, { once: true });
      this.#startClock(one);
      if (ready) this.#send(one);
    });
  }

  /** A thread is there: what was not begun in the one before begins now, and with all of its time. */
  resume(): void {
    for (const one of this.#pending.values()) {
      this.#stopClock(one);
      this.#startClock(one);
      this.#send(one);
    }
  }

  /** The thread has ended: calls that had begun fail; the others wait for the next thread. */
  threadEnded(error: SallyportError): void {
    for (const one of this.#pending.values()) {
      if (one.began || !one.waiting || one.sent >= MOST_THREADS) this.#settle(one, () => one.reject(error));
    }
  }

  /** No thread is coming: every call fails. */
  failAll(error: SallyportError): void {
    for (const one of this.#pending.values()) this.#settle(one, () => one.reject(error));
  }

  receive(message: Extract<FromThread, { id: number }>): void {
    const one = this.#pending.get(message.id);
    if (one === undefined) return;
    switch (message.kind) {
      case 'began':
        one.began = true;
        break;
      case 'pong':
        if (one.verdict !== null) clearTimeout(one.verdict);
        one.verdict = null;
        if (!one.waiting) this.#settle(one, () => {});
        break;
      case 'read-body':
        void this.#sendBody(one);
        break;
      case 'answer':
        this.#settle(one, () => one.resolve(message.answer));
        break;
      case 'failure':
        this.#settle(one, () => one.reject(fromPlainError(message.error)));
    }
  }

  async #sendBody(one: Pending): Promise<void> {
    try {
      const bytes = await one.means.readBody();
      if (this.#pending.has(one.id)) this.#thread.post({ kind: 'body', id: one.id, bytes });
    } catch (error) {
      if (this.#pending.has(one.id)) this.#thread.post({ kind: 'no-body', id: one.id, error: plainError(asSallyportError(error)) });
    }
  }

  #send(one: Pending): void {
    one.sent += 1;
    try {
      this.#thread.post({ kind: 'call', id: one.id, call: one.call });
    } catch (cause) {
      const error = new SallyportError('plugin_failed', { detail: 'the call could not be handed to the thread of the plugin', cause });
      this.#settle(one, () => one.reject(error));
    }
  }

  #startClock(one: Pending): void {
    const { timeoutMs } = one;
    one.ping = setTimeout(() => this.#thread.post({ kind: 'ping', id: one.id }), timeoutMs * PING_AT);
    one.deadline = setTimeout(() => this.#timeUp(one), timeoutMs);
    one.verdict = setTimeout(() => this.#notTurning(one), Math.max(timeoutMs, timeoutMs * PING_AT + GRACE_MS));
  }

  #stopClock(one: Pending): void {
    for (const timer of [one.ping, one.deadline, one.verdict]) if (timer !== null) clearTimeout(timer);
  }

  #timeUp(one: Pending): void {
    if (one.began || one.extended || one.sent === 0) {
      this.#giveUp(one, timeoutFailure(one.call.method, one.timeoutMs));
      return;
    }
    // Not its own fault: another call keeps the thread busy. It gets its time once more, most likely in the thread that comes next.
    one.extended = true;
    one.deadline = setTimeout(() => this.#timeUp(one), one.timeoutMs + 2 * GRACE_MS);
  }

  #notTurning(one: Pending): void {
    if (!one.waiting) this.#settle(one, () => {});
    if (one.sent > 0) this.#thread.blocked();
  }

  /** Nobody waits any more. The clock goes on: a call that nobody waits for can block the thread as well. */
  #giveUp(one: Pending, error: SallyportError): void {
    if (!one.waiting) return;
    one.waiting = false;
    one.means.signal.removeEventListener('abort', one.gone);
    one.reject(error);
    if (one.sent > 0) this.#thread.post({ kind: 'abort', id: one.id, error: plainError(error) });
    // The thread turned a moment ago: it need not be watched for this call, which may never end.
    if (one.sent === 0 || one.verdict === null) this.#settle(one, () => {});
  }

  #settle(one: Pending, tell: () => void): void {
    this.#stopClock(one);
    one.means.signal.removeEventListener('abort', one.gone);
    this.#pending.delete(one.id);
    tell();
  }
}
