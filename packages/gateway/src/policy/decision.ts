import type { PolicyVerdict } from '../exchange.js';
import type { Network } from './network.js';

/**
 * What happens to a request that no rule decides: `strict` denies it, `permissive` lets it out, `observe` lets it out and reports it as `observed`;
 * an explicit deny is only observed in `observe` as well.
 */
export type PolicyMode = 'strict' | 'permissive' | 'observe';

/**
 * Why: a rule decided; the mode decided; there is no rule for this host and port; there are, but none for this method, or none for this path;
 * or a rule looks at the path and the path can be read in several ways.
 */
export type DecisionReason = 'rule' | 'mode' | 'no_host_rule' | 'no_method_match' | 'no_path_match' | 'ambiguous_path';

/** What policy says about one request. Frozen, and shared by all requests that it is the answer to. */
export interface Decision {
  readonly verdict: PolicyVerdict;
  /** The text of the rule that decided, null when none did. */
  readonly rule: string | null;
  readonly reason: DecisionReason;
  /** Networks that this request may be dialed to although they are not global. */
  readonly permits: readonly Network[];
}

/** One rule that was considered, in the order of consideration. */
export interface RuleConsidered {
  readonly rule: string;
  readonly matched: boolean;
  /** A clause that says what matched or what did not. */
  readonly why: string;
}
