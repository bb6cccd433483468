import { SallyportError } from '@sallyport/sdk';
import { describeCall } from './describe-call.js';
import type { KeyResolver } from './key-resolver.js';
import { Overlaps } from './overlaps.js';
import { type CompiledRoute, compileRoute, type Route } from './route.js';
import { RouteIndex } from './route-index.js';
import { routeInvalid } from './route-invalid.js';
import type { RoutingOptions } from './routing-options.js';

/** A key, and the calls that it is for. */
export interface MappingRule {
  readonly match: Route;
  readonly key: string;
}

/**
 * A resolver that knows the keys beforehand: the rule that matches best gives the key, chosen as `Mux` chooses among routes. A call that no rule
 * matches fails with `mapping_not_found`; a rule without fields matches every call. Throws `route_invalid`, naming the rule, for a rule that cannot
 * be read or has an empty key. Warns when only the order decides between two rules.
 */
export function staticMapping(rules: readonly MappingRule[], { onWarning }: RoutingOptions = {}): KeyResolver {
  const index = new RouteIndex<string>();
  const overlaps = new Overlaps();
  const places = new Map<CompiledRoute, number>();
  for (const [i, { match, key }] of rules.entries()) {
    const compiled = compileRoute(match, `rules[${i}]`);
    if (typeof key !== 'string' || key === '') throw routeInvalid(`rules[${i}]: the key is empty`);
    index.add(compiled, key);
    if (onWarning === undefined) continue;
    places.set(compiled, i);
    const existing = overlaps.add(compiled);
    const a = existing === null ? undefined : places.get(existing);
    if (a === undefined) continue;
    onWarning('mapping rules with equal specificity may overlap, first one wins on tie', {
      rule_a_index: a,
      rule_a_key: rules[a].key,
      rule_b_index: i,
      rule_b_key: key,
    });
  }
  return {
    resolveKey(context) {
      const key = index.find(context);
      if (key === null) throw new SallyportError('mapping_not_found', { detail: `no mapping rule matched; ${describeCall(context)}` });
      return key;
    },
  };
}
