import { SallyportError } from '@sallyport/sdk';
import type { PolicyVerdict } from '../exchange.js';
import { type AllowList, type AllowListEntries, compileAllowList } from './allow-list.js';
import type { Decision, DecisionReason, PolicyMode, RuleConsidered } from './decision.js';
import { portMatches } from './host-pattern.js';
import { HostTable } from './host-table.js';
import type { Network } from './network.js';
import { isCleanPath, pathForms } from './path-forms.js';
import { parseRule, type Rule } from './rules.js';
import { byHostPattern, inOrder, type PathForms, pathMatches, type RulesOfHost } from './rules-of-host.js';

/**
 * What to do with a CONNECT. `intercept`: every request inside is decided on its own, and `decision` only says whether one can hope.
 * `tunnel`: bytes pass unseen, and `decision` is final. `refuse`: nothing inside could ever be allowed.
 */
export interface ConnectDecision {
  readonly action: 'refuse' | 'intercept' | 'tunnel';
  readonly decision: Decision;
}

/** A compiled policy. Hosts are canonical text (see `canonicalHost`), paths are without query, methods are as sent. */
export interface Policy {
  readonly mode: PolicyMode;
  /**
   * Decides one request: rules in the order of how specific their host is, then in file order; the first one that matches method and path wins.
   * A rule that does not match hides nothing behind it. Allocates nothing for a clean path and a host with a few path rules. `scheme` (https when left out) says which port the keys of
   * an allow-list without a port are for.
   */
  decide(host: string, port: number, method: string, path: string, scheme?: 'http' | 'https'): Decision;
  /** Decides a CONNECT, of which only host and port are known. */
  decideConnect(host: string, port: number): ConnectDecision;
  /** The rules whose host pattern fits, in the order of `decide`, up to and including the one that decides it. */
  explain(host: string, port: number, method: string, path: string, scheme?: 'http' | 'https'): readonly RuleConsidered[];
}

/** What a policy is made of. */
export interface PolicyOptions {
  readonly mode: PolicyMode;
  readonly rules: readonly string[];
  /** Asked where no rule decides. */
  readonly allow_list?: AllowListEntries | undefined;
}

/**
 * Compiles rules, and an allow-list behind them, for lookup by host. Throws `config_invalid` as `parseRule` does, with the one-based number of the rule
 * in `members.rule`.
 */
export function compilePolicy(options: PolicyOptions): Policy {
  const rules = compileRules(options);
  return options.allow_list === undefined ? rules : withAllowList(rules, compileAllowList(options.allow_list, options.mode));
}

/** Rules decide first; what none of them decides is let out by the list, or by nothing. */
function withAllowList(rules: Policy, list: AllowList): Policy {
  return {
    mode: rules.mode,
    decide(host, port, method, path, scheme = 'https') {
      const decision = rules.decide(host, port, method, path);
      return decision.rule === null && decision.reason !== 'ambiguous_path' ? list.decide(scheme, host, port, path) : decision;
    },
    decideConnect(host, port) {
      const answer = rules.decideConnect(host, port);
      const undecided = answer.action === 'refuse' && answer.decision.rule === null;
      return undecided && list.couldAllow(host, port) ? { action: 'intercept', decision: hopeful } : answer;
    },
    explain(host, port, method, path, scheme = 'https') {
      const considered = rules.explain(host, port, method, path);
      const decided = considered.at(-1)?.matched === true || rules.decide(host, port, method, path).reason === 'ambiguous_path';
      return decided ? considered : [...considered, ...list.explain(scheme, host, port, path)];
    },
  };
}

