// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these texts are what the configuration fills in.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../problems.js';
import { readChaperoneConfig } from './chaperone-config.js';
import { directory, type Env, expectProblems, file, gatewayOf, LIST, minimal, PLAIN, read } from './chaperone-config.test.support.js';

describe('what is wrong', () => {
  test.each([
    [
      'unknown keys, with the nearest',
      file(...PLAIN, '  ‸adr: x', ...LIST, '‸observabilty: {}'),
      [
        ['server.adr', 'did you mean "addr"?'],
        ['observabilty', 'did you mean "observability"?'],
      ],
    ],
    [
      'a key in another section',
      file('‸log_level: info', ...PLAIN, '  ‸timeouts: {}', ...LIST),
      [
        ['log_level', 'it belongs to observability'],
        ['server.timeouts', 'unknown key; known here: addr'],
      ],
    ],
    [
      'a section that is no map',
      file(...PLAIN, ...LIST, '  timeouts: ‸5s', '‸observability: [a]'),
      [
        ['upstream.timeouts', 'expected a map'],
        ['observability', 'expected a map'],
      ],
    ],
    ['a key twice', file(...PLAIN, ...LIST, '‸upstream: {}'), [['upstream', 'there already']]],
    ['a value that is a map', file(...PLAIN, '  ‸admin_addr: { host: a }', ...LIST), [['server.admin_addr', 'expected a single value']]],
    [
      'a duration without its unit',
      file(...PLAIN, ...LIST, '  timeouts: { read: ‸30, idle: ‸-5s, write: ‸577h }'),
      [
        ['upstream.timeouts.read', 'expected a duration such as'],
        ['upstream.timeouts.idle', 'expected a positive duration'],
        ['upstream.timeouts.write', 'at most 576h'],
      ],
    ],
    ['a port that is none', file(...PLAIN, '  admin_addr: ‸":99999"', ...LIST), [['server.admin_addr', 'a port from 0 to 65535']]],
    ['no allow-list', file(...PLAIN, '‸upstream: {}'), [['upstream.allow_list', 'is required: expected at least one host']]],
    ['an empty allow-list', file(...PLAIN, 'upstream:', '  ‸allow_list: {}'), [['upstream.allow_list', 'is required: expected at least one host']]],
    ['an allow-list that is a list', file(...PLAIN, 'upstream:', '  ‸allow_list: [v.com]'), [['upstream.allow_list', 'expected a map of hosts']]],
    [
      'keys and patterns that are none',
      file(...PLAIN, 'upstream:', '  allow_list:', '    ‸"a*.com": [/x]', '    v.com: [/ok, ‸/v*, ‸v1, ‸[a]]', '    ‸V.com: []', '    w.com: ‸/x'),
      [
        ['upstream.allow_list["a*.com"]', 'has to be a whole label'],
        ['upstream.allow_list["v.com"][1]', 'has to be a whole segment'],
        ['upstream.allow_list["v.com"][2]', 'can never match'],
        ['upstream.allow_list["v.com"][3]', 'expected a path'],
        ['upstream.allow_list["V.com"]', 'the same host as "v.com"'],
        ['upstream.allow_list["w.com"]', 'expected a list of paths'],
      ],
    ],
    [
      'body logging in the file',
      file(...PLAIN, ...LIST, 'observability:', '  ‸enable_body_logging: true'),
      [['observability.enable_body_logging', 'only by CHAPERONE_OBSERVABILITY_ENABLE_BODY_LOGGING']],
    ],
    [
      'a header that is none',
      file(...PLAIN, ...LIST, 'observability: { sensitive_headers: [X-Ok, ‸"a b"] }'),
      [['observability.sensitive_headers[1]', 'expected the name of a header']],
    ],
    ['a network that is none', file(...PLAIN, '  trusted_proxies: [‸balancer]', ...LIST), [['server.trusted_proxies[0]', 'expected a network']]],
    [
      'files that are not there',
      file('server:', '  tls: { cert_file: server.crt, key_file: ‸none.key, ca_file: ‸none.crt }', ...LIST),
      [
        ['server.tls.key_file', 'none.key cannot be read (ENOENT)'],
        ['server.tls.ca_file', '(ENOENT)'],
      ],
    ],
    ['no YAML', 'server: {‸', [['', 'the YAML cannot be understood here']]],
    ['nothing', '‸', [['', 'the file is empty']]],
  ] as const)('%s', (_, text, expected) => {
    expectProblems(text, expected);
  });

  test.each([
    ['no url', '‸x: { auth: { type: none } }', [['forward_targets.x.url', 'is required: expected an https URL']]],
    ['a url that is none', 'x: { url: ‸router, auth: { type: none } }', [['forward_targets.x.url', 'expected an https URL']]],
    ['no host in the url', 'x: { url: ‸"https:///x", auth: { type: none } }', [['forward_targets.x.url', 'expected an https URL']]],
    ['http', 'x: { url: ‸"http://r.example", auth: { type: none } }', [['forward_targets.x.url', 'has to be https']]],
    ['a password in the url', 'x: { url: ‸"https://a:b@r.example", auth: { type: none } }', [['forward_targets.x.url', 'a user name or a password']]],
    ['a url that is a list', 'x: { ‸url: [a], auth: { type: none } }', [['forward_targets.x.url', 'expected an https URL']]],
    [
      'a timeout that is none',
      'x: { url: "https://r.example", timeout: ‸5, auth: { type: none } }',
      [['forward_targets.x.timeout', 'expected a duration']],
    ],
    ['no auth', '‸x: { url: "https://r.example" }', [['forward_targets.x.auth.type', 'is required: expected bearer or none']]],
    ['another auth', 'x: { url: "https://r.example", auth: { type: ‸basic } }', [['forward_targets.x.auth.type', 'expected bearer or none']]],
    ['no token', 'x: { url: "https://r.example", ‸auth: { type: bearer } }', [['forward_targets.x.auth.token', 'is required: expected a token']]],
    [
      'a token from nowhere',
      'x: { url: "https://r.example", auth: { type: bearer, token: ‸"$NOWHERE" } }',
      [['forward_targets.x.auth.token', 'the environment variable NOWHERE is not set']],
    ],
    [
      'a misspelled key',
      'x: { url: "https://r.example", ‸timeuot: 5s, auth: { type: none, ‸tokn: a } }',
      [
        ['forward_targets.x.timeuot', 'did you mean "timeout"?'],
        ['forward_targets.x.auth.tokn', 'did you mean "token"?'],
      ],
    ],
    ['no map', 'x: ‸5', [['forward_targets.x', 'expected a map']]],
  ] as const)('a forward target with %s', (_, line, expected) => {
    expectProblems(minimal('forward_targets:', `  ${line}`), expected);
  });

  test('a timeout of nothing is the default of forward targets', () => {
    const text = minimal('forward_targets:', '  x: { url: "https://r.example", timeout: 0s, auth: { type: none } }');
    expect(gatewayOf(text)).toMatchObject({ forward_targets: { x: { timeout: '30s' } } });
  });

  test('no token is ever shown', () => {
    const text = minimal(
      'forward_targets:',
      '  x: { url: "https://u:s3cret-1@h", timeout: 5, auth: { type: bearer, token: "s3cret-2\\n", tkn: s3cret-3 } }',
    );
    try {
      read(text, { CHAPERONE_SERVER_ADDR: 's3cret-4' });
      expect.unreachable();
    } catch (error) {
      expect((error as ConfigError).problems.length).toBeGreaterThan(3);
      expect(JSON.stringify([error, (error as ConfigError).problems])).not.toContain('s3cret');
    }
  });
});

