import { type CompiledRoute, mayOverlap } from './route.js';

/** How many routes a new one is compared with at most. What is found is advice, so that it may not make a start slow. */
const MOST_COMPARED = 1000;

/** Routes that are equally specific and have the same literal fields. */
interface Group {
  readonly specificity: number;
  readonly literals: number;
  readonly fields: readonly string[];
  readonly routes: CompiledRoute[];
  /** The routes by their literals in some of the fields, one map for each choice of fields that was asked for. */
  readonly byFields: Map<string, { readonly fields: readonly string[]; readonly routes: Map<string, CompiledRoute[]> }>;
}

/** Finds pairs of routes between which only the order of registration decides: equally specific, equally literal, and not provably apart. */
export class Overlaps {
  readonly #groups = new Map<string, Group>();

  /** Adds a route, and answers one that was added before and may match the same calls; null when there is none. */
  add(route: CompiledRoute): CompiledRoute | null {
    const fields = literalFields(route);
    const found = this.#find(route, fields);
    const name = JSON.stringify([route.specificity, route.literals, fields]);
    const group: Group = this.#groups.get(name) ?? {
      specificity: route.specificity,
      literals: route.literals,
      fields,
      routes: [],
      byFields: new Map(),
    };
    this.#groups.set(name, group);
    group.routes.push(route);
    for (const { fields: chosen, routes } of group.byFields.values()) file(routes, chosen, route);
    return found;
  }

  #find(route: CompiledRoute, fields: readonly string[]): CompiledRoute | null {
    let compared = 0;
    for (const group of this.#groups.values()) {
      if (group.specificity !== route.specificity || group.literals !== route.literals) continue;
      const shared = group.fields.filter((field) => fields.includes(field));
      for (const candidate of candidates(group, shared, route)) {
        if (mayOverlap(candidate, route)) return candidate;
        if (++compared === MOST_COMPARED) return null;
      }
    }
    return null;
  }
}

/** The routes of the group with the same literals in the shared fields: all others are provably apart. */
function candidates(group: Group, shared: readonly string[], route: CompiledRoute): readonly CompiledRoute[] {
  const name = JSON.stringify(shared);
  let index = group.byFields.get(name);
  if (index === undefined) {
    index = { fields: shared, routes: new Map() };
    for (const member of group.routes) file(index.routes, shared, member);
    group.byFields.set(name, index);
  }
  return index.routes.get(literalsIn(shared, route)) ?? [];
}

function file(routes: Map<string, CompiledRoute[]>, fields: readonly string[], route: CompiledRoute): void {
  const key = literalsIn(fields, route);
  const bucket = routes.get(key);
  if (bucket === undefined) routes.set(key, [route]);
  else bucket.push(route);
}

function literalsIn(fields: readonly string[], { conditions }: CompiledRoute): string {
  return JSON.stringify(conditions.filter(({ dimension }) => fields.includes(dimension.name)).map(({ glob }) => glob.literal));
}

function literalFields({ conditions }: CompiledRoute): readonly string[] {
  return conditions.filter(({ glob }) => glob.literal !== null).map(({ dimension }) => dimension.name);
}
