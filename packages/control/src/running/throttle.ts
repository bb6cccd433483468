import { SallyportError } from '@sallyport/sdk';
import { rateLimitFields } from '../coordination/rate-limit-fields.js';
import type { RateLimiter } from '../coordination/rate-limiter.js';
import { addressKey, type RateAnswer, type RateRules } from '../coordination/rate-rule.js';
import type { Throttle } from '../server/service-app.js';
import type { ControlMetrics } from './control-metrics.js';

type RuleName = 'actor' | 'address' | 'failed_authentication';

/** The rules of the endpoints of the control plane itself. */
export type OwnRateRules = RateRules<RuleName>;

/** Holds requests up by these rules: an actor's by its id, all others by where they come from. What it does is counted in the metrics. */
export function throttleBy(
  limiter: RateLimiter<RuleName>,
  rules: OwnRateRules,
  metrics: Pick<ControlMetrics, 'refused' | 'failedAuthentication'>,
): Throttle {
  function refuseUnless(name: RuleName, { allowed, resetMs }: RateAnswer): void {
    if (allowed) return;
    metrics.refused(name);
    throw new SallyportError('rate_limited', { members: { retry_after: resetMs / 1000 } });
  }
  return {
    charge: async (address) => {
      metrics.failedAuthentication();
      refuseUnless('failed_authentication', await limiter.consume('failed_authentication', addressKey(address)));
    },
    count: async (caller, address) => {
      const name = caller === null ? 'address' : 'actor';
      const answer = await limiter.consume(name, caller?.actor.id ?? addressKey(address));
      refuseUnless(name, answer);
      return rateLimitFields([{ name, rule: rules[name], answer }]);
    },
  };
}
