import { deepStrictEqual as deepEqual, ok } from 'node:assert';
import { ConfigError, parseConfig } from './load.js';
import type { Problem } from './problems.js';

const ENVIRONMENT = { LONG: 'a-token-of-some-length', SHORT: 'short', WORD: 'sesame-opens' };

/** The section that every configuration needs. */
export const FORWARD = 'listeners: { forward: {} }';

/** A configuration of these lines under `gateway`. */
export function gateway(...lines: string[]): string {
  return ['gateway:', ...lines.map((line) => `  ${line}`)].join('\n');
}

/** What is wrong with a text, where the variables LONG, SHORT and WORD are set. */
export function problemsOf(text: string): readonly Problem[] {
  try {
    parseConfig(text, { path: '/nowhere/sallyport.yaml', env: ENVIRONMENT });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/**
 * Expects exactly these problems, in this order, at the places that are marked with a ‸ in the text (which is taken out before it is read),
 * and each message to hold the text or match the pattern that is given.
 */
export function expectProblems(marked: string, expected: readonly (readonly [key: string, message: string | RegExp])[]): void {
  const [first, ...parts] = marked.split('‸');
  let text = first;
  const positions = parts.map((part) => {
    const lines = text.split('\n');
    text += part;
    return { line: lines.length, column: lines[lines.length - 1].length + 1 };
  });
  const problems = problemsOf(text);
  deepEqual(
    problems.map(({ line, column, key }) => ({ line, column, key })),
    expected.map(([key], index) => ({ ...positions[index], key })),
  );
  expected.forEach(([, message], index) => {
    const found = problems[index].message;
    ok(typeof message === 'string' ? found.includes(message) : message.test(found), `${message} is not in: ${found}`);
  });
}
