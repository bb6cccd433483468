import { performance } from 'node:perf_hooks';
import type { ErrorCode, Secret } from '@sallyport/sdk';

/** The doors a request can come through. A door translates its protocol into an `Exchange` and back, and decides nothing. */
export type DoorName = 'forward' | 'sidecar';

/** What travels: a request with its response, bytes both ways that are not looked at, or bytes both ways after a 101. */
export type ExchangeKind = 'request' | 'tunnel' | 'upgrade';

/** How an exchange ended: answered by the upstream, refused by us, failed on the way, or abandoned by the client. */
export type Outcome = 'completed' | 'refused' | 'failed' | 'aborted';

/** What policy said. `observed` means: would have been denied, but the mode is `observe`. */
export type PolicyVerdict = 'allowed' | 'denied' | 'observed' | 'passthrough';

/** Who is asking, once identified. */
export interface Caller {
  /** The name in the configuration, or the id of a run. Not secret. */
  readonly name: string;
  readonly kind: 'token' | 'certificate' | 'loopback' | 'run';
  /** Names of the credentials this caller may use; `all` only where the configuration says so. */
  readonly credentials: ReadonlySet<string> | 'all';
}

/**
 * The one value that flows through everything: a door makes it, each stage writes its part, `record` reads it once at the end.
 * Plain fields set in the constructor keep its shape fixed, so that the engine keeps property access fast.
 * Durations are milliseconds with a fraction, −1 where the step did not happen. Sizes are bytes.
 */
export class Exchange {
  readonly door: DoorName;
  kind: ExchangeKind = 'request';
  /** Accepted from the client when well-formed, otherwise generated. */
  requestId = '';
  /** Wall clock, milliseconds since the epoch. */
  readonly startedAt: number;
  /** Monotonic clock, for durations. */
  readonly startedTick: number;
  readonly clientAddress: string;

  // identify
  caller: Caller | null = null;

  // admit: the canonical target. `path` is what goes to the upstream; `query` includes the `?` or is empty.
  method = '';
  scheme: 'http' | 'https' = 'https';
  host = '';
  port = 0;
  path = '';
  query = '';
  verdict: PolicyVerdict | null = null;
  /** The text of the rule that decided; null when no rule matched and the mode decided. */
  rule: string | null = null;

  // select, resolve, inject
  /** Name of the credential that was selected, or of the plugin or forward target that gave one. */
  credential: string | null = null;
  /** Name of the forward target that it went to instead of its target; null when it did not. */
  forwardTarget: string | null = null;
  /** Lower-case names of the header fields that were injected: stripped from the response, redacted in records. */
  injectedHeaders: readonly string[] = NONE;
  /** What was placed into the request: kept out of the response and of the record. */
  secrets: readonly Secret[] = NO_SECRETS;
  resolveMs = -1;

  // forward
  upstreamAddress: string | null = null;
  upstreamReused = false;
  connectMs = -1;
  /** From the request leaving to the first byte of the final response head. */
  upstreamMs = -1;
  /** Status the upstream answered; 0 when it did not. */
  upstreamStatus = 0;
  /** Body bytes taken from the client and handed to it; for tunnels all bytes. */
  requestBytes = 0;
  responseBytes = 0;

  // the end
  /** Status the client was sent; 0 when it got none. */
  status = 0;
  outcome: Outcome = 'completed';
  error: ErrorCode | null = null;
  /** The sentence that belongs to `error`. Never holds secret material. */
  errorDetail: string | null = null;
  durationMs = -1;

  constructor(door: DoorName, clientAddress: string) {
    this.door = door;
    this.clientAddress = clientAddress;
    this.startedAt = Date.now();
    this.startedTick = performance.now();
  }
}

const NONE: readonly string[] = Object.freeze([]);
const NO_SECRETS: readonly Secret[] = Object.freeze([]);
