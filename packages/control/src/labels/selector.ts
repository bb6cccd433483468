import { SallyportError } from '@sallyport/sdk';
import { isReservedKey, type Labels, labelKeyFlaw, labelValueFlaw, systemKeyFlaw, systemValueFlaw } from './label-grammar.js';

/** One condition of a selector. `in` is also `=` and `==`, `notin` is also `!=`; a label that is absent meets `notin`, as in Kubernetes. */
export type Requirement =
  | { readonly operator: 'in' | 'notin'; readonly key: string; readonly values: readonly string[] }
  | { readonly operator: 'exists' | 'absent'; readonly key: string };

/** All requirements of a selector, which hold together; an empty list selects everything. */
export type Selector = readonly Requirement[];

const TEXT_LIMIT = 4096;
const REQUIREMENT_LIMIT = 32;
const VALUE_LIMIT = 64;

const WORD = /[^\s,()=!]*/y;

/**
 * Reads `k=v, k==v, k!=v, k in (a,b), k notin (a,b), k, !k`. Blanks around tokens do not matter; the empty text selects everything. Throws
 * `selector_invalid` with the column of the first character that cannot be understood, counted from 1.
 */
export function parseSelector(text: string): Selector {
  if (text.length > TEXT_LIMIT) throw invalid(TEXT_LIMIT, `the selector is longer than ${TEXT_LIMIT} characters`);
  const scanner = scan(text);
  const requirements: Requirement[] = [];
  scanner.blanks();
  if (scanner.atEnd()) return requirements;
  for (;;) {
    const start = scanner.position();
    if (requirements.length === REQUIREMENT_LIMIT) throw invalid(start, `a selector has at most ${REQUIREMENT_LIMIT} conditions`);
    requirements.push(readRequirement(scanner));
    if (scanner.atEnd()) return requirements;
    if (!scanner.take(',')) throw invalid(scanner.position(), 'a comma or the end is expected here');
  }
}

/** True when these labels, a user's and the system's together, meet every requirement. */
export function selectorMatches(selector: Selector, labels: Labels): boolean {
  return selector.every((requirement) => requirementMet(requirement, labels));
}

function requirementMet(requirement: Requirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  switch (requirement.operator) {
    case 'exists':
      return value !== undefined;
    case 'absent':
      return value === undefined;
    case 'in':
      return value !== undefined && requirement.values.includes(value);
    case 'notin':
      return value === undefined || !requirement.values.includes(value);
  }
}

/** The text that `parseSelector` reads back as this selector. */
export function formatSelector(selector: Selector): string {
  return selector.map(formatRequirement).join(',');
}

function formatRequirement(requirement: Requirement): string {
  if (!('values' in requirement)) return requirement.operator === 'exists' ? requirement.key : `!${requirement.key}`;
  const { key, operator, values } = requirement;
  if (values.length === 1) return `${key}${operator === 'in' ? '=' : '!='}${values.join('')}`;
  return `${key} ${operator} (${values.join(',')})`;
}

type Scanner = ReturnType<typeof scan>;

function scan(text: string) {
  let at = 0;
  function blanks(): void {
    while (at < text.length && (text[at] === ' ' || text[at] === '\t')) at += 1;
  }
  return {
    blanks,
    atEnd: (): boolean => at === text.length,
    position: (): number => at,
    /** Takes the token and the blanks behind it, if it is next. */
    take(token: string): boolean {
      if (!text.startsWith(token, at)) return false;
      at += token.length;
      blanks();
      return true;
    },
    /** The longest run of characters that end no word, and the blanks behind it; empty when there is none. */
    word(): string {
      WORD.lastIndex = at;
      const found = WORD.exec(text)?.[0] ?? '';
      at += found.length;
      blanks();
      return found;
    },
  };
}

function readRequirement(scanner: Scanner): Requirement {
  if (scanner.take('!')) return { operator: 'absent', key: readKey(scanner) };
  const key = readKey(scanner);
  if (scanner.take('!=')) return { operator: 'notin', key, values: [readValue(scanner, key)] };
  if (scanner.take('==') || scanner.take('=')) return { operator: 'in', key, values: [readValue(scanner, key)] };
  const start = scanner.position();
  const operator = scanner.word();
  if (operator === '') return { operator: 'exists', key };
  if (operator !== 'in' && operator !== 'notin') throw invalid(start, '`=`, `==`, `!=`, `in`, `notin` or a comma is expected here');
  return { operator, key, values: readSet(scanner, key) };
}

function readKey(scanner: Scanner): string {
  const start = scanner.position();
  const key = scanner.word();
  if (key === '') throw invalid(start, 'a label key is expected here');
  const flaw = isReservedKey(key) ? systemKeyFlaw(key) : labelKeyFlaw(key);
  if (flaw !== null) throw invalid(start, `the label key ${flaw}`);
  return key;
}

function readValue(scanner: Scanner, key: string): string {
  const start = scanner.position();
  const value = scanner.word();
  const flaw = isReservedKey(key) ? systemValueFlaw(value) : labelValueFlaw(value);
  if (flaw !== null) throw invalid(start, `the label value ${flaw}`);
  return value;
}

function readSet(scanner: Scanner, key: string): readonly string[] {
  if (!scanner.take('(')) throw invalid(scanner.position(), '`(` is expected here');
  const values = new Set<string>();
  const start = scanner.position();
  if (scanner.take(')')) throw invalid(start, 'a value is expected here');
  for (;;) {
    if (values.size === VALUE_LIMIT) throw invalid(scanner.position(), `a set has at most ${VALUE_LIMIT} values`);
    values.add(readValue(scanner, key));
    if (scanner.take(')')) return [...values];
    if (!scanner.take(',')) throw invalid(scanner.position(), '`,` or `)` is expected here');
  }
}

function invalid(position: number, what: string): SallyportError {
  const column = position + 1;
  return new SallyportError('selector_invalid', { detail: `The label selector is not valid at column ${column}: ${what}.`, members: { column } });
}
