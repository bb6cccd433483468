import { SallyportError } from '@sallyport/sdk';
import { describe, expect, test } from 'vitest';
import { ConfigError, formatProblems, type Problem, problemMaker } from './problems.js';

const at = (text: string, what: string, hidden: string[] | null = []): Problem => {
  const span = (part: string) => ({ start: text.indexOf(part), end: text.indexOf(part) + part.length });
  return problemMaker('f.yaml', text, hidden?.map(span) ?? null).at(span(what), 'a.b', 'is wrong');
};

describe('a problem is shown', () => {
  test('with its line and a caret', () => {
    expect(formatProblems([at('one\n  two: x\nthree', 'x')])).toBe('f.yaml:2:8  a.b  is wrong\n      two: x\n           ^');
  });

  test('with a caret below tabs, whatever their width', () => {
    expect(formatProblems([at('a:\t"x"\ty', 'y')])).toBe('f.yaml:1:8  a.b  is wrong\n    a:\t"x"\ty\n      \t   \t^');
  });

  test('without a carriage return, control characters or more than a screen is wide', () => {
    expect(at('a: x\r\nb', 'x').excerpt).toEqual({ text: 'a: x', caret: 3 });
    expect(at('a: \x1b[31mx', 'a').excerpt).toEqual({ text: 'a: ?[31mx', caret: 0 });
    expect(at(`a: ${'y'.repeat(1_000)}x`, 'x').excerpt).toEqual({ text: `a: ${'y'.repeat(157)}…`, caret: null });
  });

  test('at the end of a text', () => {
    expect(problemMaker('f', 'a: [1', []).at({ start: 99, end: 100 }, '', 'm')).toMatchObject({
      line: 1,
      column: 6,
      excerpt: { text: 'a: [1', caret: 5 },
    });
    expect(formatProblems([problemMaker('f', '', []).at({ start: 0, end: 1 }, '', 'is empty')])).toBe('f:1:1  is empty');
  });
});

describe('of a line with a hidden stretch is shown', () => {
  test('what stands before it', () => {
    expect(at('a: { token: xyz, b: 1 } # xyz', 'xyz', ['xyz']).excerpt).toEqual({ text: 'a: { token: …', caret: 12 });
    expect(at('a: { token: xyz, b: 1 } # xyz', 'b: 1', ['xyz']).excerpt).toEqual({ text: 'a: { token: …', caret: null });
  });

  test('nothing when it began on an earlier line', () => {
    expect(at('token: |\n  xyz\n  uvw\nb: 1', 'uvw', ['|\n  xyz\n  uvw']).excerpt).toBeNull();
    expect(at('token: |\n  xyz\n  uvw\nb: 1', 'b', ['|\n  xyz\n  uvw']).excerpt).toEqual({ text: 'b: 1', caret: 0 });
  });

  test('only the key when nothing is known about the text', () => {
    expect(at('  - token: xyz', 'token', null).excerpt).toEqual({ text: '  - token:…', caret: 4 });
    expect(at('  xyz uvw', 'uvw', null).excerpt).toBeNull();
    expect(at('  xyz:uvw', 'uvw', null).excerpt).toBeNull();
  });
});

test('the error carries the code, all problems, and a message that names the first', () => {
  const problem = at('a: x', 'x');
  const one = new ConfigError('config_invalid', 'f.yaml', [problem]);
  expect(one).toBeInstanceOf(SallyportError);
  expect(one).toMatchObject({ code: 'config_invalid', message: 'f.yaml:1:4 a.b: is wrong', problems: [problem] });
  expect(new ConfigError('config_invalid', 'f.yaml', [problem, problem, problem]).message).toBe('f.yaml:1:4 a.b: is wrong, and 2 more');
  expect(new ConfigError('config_not_found', 'f.yaml', [], 'ENOENT').message).toBe('The configuration file f.yaml cannot be read (ENOENT)');
});
