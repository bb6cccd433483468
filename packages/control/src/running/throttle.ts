import { SallyportError } from '@sallyport/sdk';
import { rateLimitFields } from '../coordination/rate-limit-fields.js';
import type { RateLimiter } from '../coordination/rate-limiter.js';
import { addressKey, type RateAnswer, type RateRules } from '../coordination/rate-rule.js';
import type { Throttle } from '../server/service-app.js';

/** The rules of the endpoints of the control plane itself. */
export type OwnRateRules = RateRules<'actor' | 'address' | 'failed_authentication'>;

/** Holds requests up by these rules: an actor's by its id, all others by where they come from. */
export function throttleBy(limiter: RateLimiter<keyof OwnRateRules>, rules: OwnRateRules): Throttle {
  function refuseUnless({ allowed, resetMs }: RateAnswer): void {
    if (!allowed) throw new SallyportError('rate_limited', { members: { retry_after: resetMs / 1000 } });
  }
  return {
    admit: async (address) => refuseUnless(await limiter.check('failed_authentication', addressKey(address))),
    charge: async (address) => {
      await limiter.consume('failed_authentication', addressKey(address));
    },
    count: async (caller, address) => {
      const name = caller === null ? 'address' : 'actor';
      const answer = await limiter.consume(name, caller?.actor.id ?? addressKey(address));
      refuseUnless(answer);
      return rateLimitFields([{ name, rule: rules[name], answer }]);
    },
  };
}
