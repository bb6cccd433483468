import { describe, expect, test } from 'vitest';
import { expectProblems, FORWARD, gateway } from '../expected-problems.test.support.js';
import { parseConfig } from '../load.js';

describe('policy.allow_list', () => {
  test('is kept as written', () => {
    const text = gateway(FORWARD, 'policy:', '  allow_list:', '    "*.V.com:8443": [/v1/**]', '    blocked.v.com: []');
    expect(parseConfig(text, { path: '/nowhere/sallyport.yaml', env: {} }).gateway.policy.allow_list).toEqual({
      '*.V.com:8443': ['/v1/**'],
      'blocked.v.com': [],
    });
  });

  test.each([
    ['empty', ['‸allow_list: {}'], [['gateway.policy.allow_list', 'expected at least one host']]],
    ['a list', ['‸allow_list: [a.example]'], [['gateway.policy.allow_list', 'expected a map']]],
    ['a key that is none', ['allow_list: { ‸"api*.x": [/] }'], [['gateway.policy.allow_list["api*.x"]', 'has to be a whole label']]],
    ['paths that are no list', ['allow_list: { v: ‸/v1 }'], [['gateway.policy.allow_list.v', 'expected a list']]],
    ['a pattern that is none', ['allow_list: { v: [/ok, ‸/v1/a*] }'], [['gateway.policy.allow_list.v[1]', 'has to be a whole segment']]],
    ['a host twice', ['allow_list: { v: [/a], ‸V: [/b] }'], [['gateway.policy.allow_list.V', 'the same host as "v" above']]],
  ] as const)('%s', (_, lines, expected) => {
    expectProblems(gateway(FORWARD, 'policy:', ...lines.map((line) => `  ${line}`)), expected);
  });
});
