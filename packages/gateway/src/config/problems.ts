import { type ErrorCode, SallyportError } from '@sallyport/sdk';
import type { Span } from './document-tree.js';

/** One thing that is wrong (or, among warnings, doubtful) in a configuration, and where. Holds no secret: all of it may be printed. */
export interface Problem {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** The path of keys, such as `gateway.policy.rules[3]`; empty where the problem is with the file as a whole. */
  readonly key: string;
  readonly message: string;
  /** The line as far as it may be shown, and how many columns into it the problem starts; null when there is nothing to show. */
  readonly excerpt: { readonly text: string; readonly caret: number | null } | null;
}

/**
 * A configuration that cannot be used: `config_invalid` with every problem that was found, in the order of the file, or `config_not_found`
 * with none. The message names the first problem; `formatProblems` shows all.
 */
export class ConfigError extends SallyportError {
  readonly problems: readonly Problem[];

  constructor(code: Extract<ErrorCode, 'config_invalid' | 'config_not_found'>, file: string, problems: readonly Problem[], reason?: string) {
    super(code, { detail: summary(file, problems, reason) });
    this.problems = problems;
  }
}

/** Every problem as `file:line:column  key  message`, with the source line and a caret below where they may be shown. No colours. */
export function formatProblems(problems: readonly Problem[]): string {
  return problems.map(formatProblem).join('\n');
}

/** Makes problems for one file: knows its lines, and what of them may not be shown. */
export interface ProblemMaker {
  /** The problem at a place of the text. */
  at(span: Span, key: string, message: string): Problem;
}

const LONGEST_EXCERPT = 160;

/**
 * A maker for the text of a file. An excerpt ends before the first of the `hidden` stretches on its line; when `hidden` is null nothing is
 * known about the text, and an excerpt holds nothing but a key.
 */
export function problemMaker(file: string, text: string, hidden: readonly Span[] | null): ProblemMaker {
  const lineStarts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1);
  return {
    at(span, key, message) {
      const offset = Math.min(span.start, text.length);
      const index = lineOf(lineStarts, offset);
      const start = lineStarts[index];
      const end = index + 1 < lineStarts.length ? lineStarts[index + 1] - 1 : text.length;
      return { file, line: index + 1, column: offset - start + 1, key, message, excerpt: excerptOf(text, { start, end }, offset, hidden) };
    },
  };
}

function excerptOf(text: string, line: Span, offset: number, hidden: readonly Span[] | null): Problem['excerpt'] {
  const whole = text.slice(line.start, line.end).replace(/\r$/, '');
  let length = Math.min(whole.length, LONGEST_EXCERPT);
  if (hidden === null) {
    length = Math.min(length, (/^[\s-]*([\w.-]{1,64}:(?=\s|$))?/.exec(whole) as RegExpExecArray)[0].length);
  } else {
    for (const span of hidden) {
      if (span.start < line.end && span.end > line.start) length = Math.min(length, Math.max(0, span.start - line.start));
    }
  }
  const shown = whole.slice(0, length).replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, '?');
  if (shown.trim() === '') return null;
  const caret = offset - line.start;
  return { text: length < whole.length ? `${shown}…` : shown, caret: caret <= length ? caret : null };
}

function lineOf(lineStarts: readonly number[], offset: number): number {
  let low = 0;
  let high = lineStarts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (lineStarts[middle] <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

function formatProblem({ file, line, column, key, message, excerpt }: Problem): string {
  const lines = [`${file}:${line}:${column}  ${key === '' ? '' : `${key}  `}${message}`];
  if (excerpt !== null) {
    lines.push(`    ${excerpt.text}`);
    // Tabs are kept, so that the caret stands below its character whatever a tab's width.
    if (excerpt.caret !== null) lines.push(`    ${excerpt.text.slice(0, excerpt.caret).replace(/[^\t]/g, ' ')}^`);
  }
  return lines.join('\n');
}

function summary(file: string, problems: readonly Problem[], reason?: string): string {
  const [first, ...others] = problems;
  if (first === undefined) return `The configuration file ${file} cannot be read${reason === undefined ? '' : ` (${reason})`}`;
  const more = others.length === 0 ? '' : `, and ${others.length} more`;
  return `${first.file}:${first.line}:${first.column} ${first.key === '' ? '' : `${first.key}: `}${first.message}${more}`;
}