function compileRules(options: PolicyOptions): Policy {
  const { mode } = options;
  const compiled = options.rules.map((text, order) => {
    const rule = readRule(text, order + 1);
    const decision = decisionOf(rule, mode);
    return { rule, order, decision, tunnel: Object.freeze({ ...decision, verdict: 'passthrough' as const }) };
  });
  const table = new HostTable<RulesOfHost>();
  for (const { pattern, rules } of byHostPattern(compiled)) table.add(pattern, rules);
  const denied = mode === 'observe' ? 'observed' : 'denied';
  const noHostRule = byMode(mode, 'no_host_rule');
  const noMethodMatch = byMode(mode, 'no_method_match');
  const noPathMatch = byMode(mode, 'no_path_match');
  const noAllowRule = byMode(mode, 'mode');
  const ambiguous = freeze(denied, null, 'ambiguous_path', NO_NETWORKS);

  return {
    mode,
    decide(host, port, method, path) {
      const hosts = table.lookup(host, port);
      if (hosts.length === 0) return noHostRule;
      let forms: PathForms | 'ambiguous' | undefined;
      for (const rules of hosts) {
        const open = rules.openTo(method);
        if (rules.looksAtPath(method, open)) {
          // Only now does it matter how the path reads: a host without path rules takes any path.
          forms ??= readPath(path);
          if (forms === 'ambiguous') return ambiguous;
          const found = rules.firstFor(method, path, forms, open);
          if (found !== null) return found.decision;
        }
        if (open !== null) return open.decision;
      }
      return forms === undefined ? noMethodMatch : noPathMatch;
    },
    decideConnect(host, port) {
      const hosts = table.lookup(host, port);
      if (hosts.length > 0 && hosts[0].first.rule.action === 'passthrough') return { action: 'tunnel', decision: hosts[0].first.tunnel };
      const decisive = hosts.find((rules) => rules.decisive !== null)?.decisive;
      const decision = decisive?.decision ?? (hosts.length === 0 ? noHostRule : noAllowRule);
      return { action: decision.verdict === 'denied' ? 'refuse' : 'intercept', decision };
    },
    explain(host, port, method, path) {
      const considered: RuleConsidered[] = [];
      for (const { rule } of inOrder(table.entriesFor(host).map(({ value }) => value))) {
        const ports = rule.host.port;
        const miss = portMatches(ports, port) ? missOf(rule, method, path) : `it is for ${portsInWords(ports)}, not ${port}`;
        considered.push({ rule: rule.text, matched: miss === null, why: miss ?? 'host, port, method and path match' });
        if (miss === null || miss === AMBIGUOUS) break;
      }
      return considered;
    },
  };
}

const NO_NETWORKS: readonly Network[] = Object.freeze([]);

/** Of a CONNECT to a host in an allow-list: what goes inside is decided request by request. */
const hopeful = freeze('allowed', null, 'mode', NO_NETWORKS);

const AMBIGUOUS = 'it looks at the path, and this path can be read in more than one way';

function readRule(text: string, number: number): Rule {
  try {
    return parseRule(text);
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    const detail = `rule ${number} (${JSON.stringify(text)}), ${error.message}`;
    throw new SallyportError(error.code, { detail, hint: error.hint, members: { ...error.members, rule: number } });
  }
}

function freeze(verdict: PolicyVerdict, rule: string | null, reason: DecisionReason, permits: readonly Network[]): Decision {
  return Object.freeze({ verdict, rule, reason, permits });
}

function decisionOf(rule: Rule, mode: PolicyMode): Decision {
  const verdict = rule.action !== 'deny' ? 'allowed' : mode === 'observe' ? 'observed' : 'denied';
  return freeze(verdict, rule.text, 'rule', Object.freeze([...rule.permits]));
}

/** The decision when no rule matched. In `permissive` the mode let it out, whatever else was missing. */
function byMode(mode: PolicyMode, reason: DecisionReason): Decision {
  if (mode === 'permissive') return freeze('allowed', null, 'mode', NO_NETWORKS);
  return freeze(mode === 'observe' ? 'observed' : 'denied', null, reason, NO_NETWORKS);
}

function readPath(path: string): PathForms | 'ambiguous' {
  return isCleanPath(path) ? 'clean' : (pathForms(path) ?? 'ambiguous');
}

function missOf(rule: Rule, method: string, path: string): string | null {
  if (rule.methods !== null && !rule.methods.has(method)) return `it is for ${[...rule.methods].join(', ')}, not ${method}`;
  if (rule.path === null) return null;
  const forms = readPath(path);
  if (forms === 'ambiguous') return AMBIGUOUS;
  if (pathMatches(rule.action, rule.path, path, forms)) return null;
  const isNear = forms !== 'clean' && rule.path.matchesSome(forms);
  return isNear
    ? `the path matches ${rule.path.glob} in one reading, but not in every way that a server may read it`
    : `the path does not match ${rule.path.glob}`;
}

function portsInWords(port: Rule['host']['port']): string {
  return port === 'any' ? 'every port' : port === 'default' ? 'ports 80 and 443' : `port ${port}`;
}
