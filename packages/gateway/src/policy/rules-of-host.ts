import type { Decision } from './decision.js';
import type { HostPattern } from './host-pattern.js';
import { patternRank } from './host-table.js';
import type { PathRule } from './path-rule.js';
import { PathRuleTable } from './path-rule-table.js';
import type { Rule, RuleAction } from './rules.js';

/** A rule and what it leads to. */
export interface CompiledRule {
  readonly rule: Rule;
  /** Its place among all rules. */
  readonly order: number;
  readonly decision: Decision;
  /** The same for a CONNECT that passes unseen. */
  readonly tunnel: Decision;
}

interface PathedRule extends CompiledRule {
  readonly path: PathRule;
}

/** `clean`: the path as sent is its only form. */
export type PathForms = 'clean' | readonly string[];

/**
 * The rules for one host pattern, in file order. The first one with a fitting method and path is found at a cost that does not depend on how many there
 * are.
 */
export class RulesOfHost {
  readonly all: readonly CompiledRule[];
  readonly first: CompiledRule;
  /** The first rule that lets something out or keeps everything in: it settles whether there is hope for a CONNECT. */
  readonly decisive: CompiledRule | null;
  readonly #table: PathRuleTable<PathedRule>;
  readonly #pathed: FirstByMethod;
  readonly #open: FirstByMethod;

  /** Not empty. */
  constructor(rules: readonly [CompiledRule, ...CompiledRule[]]) {
    this.all = rules;
    this.first = rules[0];
    this.decisive = rules.find(({ rule }) => rule.action !== 'deny' || (rule.methods === null && rule.path === null)) ?? null;
    const pathed = rules.flatMap((one) => (one.rule.path === null ? [] : [{ ...one, path: one.rule.path }]));
    this.#table = new PathRuleTable(pathed, fits);
    this.#pathed = new FirstByMethod(pathed);
    this.#open = new FirstByMethod(rules.filter(({ rule }) => rule.path === null));
  }

  /** The first rule for this method that takes any path; null when there is none. */
  openTo(method: string): CompiledRule | null {
    return this.#open.get(method);
  }

  /** Whether a rule for this method looks at the path, before `end` (a rule of this host) lets every path through. */
  looksAtPath(method: string, end: CompiledRule | null): boolean {
    const first = this.#pathed.get(method);
    return first !== null && (end === null || first.order < end.order);
  }

  /** The first rule before `end` that looks at the path and fits; null when there is none. */
  firstFor(method: string, path: string, forms: PathForms, end: CompiledRule | null): CompiledRule | null {
    const found = this.#table.first(path, forms === 'clean' ? null : forms, method);
    return found === null || (end !== null && found.order > end.order) ? null : found;
  }
}

/** The rules of all host patterns: patterns that are for the same hosts and ports have theirs together. */
export function byHostPattern(rules: readonly CompiledRule[]): { pattern: HostPattern; rules: RulesOfHost }[] {
  const groups = new Map<string, [CompiledRule, ...CompiledRule[]]>();
  for (const one of rules) {
    const key = hostKey(one.rule.host);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return Array.from(groups.values(), (group) => ({ pattern: group[0].rule.host, rules: new RulesOfHost(group) }));
}

/** All rules of several hosts, the most specific host first, then in file order. */
export function inOrder(hosts: readonly RulesOfHost[]): CompiledRule[] {
  return hosts.flatMap(({ all }) => all).sort((a, b) => patternRank(a.rule.host) - patternRank(b.rule.host) || a.order - b.order);
}

/** The careful side for each action: an allow has to match however a server reads the path, a deny already when one may read it so. */
export function pathMatches(action: RuleAction, rule: PathRule, path: string, forms: PathForms): boolean {
  if (forms === 'clean') return rule.matchesClean(path);
  return action === 'deny' ? rule.matchesSome(forms) : rule.matchesEvery(forms);
}

function fits({ rule, path: pathRule }: PathedRule, path: string, forms: readonly string[] | null, method: string): boolean {
  return (rule.methods === null || rule.methods.has(method)) && pathMatches(rule.action, pathRule, path, forms ?? 'clean');
}

/** The first of some rules for each method. */
class FirstByMethod {
  readonly #named = new Map<string, CompiledRule>();
  readonly #any: CompiledRule | null = null;

  /** In file order. */
  constructor(rules: readonly CompiledRule[]) {
    for (const one of rules) {
      if (one.rule.methods === null) {
        // Whatever method comes behind it is not asked for any more.
        this.#any = one;
        break;
      }
      for (const method of one.rule.methods) if (!this.#named.has(method)) this.#named.set(method, one);
    }
  }

  get(method: string): CompiledRule | null {
    return this.#named.get(method) ?? this.#any;
  }
}

function hostKey(host: HostPattern): string {
  const of = host.kind === 'exact' ? host.host : host.kind === 'suffix' ? host.suffix : host.kind === 'network' ? host.network.text : '';
  return `${host.kind} ${of} ${host.port}`;
}
