import type { Secret } from '@sallyport/sdk';
import type { DialTarget } from '../upstream/dial.js';
import type { OriginPool } from '../upstream/origin-pool.js';

/** A named upstream of the operator's own that calls are forwarded to as they are: mostly another router. */
export interface ForwardTarget {
  readonly name: string;
  readonly target: DialTarget;
  /** Its connections: with its own time limit for the response, and TLS 1.3. */
  readonly pool: OriginPool;
  /** What every request asks for, whatever the client asked for. */
  readonly pathAndQuery: string;
  /** The header line that says who we are, with its CR LF; empty for none. */
  readonly lines: string;
  readonly injectedHeaders: readonly string[];
  /** What of it may not come back. */
  readonly values: readonly string[];
  /** What of it may not be recorded. */
  readonly secrets: readonly Secret[];
}
