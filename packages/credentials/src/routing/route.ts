import type { TransactionContext } from '@sallyport/sdk';
import { compileGlob, type Glob } from './glob.js';
import { routeInvalid } from './route-invalid.js';
import { parseTarget, parseTargetPattern, restDisjoint, restMatches, type TargetParts, type TargetPattern } from './target-pattern.js';

/**
 * Which calls are meant: each field is a glob, and all that are there have to match. A field that is left out, or empty, matches everything, so a
 * route without fields matches every call.
 */
export interface Route {
  readonly vendorId?: string | undefined;
  readonly marketplaceId?: string | undefined;
  readonly productId?: string | undefined;
  readonly environmentId?: string | undefined;
  /** `[SCHEME://]HOST[:PORT][/PATH][?QUERY]`, compared part by part. */
  readonly targetUrl?: string | undefined;
  /** Globs for fields of the context data. One that is missing, empty or not a text matches nothing, not even `**`. */
  readonly data?: Readonly<Record<string, string>> | undefined;
}

const textFields = ['vendorId', 'marketplaceId', 'productId', 'environmentId'] as const;
const fieldNames: readonly string[] = [...textFields, 'targetUrl', 'data'];

/** One text that a call has or lacks, and how it is read. */
interface Dimension {
  readonly name: string;
  /** Null: no pattern matches. */
  read(subject: Subject): string | null;
}

/** A glob for one text of a call. */
export interface Condition {
  readonly dimension: Dimension;
  readonly glob: Glob;
}

/** A route, read. */
export interface CompiledRoute {
  /** As it was given, without what is empty; for messages. */
  readonly route: Route;
  /** How many fields and data entries it has: more are more specific. */
  readonly specificity: number;
  /** How many of them have no wildcard: among equally specific routes, more come first. */
  readonly literals: number;
  /** In the order of the names of their dimensions. */
  readonly conditions: readonly Condition[];
  readonly target: TargetPattern | null;
}

/** A call as routes see it. The target is taken apart when the first route asks for it. */
export class Subject {
  readonly context: TransactionContext;
  #target: TargetParts | null | undefined;

  constructor(context: TransactionContext) {
    this.context = context;
  }

  /** Null when the context names no target that can be called. */
  get target(): TargetParts | null {
    if (this.#target === undefined) this.#target = parseTarget(this.context.targetUrl);
    return this.#target;
  }
}

/** Reads a route. Throws `route_invalid` for an unknown field, a field that is not a text, and a target that cannot be read; `where` names the route. */
export function compileRoute(route: Route, where: string): CompiledRoute {
  if (typeof route !== 'object' || route === null) throw routeInvalid(`${where} is not an object of fields`);
  for (const name of Object.keys(route)) {
    // A misspelled field would be one that is left out, and the route would match more than it should.
    if (!fieldNames.includes(name)) throw routeInvalid(`${where} has a field ${JSON.stringify(name)}; the fields are ${fieldNames.join(', ')}`);
  }
  const kept: { -readonly [K in keyof Route]: Route[K] } = {};
  const conditions: Condition[] = [];
  let literals = 0;
  for (const name of textFields) {
    const pattern = textOf(route[name], `${where}: ${name}`);
    if (pattern === '') continue;
    const glob = compileGlob(pattern, '/');
    conditions.push({ dimension: dimensions[name], glob });
    kept[name] = pattern;
    if (glob.literal !== null) literals++;
  }
  const targetText = textOf(route.targetUrl, `${where}: targetUrl`);
  const target = targetText === '' ? null : parseTargetPattern(targetText, where);
  if (target !== null) {
    conditions.push({ dimension: dimensions.host, glob: target.host });
    if (target.path !== null) conditions.push({ dimension: dimensions.path, glob: target.path });
    kept.targetUrl = targetText;
    if (target.isLiteral) literals++;
  }
  const entries = Object.entries(dataOf(route.data, where));
  for (const [field, pattern] of entries) {
    if (textOf(pattern, `${where}: data.${field}`) === '') throw routeInvalid(`${where}: data.${field} is empty; "**" is any text`);
    const glob = compileGlob(pattern, '/');
    conditions.push({ dimension: dataDimension(field), glob });
    if (glob.literal !== null) literals++;
  }
  if (entries.length > 0) kept.data = Object.fromEntries(entries);
  conditions.sort((a, b) => (a.dimension.name < b.dimension.name ? -1 : 1));
  const specificity = Object.keys(kept).length - (entries.length > 0 ? 1 : 0) + entries.length;
  return { route: kept, specificity, literals, conditions, target };
}

/** True when every field of the route matches the call. */
export function routeMatches(route: CompiledRoute, subject: Subject): boolean {
  for (const { dimension, glob } of route.conditions) {
    const text = dimension.read(subject);
    if (text === null || !glob.matches(text)) return false;
  }
  return route.target === null || (subject.target !== null && restMatches(route.target, subject.target));
}

/** True unless some field shows that no call matches both. Two globs with wildcards are told apart by what they begin and end with. */
export function mayOverlap(a: CompiledRoute, b: CompiledRoute): boolean {
  for (const { dimension, glob } of a.conditions) {
    const other = b.conditions.find((condition) => condition.dimension.name === dimension.name);
    if (other !== undefined && areDisjoint(glob, other.glob)) return false;
  }
  return a.target === null || b.target === null || !restDisjoint(a.target, b.target);
}

function areDisjoint(a: Glob, b: Glob): boolean {
  if (a.literal !== null) return !b.matches(a.literal);
  if (b.literal !== null) return !a.matches(b.literal);
  const mayBegin = a.prefix.startsWith(b.prefix) || b.prefix.startsWith(a.prefix);
  const mayEnd = a.suffix.endsWith(b.suffix) || b.suffix.endsWith(a.suffix);
  return !mayBegin || !mayEnd;
}

const dimensions = {
  vendorId: { name: 'vendorId', read: ({ context }) => context.vendorId },
  marketplaceId: { name: 'marketplaceId', read: ({ context }) => context.marketplaceId },
  productId: { name: 'productId', read: ({ context }) => context.productId },
  environmentId: { name: 'environmentId', read: ({ context }) => context.environmentId },
  host: { name: 'host', read: ({ target }) => target?.host ?? null },
  path: { name: 'path', read: ({ target }) => target?.path ?? null },
} as const satisfies Record<string, Dimension>;

function dataDimension(field: string): Dimension {
  return {
    name: `data.${field}`,
    read({ context: { data } }) {
      const value = data !== null && Object.hasOwn(data, field) ? data[field] : null;
      return typeof value === 'string' && value !== '' ? value : null;
    },
  };
}

function textOf(value: unknown, where: string): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return value;
  throw routeInvalid(`${where} is not a text`);
}

function dataOf(value: unknown, where: string): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, string>;
  throw routeInvalid(`${where}: data is not an object of texts`);
}
