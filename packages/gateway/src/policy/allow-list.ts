import { SallyportError } from '@sallyport/sdk';
import { type AllowListKey, hostLabels, parseAllowListKey, parseAllowListPath } from './allow-list-key.js';
import type { Decision, PolicyMode, RuleConsidered } from './decision.js';
import { formatIp, parseIp, unmapped } from './ip-address.js';
import { isCleanPath, pathForms } from './path-forms.js';
import type { PathRule } from './path-rule.js';
import { PathRuleTable } from './path-rule-table.js';
import { WildcardTree } from './wildcard-tree.js';

/** What an allow-list is written as: path patterns by host key, as Chaperone has it. */
export type AllowListEntries = Readonly<Record<string, readonly string[]>>;

/**
 * A compiled allow-list. Hosts are canonical text (see `canonicalHost`), paths are without query.
 *
 * **Which key counts**: all keys that match host and port are looked at, the most specific one first, and the first path that matches lets the
 * request out. A key that does not match the path hides nothing behind it; only a key with an *empty* list does: it denies whatever the less specific
 * keys say. More specific is: no wildcard before any; then more literal labels; then fewer `**`; then more `*`; then a written port; then the order of
 * the letters.
 */
export interface AllowList {
  /**
   * Decides one request; the answers are frozen and shared. Like everywhere else, a path has to match in every way that a server could read it.
   * A path with dot segments, malformed or too deeply nested escapes is `ambiguous_path`, whatever its host. Allocates nothing for a clean path and a key with a few
   * paths.
   */
  decide(scheme: 'http' | 'https', host: string, port: number, path: string): Decision;
  /** Whether anything at this host and port could be let out; for a CONNECT, of which scheme and path are not known yet. */
  couldAllow(host: string, port: number): boolean;
  /** Every path of every key whose host fits, in the order of `decide`, up to and including the one that decides. */
  explain(scheme: 'http' | 'https', host: string, port: number, path: string): readonly RuleConsidered[];
  /** The keys whose host fits, whatever their port, in the order of `decide`. */
  keysFor(host: string): readonly AllowListKey[];
}

interface CompiledPath {
  readonly pattern: string;
  readonly path: PathRule;
  readonly decision: Decision;
}

interface CompiledKey extends AllowListKey {
  readonly paths: readonly CompiledPath[];
  readonly table: PathRuleTable<CompiledPath>;
}

/** Answers remembered per host. When there are too many, all are forgotten: they are cheap to find again. */
const REMEMBERED = 4096;

/**
 * Compiles an allow-list. A lookup costs the same for 10 and for 10,000 keys: one map read when the host was seen before, otherwise one step per
 * label. It costs the same for 10 and for 10,000 paths of a key.
 * `mode` says what becomes of a request that nothing lets out. Throws `config_invalid` for what cannot be read and for a key that is there twice;
 * `members.key` is the key as written and `members.index` that of the path, null where the key itself is wrong.
 */
export function compileAllowList(entries: AllowListEntries, mode: PolicyMode = 'strict'): AllowList {
  const tree = new WildcardTree<CompiledKey>();
  for (const key of compileKeys(entries)) tree.add(key.labels, key);
  const remembered = new Map<string, readonly CompiledKey[]>();
  const noHost = byMode(mode, 'no_host_rule');
  const noPath = byMode(mode, 'no_path_match');
  const ambiguous = freeze(mode === 'observe' ? 'observed' : 'denied', null, 'ambiguous_path', NO_NETWORKS);

  function keysFor(host: string): readonly CompiledKey[] {
    const known = remembered.get(host);
    if (known !== undefined) return known;
    const found = find(tree, host).sort(bySpecificity);
    if (remembered.size === REMEMBERED) remembered.clear();
    remembered.set(host, found);
    return found;
  }

  return {
    decide(scheme, host, port, path) {
      const forms = isCleanPath(path) ? null : unambiguousForms(path);
      if (forms === 'ambiguous') return ambiguous;
      let answer = noHost;
      for (const key of keysFor(host)) {
        if (!portFits(key, scheme, port)) continue;
        answer = noPath;
        if (key.paths.length === 0) break;
        const found = key.table.first(path, forms, '');
        if (found !== null) return found.decision;
      }
      return answer;
    },
    couldAllow: (host, port) => {
      const first = keysFor(host).find((key) => portFits(key, 'https', port) || portFits(key, 'http', port));
      return mode !== 'strict' || (first !== undefined && first.paths.length > 0);
    },
    explain(scheme, host, port, path) {
      const considered: RuleConsidered[] = [];
      const forms = isCleanPath(path) ? null : unambiguousForms(path);
      for (const key of keysFor(host)) {
        if (!portFits(key, scheme, port)) {
          considered.push({ rule: nameOf(key, null), matched: false, why: `it is for ${portInWords(key, scheme)}, not ${port}` });
          continue;
        }
        if (key.paths.length === 0)
          return [...considered, { rule: nameOf(key, null), matched: true, why: 'its list is empty, so it denies every path' }];
        for (const one of key.paths) {
          const { pattern } = one;
          const matched = forms !== 'ambiguous' && pathMatches(one, path, forms);
          const why = matched ? 'host, port and path match' : forms === 'ambiguous' ? AMBIGUOUS : `the path does not match ${pattern}`;
          considered.push({ rule: nameOf(key, pattern), matched, why });
          if (matched || forms === 'ambiguous') return considered;
        }
      }
      return considered;
    },
    keysFor,
  };
}

