import { nearestWords } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { type HostPattern, parseHostPattern } from './host-pattern.js';
import { type Network, parseNetwork } from './network.js';
import { compilePathRule, type PathRule } from './path-rule.js';

/** What a rule does: let a request out, keep it in, or let a whole connection out unseen. */
export type RuleAction = 'allow' | 'deny' | 'passthrough';

/** One rule of a policy, read. */
export interface Rule {
  /** As written, without space around it: the name of the rule in records and explanations. */
  readonly text: string;
  readonly action: RuleAction;
  readonly host: HostPattern;
  /** Upper-case method tokens; null for every method. */
  readonly methods: ReadonlySet<string> | null;
  /** Null for every path. */
  readonly path: PathRule | null;
  /** Networks that may be called although they are not global: those behind `to`, and that of a host that is an IP literal or a CIDR. */
  readonly permits: readonly Network[];
}

interface Word {
  readonly text: string;
  /** One-based, counted in UTF-16 units from the start of the rule. */
  readonly column: number;
  readonly isQuoted: boolean;
}

const ACTIONS: readonly RuleAction[] = ['allow', 'deny', 'passthrough'];
const GRAMMAR = 'allow|deny|passthrough HOST[:PORT] [METHODS] [PATH-GLOB] [to CIDR[,CIDR…]]';

/**
 * Reads `allow|deny|passthrough HOST[:PORT] [METHODS] [PATH-GLOB] [to CIDR[,CIDR…]]`. METHODS is a comma list of upper-case tokens or `*`;
 * a word may stand in single or double quotes. `passthrough` takes neither methods nor a path, `deny` no `to`.
 * Throws `config_invalid`; the detail names the column and the offending word, and `members.column` holds the column (one-based).
 */
export function parseRule(text: string): Rule {
  const words = splitWords(text);
  const [actionWord, hostWord] = words;
  if (actionWord === undefined) throw invalid(1, 'the rule is empty');
  const action = readAction(actionWord);
  if (hostWord === undefined) throw invalid(behind(actionWord), `after "${action}" comes a host, as in "${action} api.example.com"`);
  const host = at(hostWord, () => parseHostPattern(hostWord.text));
  let rest = words.slice(2);

  let methods: ReadonlySet<string> | null = null;
  if (rest.length > 0 && !isPath(rest[0]) && !isTo(rest[0])) {
    refuseInTunnel(action, rest[0]);
    methods = readMethods(rest[0]);
    rest = rest.slice(1);
  }
  let path: PathRule | null = null;
  if (rest.length > 0 && isPath(rest[0])) {
    const word = rest[0];
    refuseInTunnel(action, word);
    path = at(word, () => compilePathRule(word.text));
    rest = rest.slice(1);
  }
  const permits = action === 'deny' ? [] : networkOfHost(host);
  if (rest.length > 0 && isTo(rest[0])) {
    if (action === 'deny') throw invalid(rest[0].column, 'a deny rule permits nothing, so "to" has no meaning in it');
    permits.push(...readNetworks(rest[0], rest[1]));
    rest = rest.slice(2);
  }
  if (rest.length > 0) throw invalid(rest[0].column, `"${rest[0].text}" does not belong here`);
  return { text: text.trim(), action, host, methods, path, permits };
}

function splitWords(text: string): readonly Word[] {
  const words: Word[] = [];
  // A quote that never closes takes the rest of the rule, so that it is seen and can be named.
  for (const match of text.matchAll(/"([^"]*)("?)|'([^']*)('?)|[^\s"']+/g)) {
    const column = match.index + 1;
    const isQuoted = match[0].startsWith('"') || match[0].startsWith("'");
    if (isQuoted && (match[2] ?? match[4]) === '') throw invalid(column, 'a quote is opened and never closed');
    const previous = words.at(-1);
    if (previous !== undefined && column === behind(previous)) throw invalid(column, 'words are separated by spaces, quoted ones too');
    words.push({ text: match[1] ?? match[3] ?? match[0], column, isQuoted });
  }
  return words;
}

function behind(word: Word): number {
  return word.column + word.text.length + (word.isQuoted ? 2 : 0);
}

function readAction(word: Word): RuleAction {
  const action = ACTIONS.find((known) => known === word.text);
  if (action !== undefined) return action;
  const [nearest] = nearestWords(word.text, ACTIONS);
  const advice = nearest === undefined ? `a rule begins with ${ACTIONS.join(', ')}` : `did you mean "${nearest}"?`;
  throw invalid(word.column, `"${word.text}" is not an action; ${advice}`);
}

function readMethods(word: Word): ReadonlySet<string> | null {
  if (word.text === '*') return null;
  const methods = word.text.split(',');
  for (const method of methods) {
    if (/^[A-Z0-9!#$%&'*+.^_`|~-]+$/.test(method) && method !== '*') continue;
    const upper = word.text.toUpperCase();
    const advice = /^[A-Z]+(?:,[A-Z]+)*$/.test(upper)
      ? `methods are upper-case: "${upper}"`
      : 'here comes a list of methods ("GET,POST", or "*"), a path that begins with "/", or "to"';
    throw invalid(word.column, `"${word.text}" is not a list of methods; ${advice}`);
  }
  return new Set(methods);
}

function readNetworks(to: Word, word: Word | undefined): readonly Network[] {
  if (word === undefined) throw invalid(behind(to), 'after "to" comes a network, as in "to 10.0.0.0/8"');
  return word.text.split(',').map((part) => {
    if (part === '')
      throw invalid(word.column, `"${word.text}" has an empty place in its list; write networks with a comma and no space between them`);
    return at(word, () => parseNetwork(part));
  });
}

/** A literal in a rule is named on purpose, so it needs no `to` besides. */
function networkOfHost(host: HostPattern): Network[] {
  return (host.kind === 'exact' || host.kind === 'network') && host.network !== null ? [host.network] : [];
}

function refuseInTunnel(action: RuleAction, word: Word): void {
  if (action !== 'passthrough') return;
  throw invalid(
    word.column,
    `"${word.text}" cannot be checked: inside a passthrough tunnel neither method nor path can be seen; use "allow" to look inside`,
  );
}

function isPath(word: Word): boolean {
  return word.text.startsWith('/');
}

function isTo(word: Word): boolean {
  return word.text === 'to' && !word.isQuoted;
}

function at<T>(word: Word, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    throw new SallyportError('config_invalid', {
      detail: located(word.column, error.message),
      hint: error.hint,
      members: { column: word.column },
    });
  }
}

function invalid(column: number, what: string): SallyportError {
  return new SallyportError('config_invalid', { detail: located(column, what), hint: `Write the rule as: ${GRAMMAR}`, members: { column } });
}

function located(column: number, what: string): string {
  return `column ${column}: ${what}`;
}
