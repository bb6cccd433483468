import { SallyportError } from '@sallyport/sdk';
import type { Policy } from '../policy/policy.js';
import type { Recorder } from '../record/recorder.js';
import type { LeafContexts } from '../tls/leaf-contexts.js';
import type { DialSettings } from '../upstream/dial.js';
import type { OriginPool } from '../upstream/origin-pool.js';
import { type FieldSet, fieldSet, hopByHopFields } from '../wire/field-names.js';
import type { HeadLimits } from '../wire/head.js';
import type { ServerTimeouts } from '../wire/server-connection.js';
import type { Tunnel } from '../wire/tunnel.js';
import type { BindingTable } from './bindings.js';
import { bodyFields } from './body-fields.js';
import type { CallerRegistry } from './callers.js';
import type { ConsultedPlugin } from './consulted-plugin.js';
import type { ForwardTarget } from './forward-targets.js';
import type { FailureThrottle } from './throttle.js';

/** Milliseconds; 0 means no limit. */
export interface Timeouts extends ServerTimeouts {
  readonly tlsHandshake: number;
  readonly total: number;
}

export interface Limits {
  readonly head: HeadLimits;
  readonly tunnels: number;
  readonly normalizedBody: number;
  /** What a plugin may hold of a body. */
  readonly pluginBody: number;
}

/** What a runtime is made of. */
export type RuntimeParts = Omit<Runtime, 'hopByHop' | 'representationFields' | 'noRoomForTunnel' | 'enter' | 'leave' | 'retire'>;

/**
 * One configuration, compiled. Immutable, but for what it learns while it runs (pooled connections, cached material). A reload makes a new one; exchanges
 * that began under the old one end under it, and with the last of them its credentials are closed.
 */
export class Runtime {
  readonly policy: Policy;
  readonly bindings: BindingTable;
  readonly callers: CallerRegistry;
  readonly throttle: FailureThrottle;
  /** Null without a plugin. */
  readonly plugin: ConsultedPlugin | null;
  readonly forwardTargets: ReadonlyMap<string, ForwardTarget>;
  readonly pool: OriginPool;
  /** For tunnels, which are dialed outside the pool. */
  readonly dialSettings: DialSettings;
  readonly leaves: LeafContexts;
  readonly recorder: Recorder;
  readonly timeouts: Timeouts;
  readonly limits: Limits;
  /** Tunnels and upgraded connections that are open. */
  readonly tunnels: Set<Tunnel>;
  /** Lets go of the credentials; called once nobody needs them any more. */
  readonly release: () => void;
  /** Fields that are never passed on in either direction. */
  readonly hopByHop: FieldSet = hopByHopFields;
  /** The same and what describes a body. */
  readonly representationFields: FieldSet = replacedBodyFields;
  #open = 0;
  #retired = false;

  constructor(parts: RuntimeParts) {
    this.policy = parts.policy;
    this.bindings = parts.bindings;
    this.callers = parts.callers;
    this.throttle = parts.throttle;
    this.plugin = parts.plugin;
    this.forwardTargets = parts.forwardTargets;
    this.pool = parts.pool;
    this.dialSettings = parts.dialSettings;
    this.leaves = parts.leaves;
    this.recorder = parts.recorder;
    this.timeouts = parts.timeouts;
    this.limits = parts.limits;
    this.tunnels = parts.tunnels;
    this.release = parts.release;
  }

  /** Why no tunnel can be opened at the moment (`limit_exceeded`); null when one can. */
  noRoomForTunnel(): SallyportError | null {
    if (this.tunnels.size < this.limits.tunnels) return null;
    return new SallyportError('limit_exceeded', { detail: `there are ${this.tunnels.size} tunnels already (limits.tunnels)` });
  }

  /** An exchange begins under this configuration. */
  enter(): void {
    this.#open++;
  }

  /** It is over. */
  leave(): void {
    this.#open--;
    this.#closeWhenDone();
  }

  /** Another configuration has taken over. */
  retire(): void {
    this.#retired = true;
    this.pool.close();
    for (const { pool } of this.forwardTargets.values()) pool.close();
    this.#closeWhenDone();
  }

  #closeWhenDone(): void {
    if (!this.#retired || this.#open > 0) return;
    this.plugin?.close();
    this.release();
  }
}

const replacedBodyFields: FieldSet = fieldSet(bodyFields).map((member, id) => member | hopByHopFields[id]);
