import { SallyportError } from '@sallyport/sdk';
import { LRUCache } from 'lru-cache';
import type { Network } from '../policy/network.js';
import { deadlineIn } from '../wire/deadlines.js';
import type { UpstreamConnection } from '../wire/upstream-connection.js';
import { type DialDone, type DialSettings, type DialTarget, dial } from './dial.js';

export interface PoolLimits {
  /** Connections to one origin, open and being opened. */
  readonly perOrigin: number;
  /** Idle connections kept for one origin. */
  readonly idlePerOrigin: number;
  /** How long a connection is kept without a request, milliseconds. */
  readonly keepAlive: number;
}

const SESSIONS = 1024;

/** The connections of one origin, one identity and one set of permitted networks. */
interface Origin {
  readonly key: string;
  readonly target: DialTarget;
  readonly idle: UpstreamConnection[];
  total: number;
}

/** What `take` answers when no idle connection is there: the way to open one. */
export interface Opening {
  open(done: DialDone): () => void;
}

/**
 * Upstream connections, shared by all exchanges of the same origin and identity. The most recently used one is taken first, so that surplus ones
 * age out. A connection that carried one identity is never used for another: some upstreams tie what they know of a client to its connection.
 */
export class OriginPool {
  readonly #origins = new Map<string, Origin>();
  readonly #owner = new WeakMap<UpstreamConnection, Origin>();
  readonly #permitKeys = new WeakMap<readonly Network[], number>();
  readonly #limits: PoolLimits;
  readonly #settings: DialSettings;
  #permitSets = 0;
  #closed = false;
  /** For the metrics. */
  idleCount = 0;
  openCount = 0;

  constructor(limits: PoolLimits, settings: Omit<DialSettings, 'sessions'>) {
    this.#limits = limits;
    this.#settings = { ...settings, sessions: new LRUCache<string, Buffer>({ max: SESSIONS }) };
  }

  /** An idle connection for the target, or the means to open one. `identity` names whose credential travels on it. */
  take(target: DialTarget, identity: string): UpstreamConnection | Opening {
    const origin = this.#originFor(target, identity);
    const connection = origin.idle.pop();
    if (connection === undefined) return { open: (done: DialDone) => this.#open(origin, done) };
    this.idleCount--;
    connection.reused = true;
    return connection;
  }

  /** The way to open a connection that nobody used before, when an idle one turned out to be dead. */
  fresh(target: DialTarget, identity: string): Opening {
    const origin = this.#originFor(target, identity);
    return { open: (done) => this.#open(origin, done) };
  }

  /** Gives a connection back after its exchange. It is kept when it can serve another one. */
  release(connection: UpstreamConnection): void {
    const origin = this.#owner.get(connection);
    if (origin === undefined) return;
    if (this.#closed || !connection.reusable || origin.idle.length >= this.#limits.idlePerOrigin) {
      this.drop(connection);
      return;
    }
    connection.deadline = deadlineIn(this.#limits.keepAlive);
    origin.idle.push(connection);
    this.idleCount++;
  }

  /** Closes a connection and forgets it. */
  drop(connection: UpstreamConnection): void {
    this.forget(connection);
    connection.destroy();
  }

  /** Forgets a connection that somebody else closes: one that became a tunnel. */
  forget(connection: UpstreamConnection): void {
    const origin = this.#owner.get(connection);
    if (origin === undefined) return;
    this.#owner.delete(connection);
    this.#countDown(origin);
  }

  /** Closes what is idle; what is in use is closed when it is released. */
  close(): void {
    this.#closed = true;
    for (const origin of this.#origins.values()) {
      for (const connection of origin.idle.splice(0)) {
        this.idleCount--;
        this.drop(connection);
      }
    }
  }

  #open(origin: Origin, done: DialDone): () => void {
    if (origin.total >= this.#limits.perOrigin) {
      const detail = `there are ${origin.total} connections to ${origin.target.host} already (limits.connections_per_upstream)`;
      done(new SallyportError('limit_exceeded', { detail }), null);
      return () => {};
    }
    origin.total++;
    this.openCount++;
    const cancel = dial(origin.target, this.#settings, (error, connection) => {
      if (connection === null) this.#countDown(origin);
      else {
        this.#owner.set(connection, origin);
        connection.onIdleGone = (gone) => this.#idleGone(origin, gone);
      }
      done(error, connection);
    });
    return () => {
      cancel();
      this.#countDown(origin);
    };
  }

  #idleGone(origin: Origin, connection: UpstreamConnection): void {
    const at = origin.idle.indexOf(connection);
    if (at < 0) return;
    origin.idle.splice(at, 1);
    this.idleCount--;
    this.forget(connection);
  }

  #countDown(origin: Origin): void {
    origin.total--;
    this.openCount--;
    if (origin.total === 0) this.#origins.delete(origin.key);
  }

  #originFor(target: DialTarget, identity: string): Origin {
    const key = `${target.tls ? 's' : ''}|${target.host}|${target.port}|${this.#permitKey(target.permits)}|${identity}`;
    const known = this.#origins.get(key);
    if (known !== undefined) return known;
    const made: Origin = { key, target: { tls: target.tls, host: target.host, port: target.port, permits: target.permits }, idle: [], total: 0 };
    this.#origins.set(key, made);
    return made;
  }

  #permitKey(permits: readonly Network[]): number {
    const known = this.#permitKeys.get(permits);
    if (known !== undefined) return known;
    this.#permitKeys.set(permits, ++this.#permitSets);
    return this.#permitSets;
  }
}
