// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these texts are what the configuration fills in.
import { describe, test } from 'vitest';
import { expectProblems, FORWARD, gateway } from '../expected-problems.test.support.js';

describe('callers', () => {
  test.each([
    ['neither token nor loopback', '‸ci: { credentials: all }', [['gateway.callers.ci', 'expected exactly one of token and loopback']]],
    ['both', '‸ci: { token: { env: LONG }, loopback: true }', [['gateway.callers.ci', 'expected exactly one of token and loopback']]],
    ['a text', 'ci: ‸xyz', [['gateway.callers.ci', 'expected a map']]],
    ['loopback: false', 'ci: { loopback: ‸false }', [['gateway.callers.ci.loopback', 'expected true']]],
    ['a short token', 'ci: { token: ‸fifteen-letters }', [['gateway.callers.ci.token', 'shorter than 16 characters']]],
    ['a short token from a variable', 'ci: { ‸token: { env: SHORT } }', [['gateway.callers.ci.token', 'shorter than 16 characters']]],
    ['a token that no header can carry', 'ci: { token: ‸"sixteen letters and a space" }', [['gateway.callers.ci.token', 'outside visible ASCII']]],
    ['a token used twice', 'a: { token: { env: LONG } }, b: { token: ‸"${LONG}" }', [['gateway.callers.b.token', 'the caller a has the same token']]],
    [
      'two loopback callers',
      'a: { loopback: true }, b: { loopback: ‸true }',
      [['gateway.callers.b.loopback', 'the caller a is the loopback caller already']],
    ],
    [
      'a credential that is not there',
      'a: { loopback: true, credentials: [github, ‸githb] }',
      [['gateway.callers.a.credentials[1]', 'there is no credential of this name, did you mean "github"?']],
    ],
    [
      'credentials that are one text',
      'a: { loopback: true, credentials: ‸github }',
      [['gateway.callers.a.credentials', 'expected a list of credential names, or all']],
    ],
    ['a name that is none', '‸"a b": { loopback: true }', [['gateway.callers["a b"]', 'a name starts with']]],
  ] as const)('%s', (_, callers, expected) => {
    const github = 'credentials: { github: { source: { type: env, var: X }, bind: [{ hosts: [a.example], place: { query: key } }] } }';
    expectProblems(gateway(FORWARD, github, `callers: { ${callers} }`), expected);
  });
});
