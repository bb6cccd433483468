import type { GatewayConfig } from '../config/schema.js';
import type { Runtime } from '../pipeline/runtime.js';
import { ForwardConnection } from './forward.js';
import { ForwardDoor } from './forward-door.js';
import { Listener, type ListenerOptions } from './listener.js';
import { SidecarConnection } from './sidecar.js';
import { SidecarDoor } from './sidecar-door.js';
import type { SidecarOps } from './sidecar-ops.js';

/** The forward door as a configuration describes it. */
export function forwardDoor({ listeners, sanitize }: GatewayConfig): ForwardDoor {
  return new ForwardDoor({ insecureTargets: listeners.forward?.insecure_targets ?? true, sensitiveHeaders: sanitize.sensitive_headers });
}

/** The sidecar as a configuration describes it. */
export function sidecarDoor({ listeners, sanitize }: GatewayConfig, ops: SidecarOps): SidecarDoor | null {
  const { sidecar } = listeners;
  if (sidecar === undefined) return null;
  return new SidecarDoor({
    headerPrefix: sidecar.header_prefix,
    traceHeader: sidecar.trace_header,
    callerHeader: sidecar.caller_header,
    insecureTargets: sidecar.insecure_targets,
    normalizeErrors: sidecar.normalize_errors,
    sensitiveHeaders: sanitize.sensitive_headers,
    ops,
  });
}

/** A port of the forward door, not yet open. */
export function forwardListener(options: ListenerOptions, current: { runtime: Runtime; door: ForwardDoor }): Listener<ForwardDoor> {
  return new Listener('forward', options, current, (served, socket) => new ForwardConnection(served, socket));
}

/** A port of the sidecar, not yet open. */
export function sidecarListener(options: ListenerOptions, current: { runtime: Runtime; door: SidecarDoor }): Listener<SidecarDoor> {
  return new Listener('sidecar', options, current, (served, socket) => new SidecarConnection(served, socket));
}
