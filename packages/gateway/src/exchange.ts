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

/** What an exchange may have to wait for before it goes out, by the names of its spans. */
export type WaitedStep = 'plugin.RouteRequest' | 'plugin.GetCredentials' | 'plugin.ModifyResponse' | 'credential.resolve';

/** One time that an exchange waited. Ticks are milliseconds of the monotonic clock. */
export interface Wait {
  readonly step: WaitedStep;
  readonly startTick: number;
  readonly endTick: number;
  /** What it ended with when it failed. */
  readonly error: ErrorCode | null;
}

/** One time that a request went out to an upstream. The last of an exchange ends with it; what is known of earlier ones stands here. */
export interface Attempt {
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** Before the connection was opened, if one was; `sentTick` is after that. */
  readonly startTick: number;
  readonly sentTick: number;
  /** −1 while it lasts. */
  endTick: number;
  /** Status that ended it; 0 for none. */
  status: number;
  error: ErrorCode | null;
  readonly address: string | null;
}

/** The part of an exchange in a distributed trace (W3C Trace Context), while it is under way: ids, and when its steps took place. */
export interface ExchangeTrace {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** Of the span that stands for the exchange: 16 hexadecimal digits. */
  readonly spanId: string;
  /** The span of the caller that it belongs to; null for the first of its trace. */
  readonly parent: { readonly spanId: string; readonly state: string } | null;
  readonly sampled: boolean;
  readonly attempts: readonly Attempt[];
  readonly waits: readonly Wait[];
  /** What the client called, where that is not the target: the authority that it named, empty for none, and whether over TLS. */
  readonly called: { readonly authority: string; readonly tls: boolean } | null;
  /** What the platform calls the service that it asks for; empty where it says nothing. */
  readonly serviceId: string;
  /** A request goes out: answers the header line, with its CR LF, by which the upstream knows what its own spans belong to. */
  attempt(exchange: Exchange): string;
  /** The same request goes out once more, because its connection died: answers its head with the line of the new attempt in the place of the old. */
  attemptAgain(head: string, exchange: Exchange): string;
  waited(wait: Wait): void;
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
  /** Whose service is called, as the platform says; empty where it says nothing. */
  vendorId = '';
  /** Null when tracing is off. */
  trace: ExchangeTrace | null = null;

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
  /** Why policy denied it: a reason of the policy. Null when it did not. */
  denial: string | null = null;

  // route
  /** What a router decided; null where none was asked. */
  route: 'forward' | 'credentials' | null = null;

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
  /** What kept us from the upstream, where `error` does not tell. */
  upstreamError: ErrorCode | null = null;
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
