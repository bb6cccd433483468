import { describe, expect, test } from 'vitest';
import { ConfigError, parseConfig } from './load.js';
import type { Problem } from './problems.js';

const ENVIRONMENT = { LONG: 'a-token-of-some-length', SHORT: 'short', WORD: 'sesame-opens' };
const FORWARD = 'listeners: { forward: {} }';

function problemsOf(text: string): readonly Problem[] {
  try {
    parseConfig(text, { path: '/nowhere/sallyport.yaml', env: ENVIRONMENT });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** `marked` has a ‸ at each place where a problem is expected. */
function expectProblems(marked: string, expected: readonly (readonly [key: string, message: string | RegExp])[]): void {
  const [first, ...parts] = marked.split('‸');
  let text = first as string;
  const positions = parts.map((part) => {
    const lines = text.split('\n');
    text += part;
    return { line: lines.length, column: (lines.at(-1) as string).length + 1 };
  });
  const problems = problemsOf(text);
  expect(problems.map(({ line, column, key }) => ({ line, column, key }))).toEqual(expected.map(([key], index) => ({ ...positions[index], key })));
  expected.forEach(([, message], index) => {
    expect(problems[index]?.message).toMatch(message);
  });
}

/** A configuration that is right but for these lines under `gateway`. */
const gateway = (...lines: string[]): string => ['gateway:', ...lines.map((line) => `  ${line}`)].join('\n');
const credential = (source: string, bind = '{ hosts: [a.example], place: { query: key } }'): string =>
  gateway(FORWARD, 'credentials:', '  one:', `    source: ${source}`, `    bind: [${bind}]`);
const placement = (place: string): string => credential('{ type: env, var: X }', `{ hosts: [a.example], place: ${place} }`);

describe('the file as a whole', () => {
  test.each([
    ['empty', '‸', [['', 'the file is empty']]],
    ['only comments', '‸# nothing', [['', 'the file is empty']]],
    ['a list', '‸- gateway', [['', 'expected a map']]],
    ['a text', '‸gateway', [['', 'expected a map']]],
    ['another key at the top', `‸control: {}\n${gateway(FORWARD)}`, [['control', 'unknown key; known here: gateway']]],
    ['a misspelled key at the top', `‸gatway: { ${FORWARD} }`, [['gatway', 'unknown key, did you mean "gateway"?']]],
    ['no listeners', '‸gateway: {}', [['gateway.listeners', 'is required: expected a map']]],
    ['an empty gateway', '‸gateway:', [['gateway', 'is empty: expected a map']]],
    ['a syntax error', 'gateway: {‸', [['', 'the YAML cannot be understood here']]],
    ['a key twice', gateway(FORWARD, 'log: {}', '‸log: {}'), [['gateway.log', 'this key is there already']]],
    ['a key that belongs elsewhere', gateway(FORWARD, '‸rules: []'), [['gateway.rules', 'unknown key here; it belongs to gateway.policy']]],
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

describe('listeners', () => {
  test.each([
    ['none', gateway('‸listeners: {}'), [['gateway.listeners', 'expected at least one of forward and sidecar']]],
    ['only ops', gateway('‸listeners: { ops: {} }'), [['gateway.listeners', 'expected at least one of forward and sidecar']]],
    ['an empty one', gateway('listeners: { ‸forward: }'), [['gateway.listeners.forward', 'is empty: expected a map']]],
    [
      'a port that is none',
      gateway('listeners: { forward: { port: ‸65536 } }'),
      [['gateway.listeners.forward.port', 'expected a whole number from 0 to 65535']],
    ],
    ['a port that is text', gateway('listeners: { forward: { port: ‸http } }'), [['gateway.listeners.forward.port', 'expected a whole number']]],
    ['a port with a fraction', gateway('listeners: { forward: { port: ‸80.5 } }'), [['gateway.listeners.forward.port', 'expected a whole number']]],
    ['a host that is none', gateway('listeners: { forward: { host: ‸"a b" } }'), [['gateway.listeners.forward.host', 'expected an IP address']]],
    ['a host in brackets', gateway('listeners: { forward: { host: ‸"[::1]" } }'), [['gateway.listeners.forward.host', 'without brackets']]],
    [
      'tls without a key',
      gateway('listeners: { forward: { ‸tls: { cert: /dev/null } } }'),
      [['gateway.listeners.forward.tls.key', 'is required: expected a path']],
    ],
    [
      'tls without a certificate',
      gateway('listeners: { sidecar: { ‸tls: { key: /dev/null } } }'),
      [['gateway.listeners.sidecar.tls.cert', 'is required']],
    ],
    [
      'a file that is not there',
      gateway('listeners: { sidecar: { tls: { key: ‸k.pem, cert: /dev/null } } }'),
      [['gateway.listeners.sidecar.tls.key', 'cannot be read (ENOENT)'.replace(/[()]/g, '.')]],
    ],
    [
      'tls on ops',
      gateway('listeners: { forward: {}, ops: { ‸tls: {} } }'),
      [['gateway.listeners.ops.tls', 'unknown key here; it belongs to gateway.listeners.forward or']],
    ],
    [
      'a switch that is neither',
      gateway('listeners: { sidecar: { insecure_targets: ‸yes } }'),
      [['gateway.listeners.sidecar.insecure_targets', 'expected true or false']],
    ],
    [
      'a header prefix that is no token',
      gateway('listeners: { sidecar: { header_prefix: ‸"X Connect" } }'),
      [['gateway.listeners.sidecar.header_prefix', 'expected a header name prefix']],
    ],
    [
      'a trace header that is no token',
      gateway('listeners: { sidecar: { trace_header: ‸"a:b" } }'),
      [['gateway.listeners.sidecar.trace_header', 'expected a header name']],
    ],
    [
      'a caller header that is no token',
      gateway('listeners: { sidecar: { caller_header: ‸"" } }'),
      [['gateway.listeners.sidecar.caller_header', 'expected a header name']],
    ],
    [
      'one address twice',
      gateway('listeners: { forward: {}, ops: { port: ‸9080 } }'),
      [['gateway.listeners.ops.port', 'the listener forward has this address already']],
    ],
    [
      'one address twice by a default',
      gateway('listeners: { forward: { port: 9090 }, ‸ops: {} }'),
      [['gateway.listeners.ops.port', 'the listener forward has']],
    ],
    [
      'one address in two spellings',
      gateway('listeners: { forward: { host: localhost }, ops: { port: ‸9080 } }'),
      [['gateway.listeners.ops.port', 'the listener forward has']],
    ],
    [
      'one address inside of all',
      gateway('listeners: { forward: {}, ops: { host: 0.0.0.0, port: ‸9080 } }'),
      [['gateway.listeners.ops.port', 'the listener forward has']],
    ],
    [
      'beyond loopback without a token',
      gateway('listeners: { forward: { host: ‸0.0.0.0 } }', 'callers: { me: { loopback: true } }'),
      [['gateway.listeners.forward.host', 'others can reach this address, and no caller has a token']],
    ],
    [
      'beyond loopback without callers',
      gateway('listeners: { sidecar: { host: ‸"::" } }'),
      [['gateway.listeners.sidecar.host', 'others can reach this address']],
    ],
  ] as const)('%s', (_, text, expected) => {
    expectProblems(text, expected);
  });

  test.each([
    ['port 0 twice', 'listeners: { forward: { port: 0 }, sidecar: { port: 0 } }'],
    ['one port on two addresses', 'listeners: { forward: {}, ops: { host: 127.0.0.2, port: 9080 } }'],
    ['ops beyond loopback', 'listeners: { forward: { host: "::1" }, ops: { host: 0.0.0.0 } }'],
    ['other loopback addresses', 'listeners: { forward: { host: 127.1.2.3 }, sidecar: { host: localhost } }'],
  ])('fine: %s', (_, line) => {
    expect(problemsOf(gateway(line))).toEqual([]);
  });

  test('fine: beyond loopback with a token', () => {
    expect(problemsOf(gateway('listeners: { forward: { host: 0.0.0.0 } }', 'callers: { ci: { token: { env: LONG } } }'))).toEqual([]);
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

describe('credentials', () => {
  test.each([
    [
      'a name that is none',
      gateway(FORWARD, 'credentials:', '  ‸_x: { source: { type: env, var: X }, bind: [{ hosts: [a.example], place: { query: key } }] }'),
      [['gateway.credentials._x', 'a name starts with']],
    ],
    [
      'no source',
      gateway(FORWARD, 'credentials:', '  ‸one: { bind: [{ hosts: [a.example], place: { query: key } }] }'),
      [['gateway.credentials.one.source', 'is required']],
    ],
    [
      'no type',
      credential('{ ‸var: X }').replace('‸', '').replace('source', '‸source'),
      [['gateway.credentials.one.source.type', 'is required: expected one of env, file, static, process']],
    ],
    [
      'a type that is none',
      credential('{ type: ‸vault, path: x }'),
      [['gateway.credentials.one.source.type', 'expected one of env, file, static, process']],
    ],
    ['a misspelled type key', credential('{ ‸typ: env, var: X }'), [['gateway.credentials.one.source.typ', 'unknown key, did you mean "type"?']]],
    [
      'a misspelled key of a type',
      credential('{ type: env, ‸vra: X }'),
      [['gateway.credentials.one.source.vra', 'unknown key, did you mean "var"?']],
    ],
    [
      'a key of another type',
      credential('{ type: env, var: X, ‸path: x }'),
      [['gateway.credentials.one.source.path', 'unknown key; known here: type, var']],
    ],
    ['an empty static value', credential('{ type: static, value: ‸"" }'), [['gateway.credentials.one.source.value', 'the credential is empty']]],
    [
      'a static value that is a number',
      credential('{ type: static, value: ‸12345 }'),
      [['gateway.credentials.one.source.value', 'expected the credential: a text, {env: NAME} or {file: path}']],
    ],
    [
      'a variable that is not set',
      credential('{ type: static, ‸value: { env: UNSET } }'),
      [['gateway.credentials.one.source.value', 'the environment variable UNSET is not set']],
    ],
    [
      'a file that is not there',
      credential('{ type: static, ‸value: { file: none } }'),
      [['gateway.credentials.one.source.value', 'the file cannot be read .ENOENT.']],
    ],
    [
      'both a variable and a file',
      credential('{ type: static, ‸value: { env: LONG, file: /dev/null } }'),
      [['gateway.credentials.one.source.value', 'expected exactly one of env and file']],
    ],
    [
      'a misspelled env',
      credential('{ type: static, value: { ‸evn: LONG } }'),
      [['gateway.credentials.one.source.value.evn', 'unknown key, did you mean "env"?']],
    ],
    [
      'an empty command',
      credential('{ type: process, ‸command: [] }'),
      [['gateway.credentials.one.source.command', 'expected at least the name of a program']],
    ],
    [
      'a command without a program',
      credential('{ type: process, ‸command: ["", x] }'),
      [['gateway.credentials.one.source.command', 'the name of the program is empty']],
    ],
    ['a command as one text', credential('{ type: process, command: ‸cat x }'), [['gateway.credentials.one.source.command', 'expected a list']]],
    [
      'a time without a unit',
      credential('{ type: process, command: [x], ttl: ‸30 }'),
      [['gateway.credentials.one.source.ttl', 'expected a duration such as']],
    ],
    [
      'no binding',
      gateway(FORWARD, 'credentials:', '  one:', '    source: { type: env, var: X }', '    ‸bind: []'),
      [['gateway.credentials.one.bind', 'expected at least one binding']],
    ],
    [
      'no hosts',
      credential('{ type: env, var: X }', '{ ‸hosts: [], place: { query: key } }'),
      [['gateway.credentials.one.bind[0].hosts', 'expected at least one host']],
    ],
    [
      'a host pattern that is none',
      credential('{ type: env, var: X }', '{ hosts: [a.example, ‸"a*.example"], place: { query: key } }'),
      [['gateway.credentials.one.bind[0].hosts[1]', 'The host pattern']],
    ],
    [
      'no methods',
      credential('{ type: env, var: X }', '{ hosts: [a.example], ‸methods: [], place: { query: key } }'),
      [['gateway.credentials.one.bind[0].methods', 'expected at least one method']],
    ],
    [
      'a method in small letters',
      credential('{ type: env, var: X }', '{ hosts: [a.example], methods: [‸get], place: { query: key } }'),
      [['gateway.credentials.one.bind[0].methods[0]', 'in capital letters']],
    ],
    [
      'a path that is none',
      credential('{ type: env, var: X }', '{ hosts: [a.example], paths: [‸v1], place: { query: key } }'),
      [['gateway.credentials.one.bind[0].paths[0]', 'has to begin with "/"']],
    ],
    [
      'a path that could not match',
      credential('{ type: env, var: X }', '{ hosts: [a.example], paths: [‸/a/../b], place: { query: key } }'),
      [['gateway.credentials.one.bind[0].paths[0]', 'dot segment']],
    ],
    ['no placement', credential('{ type: env, var: X }', '‸{ hosts: [a.example] }'), [['gateway.credentials.one.bind[0].place', 'is required']]],
    [
      'a switch that is neither',
      credential('{ type: env, var: X }', '{ hosts: [a.example], place: { query: key }, plaintext: ‸1 }'),
      [['gateway.credentials.one.bind[0].plaintext', 'expected true or false']],
    ],
  ] as const)('%s', (_, text, expected) => {
    expectProblems(text, expected);
  });
});

describe('placements', () => {
  const PLACE = 'gateway.credentials.one.bind[0].place';
  test.each([
    ['a text', '‸Authorization', [[PLACE, 'expected a placement or a list of placements']]],
    ['an empty map', '{}', [[PLACE, 'expected exactly one of header, basic and query']]],
    ['an empty list', '[]', [[PLACE, 'expected at least one placement']]],
    ['two at once', '{ header: X-Key, query: key }', [[PLACE, 'expected exactly one of header, basic and query']]],
    ['a misspelled key', '{ ‸heder: X-Key }', [[`${PLACE}.heder`, 'unknown key, did you mean "header"?']]],
    ['a misspelled key in a list', '[{ query: a }, { ‸heder: X-Key }]', [[`${PLACE}[1].heder`, 'unknown key, did you mean "header"?']]],
    ['a header name that is no token', '{ header: ‸"X Key" }', [[`${PLACE}.header`, 'expected a header name']]],
    ['a format without the secret', '{ header: X-Key, format: ‸Bearer }', [[`${PLACE}.format`, 'holds neither {secret} nor {secret.FIELD}']]],
    [
      'a format with something else in braces',
      '{ header: X-Key, format: ‸"{secret} {user}" }',
      [[`${PLACE}.format`, 'only {secret} and {secret.FIELD}']],
    ],
    ['a format with a line break', '{ header: X-Key, format: ‸"{secret}\\n" }', [[`${PLACE}.format`, 'holds a control character']]],
    ['a format beyond ASCII', '{ header: X-Key, format: ‸"{secret}é" }', [[`${PLACE}.format`, 'outside printable ASCII']]],
    ['a format without a header', '{ query: key, format: ‸"{secret}" }', [[`${PLACE}.format`, 'format goes with header only']]],
    ['a user name with a colon', '{ basic: { username: ‸"a:b" } }', [[`${PLACE}.basic.username`, 'neither a colon nor a control character']]],
    ['basic without a user name', '{ ‸basic: {} }', [[`${PLACE}.basic.username`, 'is required']]],
    ['one header twice', '[{ header: X-Key }, ‸{ header: x-key }]', [[`${PLACE}[1]`, 'already fills the same place']]],
    ['basic over a header of its own', '[{ header: authorization }, ‸{ basic: { username: a } }]', [[`${PLACE}[1]`, 'already fills the same place']]],
  ] as const)('%s', (_, place, expected) => {
    const text = placement(place);
    expectProblems(place.includes('‸') ? text : text.replace('place', '‸place'), expected);
  });

  test.each([
    'Host',
    'content-length',
    'Transfer-Encoding',
    'CONNECTION',
    'Upgrade',
    'te',
    'Trailer',
    'Keep-Alive',
    'Proxy-Authorization',
    'proxy-x',
  ])('the header %s belongs to the gateway', (header) => {
    expectProblems(placement(`{ header: ‸${header} }`), [[`${PLACE}.header`, 'frames or routes messages']]);
    expectProblems(gateway(FORWARD, `sanitize: { sensitive_headers: [‸${header}] }`), [
      ['gateway.sanitize.sensitive_headers[0]', 'frames or routes messages'],
    ]);
  });
});

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

describe('the rest', () => {
  test.each([
    ['a leaf that lives too long', 'authority: { leaf_lifetime: ‸31d }', [['gateway.authority.leaf_lifetime', 'at most 30d']]],
    ['no leaf cache', 'authority: { leaf_cache: ‸0 }', [['gateway.authority.leaf_cache', 'from 1 to']]],
    ['an authority file that is not there', 'upstream: { ca: [/dev/null, ‸none.pem] }', [['gateway.upstream.ca[1]', 'cannot be read .ENOENT.']]],
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
