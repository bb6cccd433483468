import { deepStrictEqual as deepEqual, ok } from 'node:assert';
import { ConfigError, type LoadedSections, parseConfig } from '@sallyport/gateway';
import { type ControlConfig, controlSection } from './control-section.js';

const ENVIRONMENT = { HOME: '/home/me', LONG: 'a-secret-of-some-length', SHORT: 'short' };

/** A configuration of these lines under `control`. */
export function control(...lines: string[]): string {
  return ['control:', ...lines.map((line) => `  ${line}`)].join('\n');
}

/** What a text comes to, where the variables LONG and SHORT are set. */
export function parsed(text: string): LoadedSections<ControlConfig> {
  return parseConfig(text, { path: '/nowhere/sallyport.yaml', env: ENVIRONMENT, control: controlSection });
}

/** The control plane's section of a text. */
export function controlOf(text: string): ControlConfig {
  return parsed(text).control as ControlConfig;
}

/** What is wrong with a text. */
export function problemsOf(text: string): ConfigError['problems'] {
  try {
    parsed(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/**
 * Expects exactly these problems, in this order, at the places that are marked with a ‸ in the text (which is taken out before it is read), and each
 * message to hold the text that is given. The keys are given without `control.` in front.
 */
export function expectProblems(marked: string, expected: readonly (readonly [key: string, message: string])[]): void {
  const [first = '', ...parts] = marked.split('‸');
  let text = first;
  const positions = parts.map((part) => {
    const lines = text.split('\n');
    text += part;
    return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
  });
  const problems = problemsOf(text);
  deepEqual(
    problems.map(({ line, column, key }) => ({ line, column, key })),
    expected.map(([key], index) => ({ ...positions[index], key: `control.${key}` })),
  );
  expected.forEach(([, message], index) => {
    ok(problems[index]?.message.includes(message), `${message} is not in: ${problems[index]?.message}`);
  });
}