describe('what is doubtful', () => {
  const warningsOf = (text: string, env: Env = {}): string[] =>
    read(text, env).warnings.map(({ line, column, key, message }) => `${line}:${column} ${key} ${message}`);

  test('is told, with its place', () => {
    const text = file(
      ...PLAIN,
      'upstream:',
      '  allow_list:',
      '    api.v.com: [/v1/**]',
      '    "*.v.com": [/v2/**]',
      '    "**.v.com": [/v3]',
      '    "*.v.com:8443": [/v4]',
      '    closed.v.com: []',
      '  timeouts: { keep_alive: 5s }',
      'observability: { enable_profiling: true, log_target_addr: full }',
      'forward_targets: { x: { url: "https://r.example", auth: { type: none, token: a } } }',
    );
    const env = { CHAPERONE_OBSERVABILITY_ENABLE_BODY_LOGGING: 'true', CHAPERONE_SERVER_ADRR: ':1', CHAPERONE_SERVER_PORT: 'tcp://10.0.0.1:443' };
    expect(warningsOf(text, env)).toEqual([
      expect.stringMatching(/^6:5 upstream\.allow_list\["api\.v\.com"\] the paths of \*\.v\.com and \*\*\.v\.com count for this host as well/),
      expect.stringMatching(/^13:78 forward_targets\.x\.auth\.token the token is not used/),
      expect.stringMatching(/^12:36 observability\.enable_profiling has no effect/),
      expect.stringMatching(/^12:59 observability\.log_target_addr the log will hold/),
      expect.stringMatching(/^11:27 upstream\.timeouts\.keep_alive has no effect/),
      expect.stringMatching(/^1:1 {2}CHAPERONE_OBSERVABILITY_ENABLE_BODY_LOGGING has no effect/),
      expect.stringMatching(/^1:1 {2}the environment variable CHAPERONE_SERVER_ADRR sets nothing; did you mean CHAPERONE_SERVER_ADDR\?/),
    ]);
  });

  test('nothing about a plain file', () => {
    expect(warningsOf(minimal(), { CHAPERONE_CONFIG: 'x', CHAPERONE_PORT_8443_TCP: 'x', PATH: '/bin' })).toEqual([]);
  });

  test('a file that everybody can read', () => {
    const { warnings } = readChaperoneConfig(minimal(), { path: '/etc/config.yaml', env: {}, directory, exposed: true });
    expect(warnings).toMatchObject([{ line: 1, column: 1, message: expect.stringContaining('chmod 600') }]);
  });
});

test('whatever is read, it is a configuration or a ConfigError', () => {
  const word = fc.constantFrom(
    'server',
    'upstream',
    'tls',
    'addr',
    'allow_list',
    'timeouts',
    'read',
    'forward_targets',
    'auth',
    'v.com',
    '/**',
    '$X',
    '${',
    '5s',
    'true',
    ':1',
    '',
  );
  const tree = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      word,
      fc.integer(),
      fc.constant(null),
      fc.array(tie('node'), { maxLength: 3 }),
      fc.dictionary(word, tie('node'), { maxKeys: 4 }),
    ),
  })).node;
  fc.assert(
    fc.property(tree, fc.dictionary(fc.constantFrom('CHAPERONE_SERVER_ADDR', 'CHAPERONE_SERVER_TLS_ENABLED', 'X'), word), (value, env) => {
      try {
        read(JSON.stringify(value), env);
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        expect((error as ConfigError).problems.length).toBeGreaterThan(0);
      }
    }),
  );
});