const NO_NETWORKS: Decision['permits'] = Object.freeze([]);
const AMBIGUOUS = 'this path can be read in more than one way';

function compileKeys(entries: AllowListEntries): CompiledKey[] {
  const written = new Map<string, string>();
  return Object.entries(entries).map(([text, patterns]) => {
    const key = located(text, null, () => parseAllowListKey(text));
    const earlier = written.get(key.text);
    if (earlier !== undefined) throw duplicate(text, earlier);
    written.set(key.text, text);
    const permits = key.network === null ? NO_NETWORKS : Object.freeze([key.network]);
    const paths = patterns.map((pattern, index) => {
      const path = located(text, index, () => parseAllowListPath(pattern));
      return { pattern, path, decision: freeze('allowed', nameOf(key, pattern), 'rule', permits) };
    });
    return { ...key, paths, table: new PathRuleTable(paths, pathMatches) };
  });
}

function located<T>(key: string, index: number | null, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    const detail = index === null ? error.message : `path ${index + 1} of the allow-list key ${JSON.stringify(key)}: ${error.message}`;
    throw new SallyportError(error.code, { detail, hint: error.hint, members: { key, index } });
  }
}

function duplicate(key: string, earlier: string): SallyportError {
  return new SallyportError('config_invalid', {
    detail: `The allow-list key ${JSON.stringify(key)} is the same as ${JSON.stringify(earlier)} above it`,
    hint: 'Put all paths of a host under one key.',
    members: { key, index: null },
  });
}

/** The keys that fit a host, in no order. */
function find(tree: WildcardTree<CompiledKey>, host: string): CompiledKey[] {
  const bytes = parseIp(host);
  return tree.find(hostLabels(bytes === null ? host : formatIp(unmapped(bytes))));
}

function bySpecificity(left: AllowListKey, right: AllowListKey): number {
  const ranks = [rankOf(left), rankOf(right)];
  for (const [place, rank] of ranks[0].entries()) if (rank !== ranks[1][place]) return rank - ranks[1][place];
  return left.text < right.text ? -1 : 1;
}

/** Compared from the front; smaller is more specific. */
function rankOf({ labels, port, host }: AllowListKey): readonly number[] {
  const many = labels.filter((label) => label === '**').length;
  const one = labels.filter((label) => label === '*').length;
  return [host === null ? 1 : 0, many + one - labels.length, many, -one, port === null ? 1 : 0];
}

function portFits(key: AllowListKey, scheme: 'http' | 'https', port: number): boolean {
  return port === (key.port ?? (scheme === 'https' ? 443 : 80));
}

function pathMatches({ path: rule }: CompiledPath, path: string, forms: readonly string[] | null): boolean {
  return forms === null ? rule.matchesClean(path) : rule.matchesEvery(forms);
}

/** The forms in which a path is judged. Ambiguous besides what `pathForms` finds: what cannot be decoded a second and a third time. */
function unambiguousForms(path: string): readonly string[] | 'ambiguous' {
  const forms = pathForms(path);
  if (forms === null) return 'ambiguous';
  let decoded = path;
  for (let round = 0; round < 2; round++) {
    decoded = decoded.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    if (/%(?![0-9a-fA-F]{2})/.test(decoded)) return 'ambiguous';
  }
  return forms;
}

function byMode(mode: PolicyMode, reason: Decision['reason']): Decision {
  if (mode === 'permissive') return freeze('allowed', null, 'mode', NO_NETWORKS);
  return freeze(mode === 'observe' ? 'observed' : 'denied', null, reason, NO_NETWORKS);
}

function freeze(verdict: Decision['verdict'], rule: string | null, reason: Decision['reason'], permits: Decision['permits']): Decision {
  return Object.freeze({ verdict, rule, reason, permits });
}

/** The name of an entry in records and explanations. */
function nameOf(key: AllowListKey, pattern: string | null): string {
  return pattern === null ? `allow_list ${key.text}` : `allow_list ${key.text} ${pattern}`;
}

function portInWords(key: AllowListKey, scheme: 'http' | 'https'): string {
  return key.port === null ? `port ${scheme === 'https' ? 443 : 80}, the default of ${scheme}` : `port ${key.port}`;
}
