import { type MappingConfig, mappingFromConfig } from '@sallyport/credentials';
import { SallyportError, type TransactionContext } from '@sallyport/sdk';
import type { GatewayConfig } from '../config/schema.js';

type Rules = readonly { readonly match: GatewayConfig['routes'][number]['match'] }[];

/** Two rules between which only their order decides, by their places in the list; the first one wins. */
export interface Overlap {
  readonly first: number;
  readonly second: number;
}

const NEVER = new AbortController().signal;

/** A function that finds the best route for a call, by its place in the list; null when none matches. Chooses as `Mux` does. */
export function routeFinder(routes: Rules): (context: TransactionContext) => number | null {
  // A mapping whose keys are the places: it chooses among its rules as a mux chooses among its routes.
  const places = mappingFromConfig(routes.map(({ match }, place): MappingConfig[number] => ({ match, key: String(place) })));
  return (context) => {
    try {
      return Number(places.resolveKey(context, { signal: NEVER }));
    } catch (error) {
      if (error instanceof SallyportError && error.code === 'mapping_not_found') return null;
      throw error;
    }
  };
}

/** Pairs of rules that may match the same calls and of which neither is more specific. */
export function overlapsOf(rules: Rules): Overlap[] {
  const overlaps: Overlap[] = [];
  mappingFromConfig(
    rules.map(({ match }) => ({ match, key: 'any' })),
    { onWarning: (_message, { rule_a_index: a, rule_b_index: b }) => overlaps.push({ first: Number(a), second: Number(b) }) },
  );
  return overlaps;
}
