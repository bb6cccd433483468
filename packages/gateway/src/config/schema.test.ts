// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these texts are what the configuration fills in.
import { describe, expect, test } from 'vitest';
import { expectProblems, FORWARD, gateway, problemsOf } from './expected-problems.test.support.js';

describe('the file as a whole', () => {
  test.each([
    ['empty', '‸', [['', 'the file is empty']]],
    ['only comments', '‸# nothing', [['', 'the file is empty']]],
    ['a list', '‸- gateway', [['', 'expected a map']]],
    ['a text', '‸gateway', [['', 'expected a map']]],
    ['another key at the top', `‸extra: {}\n${gateway(FORWARD)}`, [['extra', 'unknown key; known here: gateway, control']]],
    ['the control plane alone', '‸control: {}', [['gateway', 'is required: expected a map']]],
    ['a misspelled key at the top', `‸gatway: { ${FORWARD} }`, [['gatway', 'unknown key, did you mean "gateway"?']]],
    ['no listeners', '‸gateway: {}', [['gateway.listeners', 'is required: expected a map']]],
    ['an empty gateway', '‸gateway:', [['gateway', 'is empty: expected a map']]],
    ['a syntax error', 'gateway: {‸', [['', 'the YAML cannot be understood here']]],
    ['a key twice', gateway(FORWARD, 'log: {}', '‸log: {}'), [['gateway.log', 'this key is there already']]],
    ['a key that belongs elsewhere', gateway(FORWARD, '‸mode: strict'), [['gateway.mode', 'unknown key here; it belongs to gateway.policy']]],
  ] as const)('%s', (_, text, expected) => {
    expectProblems(text, expected);
  });

  test('larger than 1 MiB', () => {
    expect(problemsOf(`${gateway(FORWARD)}\n#${'x'.repeat(1_048_576)}`)).toMatchObject([
      { line: 1, column: 1, message: 'the file is larger than 1 MiB' },
    ]);
  });

  test('at most a hundred problems are listed', () => {
    expect(problemsOf(gateway(FORWARD, ...Array.from({ length: 200 }, (_, index) => `k${index}: 1`)))).toHaveLength(100);
  });
});

describe('policy', () => {
  test.each([
    ['a mode that is none', gateway(FORWARD, 'policy: { mode: ‸stict }'), [['gateway.policy.mode', 'expected strict, permissive or observe']]],
    [
      'a rule that is none, at its word',
      gateway(FORWARD, 'policy:', '  rules:', '    - allow a.example', '    - ‸alow b.example'),
      [['gateway.policy.rules[1]', '"alow" is not an action; did you mean "allow"']],
    ],
    ['a later word of a quoted rule', gateway(FORWARD, 'policy: { rules: ["allow ‸a..b"] }'), [['gateway.policy.rules[0]', 'empty label']]],
    [
      'a rule that is a map',
      gateway(FORWARD, 'policy:', '  rules:', '    - ‸allow: a.example'),
      [['gateway.policy.rules[0]', 'expected a policy rule']],
    ],
    ['rules that are no list', gateway(FORWARD, 'policy: { rules: ‸allow a.example }'), [['gateway.policy.rules', 'expected a list']]],
    [
      'a rule from a variable, without quoting it',
      gateway(FORWARD, 'policy: { rules: [‸"${WORD}"] }'),
      [['gateway.policy.rules[0]', /^is not a policy rule once its variables are filled in$/]],
    ],
  ] as const)('%s', (_, text, expected) => {
    expectProblems(text, expected);
  });
});

describe('the rest', () => {
  test.each([
    ['a leaf that lives too long', 'authority: { leaf_lifetime: ‸31d }', [['gateway.authority.leaf_lifetime', 'at most 30d']]],
    ['no leaf cache', 'authority: { leaf_cache: ‸0 }', [['gateway.authority.leaf_cache', 'from 1 to']]],
    ['an authority file that is not there', 'upstream: { ca: [/dev/null, ‸none.pem] }', [['gateway.upstream.ca[1]', 'cannot be read (ENOENT)']]],
    ['an old TLS version', 'upstream: { min_tls: ‸TLSv1.1 }', [['gateway.upstream.min_tls', 'expected TLSv1.2 or TLSv1.3']]],
    ['off where it may not be', 'timeouts: { head: ‸off }', [['gateway.timeouts.head', 'expected a duration']]],
    ['no time at all', 'timeouts: { connect: ‸0s }', [['gateway.timeouts.connect', 'expected a duration']]],
    ['longer than a timer can run', 'timeouts: { total: ‸25d }', [['gateway.timeouts.total', 'at most 24d, or off']]],
    ['a size without a unit', 'limits: { head_size: ‸32768 }', [['gateway.limits.head_size', 'expected a size such as']]],
    ['a size that is too small', 'limits: { head_size: ‸1b }', [['gateway.limits.head_size', 'from 1kb to 1mb']]],
    ['a number that is too small', 'limits: { connections: ‸0 }', [['gateway.limits.connections', 'from 1 to']]],
    ['a header that is no token', 'sanitize: { sensitive_headers: [‸"a b"] }', [['gateway.sanitize.sensitive_headers[0]', 'expected a header name']]],
    ['a level that is none', 'log: { level: ‸trace }', [['gateway.log.level', 'expected debug, info, warn, error or silent']]],
    ['an empty path', 'log: { file: ‸"" }', [['gateway.log.file', 'expected a path, not an empty text']]],
    ['a path with a NUL', 'log: { file: ‸"a\\0" }', [['gateway.log.file', 'holds a control character']]],
    ['a variable that is not set', 'shutdown: { drain: ‸"${UNSET}" }', [['gateway.shutdown.drain', 'the environment variable UNSET is not set']]],
  ] as const)('%s', (_, line, expected) => {
    expectProblems(gateway(FORWARD, line), expected);
  });
});

test('all problems are reported at once, in the order of the file', () => {
  expectProblems(
    gateway(
      '‸listner: {}',
      'listeners: { forward: { port: ‸no }, ops: { host: 127.0.0.1 } }',
      'policy: { rules: [‸"${UNSET}", ‸nonsense] }',
      'credentials: { one: { ‸sorce: { type: env, var: X }, ‸bind: [] } }',
      'callers:',
      '  a: { token: ‸short }',
      '  b: { token: { env: LONG }, credentials: [‸oen] }',
      '  c: { token: ‸"${LONG}" }',
      'timeouts: { head: ‸1 }',
    ),
    [
      ['gateway.listner', 'did you mean "listeners"'],
      ['gateway.listeners.forward.port', 'expected a whole number'],
      ['gateway.policy.rules[0]', 'UNSET is not set'],
      ['gateway.policy.rules[1]', 'is not an action'],
      ['gateway.credentials.one.sorce', 'did you mean "source"'],
      ['gateway.credentials.one.bind', 'at least one binding'],
      ['gateway.callers.a.token', 'shorter than 16'],
      ['gateway.callers.b.credentials[0]', 'did you mean "one"'],
      ['gateway.callers.c.token', 'the caller b has the same token'],
      ['gateway.timeouts.head', 'expected a duration'],
    ],
  );
});
