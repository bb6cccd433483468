import type { RateAnswer, RateRule } from './rate-rule.js';

/** What one rule said to a request. */
export interface RateOutcome {
  readonly name: string;
  readonly rule: RateRule;
  readonly answer: RateAnswer;
}

/**
 * The header fields that tell a client where it stands: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers, structured fields
 * of RFC 9651), and `Retry-After` in whole seconds (RFC 9110 §10.2.3) when a rule has refused the request. Seconds are rounded up: who comes back
 * then is not too early. Nothing without rules.
 */
export function rateLimitFields(outcomes: readonly RateOutcome[]): Readonly<Record<string, string>> {
  if (outcomes.length === 0) return {};
  const refused = outcomes.filter(({ answer }) => !answer.allowed);
  return {
    'RateLimit-Policy': outcomes.map(({ name, rule }) => `${quoted(name)};q=${rule.limit};w=${rule.windowSeconds}`).join(', '),
    RateLimit: outcomes.map(({ name, answer }) => `${quoted(name)};r=${answer.remaining};t=${seconds(answer.resetMs)}`).join(', '),
    ...(refused.length === 0 ? {} : { 'Retry-After': String(Math.max(1, ...refused.map(({ answer }) => seconds(answer.resetMs)))) }),
  };
}

function seconds(milliseconds: number): number {
  return Math.max(0, Math.ceil(milliseconds / 1000));
}

/** A String of RFC 9651 §3.3.3. Names of rules are checked when the limiter is made; they have nothing to escape. */
function quoted(name: string): string {
  return `"${name}"`;
}
