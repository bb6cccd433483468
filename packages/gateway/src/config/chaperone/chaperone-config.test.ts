// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these texts are what the configuration fills in.
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDocument } from '../document.js';
import { ConfigError } from '../problems.js';
import { isChaperoneConfig } from './chaperone-config.js';
import { directory, expectProblems, file, gatewayOf, LIST, minimal, PLAIN, read } from './chaperone-config.test.support.js';

describe('a whole file', () => {
  test('means the same here', () => {
    const text = file(
      'server:',
      '  addr: ":8443"',
      '  admin_addr: "0.0.0.0:9091"',
      '  shutdown_timeout: 1m30s',
      '  tls:',
      '    enabled: yes',
      '    cert_file: server.crt',
      '    key_file: ./server.key',
      '    ca_file: ca.crt',
      '    auto_rotate: false',
      'upstream:',
      '  header_prefix: X-Acme',
      '  trace_header: X-Trace',
      '  allow_list:',
      '    api.v.com: ["/v1/**", /health]',
      '    "*.Other.com:8443": [/**]',
      '    closed.com:',
      '  timeouts: { connect: 3s, read: 1m, write: 2m30s, idle: 60s, plugin: 1500ms }',
      'observability:',
      '  log_level: warn',
      '  enable_tracing: true',
      '  log_target_addr: path',
      '  sensitive_headers: [X-Secret]',
      'forward_targets:',
      '  router: { url: "https://router.example/in?x=1", timeout: 5s, auth: { type: bearer, token: "${ROUTER_TOKEN}" } }',
      '  plain: { url: "https://plain.example", auth: { type: none } }',
      'plugin: ./acme.js',
    );
    expect(gatewayOf(text, { ROUTER_TOKEN: 's3cret' })).toEqual({
      listeners: {
        sidecar: {
          host: expect.stringMatching(/^(::|0\.0\.0\.0)$/),
          port: 8443,
          tls: { cert: join(directory, 'server.crt'), key: join(directory, 'server.key'), client_ca: join(directory, 'ca.crt'), auto_rotate: false },
          header_prefix: 'X-Acme',
          trace_header: 'X-Trace',
        },
        ops: { host: '0.0.0.0', port: 9091 },
      },
      policy: { mode: 'strict', allow_list: { 'api.v.com': ['/v1/**', '/health'], '*.Other.com:8443': ['/**'], 'closed.com': [] } },
      callers: { platform: { certificate: 'any', credentials: 'all' } },
      plugin: { module: './acme.js', timeout: '1500ms' },
      forward_targets: {
        router: { url: 'https://router.example/in?x=1', timeout: '5s', auth: { type: 'bearer', token: { env: 'ROUTER_TOKEN' } } },
        plain: { url: 'https://plain.example', timeout: '30s', auth: { type: 'none' } },
      },
      timeouts: { connect: '3s', head: '1m', response_head: '1m', idle: '150s', keep_alive: '1m' },
      limits: { head_size: '1mb', header_count: 1_000 },
      sanitize: { sensitive_headers: ['X-Secret'] },
      log: { level: 'warn', target: 'path' },
      telemetry: { tracing: true },
      shutdown: { drain: '90s' },
    });
  });

  test('has the defaults of the original', () => {
    expect(gatewayOf(minimal())).toMatchObject({
      listeners: {
        sidecar: { host: '127.0.0.1', port: 8443, header_prefix: 'X-Connect', trace_header: 'Connect-Request-ID' },
        ops: { host: '127.0.0.1', port: 9090 },
      },
      plugin: { timeout: '10s' },
      timeouts: { connect: '5s', head: '30s', response_head: '30s', idle: '30s', keep_alive: '2m' },
      sanitize: { sensitive_headers: [] },
      log: { level: 'info', target: 'host' },
      telemetry: { tracing: false },
      shutdown: { drain: '30s' },
    });
    expect(gatewayOf(minimal())).not.toHaveProperty('forward_targets');
    expect(gatewayOf(minimal())).not.toHaveProperty('plugin.module');
  });

  test('empty values and empty sections are defaults', () => {
    const text = file(
      ...LIST,
      '  timeouts:',
      '  header_prefix: ""',
      '  trace_header:',
      ...PLAIN,
      '  admin_addr:',
      'observability:',
      'forward_targets:',
    );
    expect(gatewayOf(text)).toMatchObject({ listeners: { sidecar: { header_prefix: 'X-Connect' } }, timeouts: { connect: '5s' } });
  });

  test.each([
    ['server: {}', true],
    ['upstream: 1', true],
    ['observability: {}', true],
    ['forward_targets: {}', true],
    ['gateway: {}\nserver: {}', false],
    ['gateway: {}', false],
    ['- server', false],
    ['name: x', false],
  ])('is known by its sections: %j', (text, expected) => {
    const { tree } = readDocument(
      text,
      () => undefined,
      () => true,
    );
    expect(tree !== null && isChaperoneConfig(tree)).toBe(expected);
  });
});

describe('who may call', () => {
  const withServer = (server: string): string => file(`server: ${server}`, ...LIST);

  test.each(['127.0.0.1:1', '127.9.9.9:1', '"[::1]:1"', 'localhost:1'])('without TLS, on loopback at %s: this machine', (addr) => {
    expect(gatewayOf(withServer(`{ addr: ${addr}, tls: { enabled: false } }`))).toMatchObject({ callers: { platform: { loopback: true } } });
  });

  test('without TLS, behind balancers that are named: their clients', () => {
    const gateway = gatewayOf(withServer('{ addr: ":8080", tls: { enabled: false }, trusted_proxies: [10.0.0.0/8] }'));
    expect(gateway).toMatchObject({ callers: { platform: { certificate: 'any' } }, listeners: { sidecar: { trusted_proxies: ['10.0.0.0/8'] } } });
    expect(gateway).not.toHaveProperty('listeners.sidecar.tls');
  });

  test.each([':8080', '0.0.0.0:8080', '10.0.0.1:8080'])('without TLS, for everybody at %s: nobody', (addr) => {
    expectProblems(withServer(`{ addr: ‸"${addr}", tls: { enabled: false } }`), [['server.addr', 'everybody who reaches this address']]);
  });
});

describe('variables', () => {
  test.each([
    ['SERVER_ADDR', '[::1]:1', 'listeners.sidecar', { host: '::1', port: 1 }],
    ['SERVER_ADMIN_ADDR', '10.0.0.1:2', 'listeners.ops', { host: '10.0.0.1', port: 2 }],
    ['SERVER_SHUTDOWN_TIMEOUT', '1h30m', 'shutdown', { drain: '90m' }],
    ['UPSTREAM_HEADER_PREFIX', 'X-A', 'listeners.sidecar', { header_prefix: 'X-A' }],
    ['UPSTREAM_TRACE_HEADER', 'X-B', 'listeners.sidecar', { trace_header: 'X-B' }],
    ['UPSTREAM_TIMEOUTS_CONNECT', '1.5s', 'timeouts', { connect: '1500ms' }],
    ['UPSTREAM_TIMEOUTS_READ', '2s', 'timeouts', { head: '2s', response_head: '2s', idle: '30s' }],
    ['UPSTREAM_TIMEOUTS_WRITE', '100us', 'timeouts', { idle: '30s' }],
    ['UPSTREAM_TIMEOUTS_IDLE', '100us', 'timeouts', { keep_alive: '1ms' }],
    ['UPSTREAM_TIMEOUTS_PLUGIN', '7s', 'plugin', { timeout: '7s' }],
    ['OBSERVABILITY_LOG_LEVEL', 'debug', 'log', { level: 'debug' }],
    ['OBSERVABILITY_LOG_TARGET_ADDR', 'path', 'log', { target: 'path' }],
    ['OBSERVABILITY_ENABLE_TRACING', 'T', 'telemetry', { tracing: true }],
  ])('CHAPERONE_%s=%s', (name, value, place, expected) => {
    expect(gatewayOf(minimal(), { [`CHAPERONE_${name}`]: value })).toHaveProperty(place, expect.objectContaining(expected));
  });

  test('count more than the file', () => {
    const text = file(...PLAIN, ...LIST, '  timeouts: { connect: 9s }');
    expect(gatewayOf(text, { CHAPERONE_UPSTREAM_TIMEOUTS_CONNECT: '1s' })).toMatchObject({ timeouts: { connect: '1s' } });
    expect(gatewayOf(text, { CHAPERONE_UPSTREAM_TIMEOUTS_CONNECT: '' })).toMatchObject({ timeouts: { connect: '9s' } });
  });

  test('name the files of TLS', () => {
    const env = { CHAPERONE_SERVER_TLS_CERT_FILE: 'server.crt', CHAPERONE_SERVER_TLS_KEY_FILE: 'server.key', CHAPERONE_SERVER_TLS_CA_FILE: 'ca.crt' };
    const text = file(...LIST);
    expect(gatewayOf(text, env)).toMatchObject({ listeners: { sidecar: { port: 443, tls: { cert: join(directory, 'server.crt') } } } });
    expect(gatewayOf(text, { ...env, CHAPERONE_SERVER_TLS_AUTO_ROTATE: '0' })).toHaveProperty('listeners.sidecar.tls.auto_rotate', false);
    expect(gatewayOf(text, { CHAPERONE_SERVER_TLS_ENABLED: 'F', CHAPERONE_SERVER_ADDR: '127.0.0.1:1' })).not.toHaveProperty('listeners.sidecar.tls');
  });

  test.each([
    ['SERVER_ADDR', '8443', 'server.addr', 'expected an address'],
    ['SERVER_TLS_ENABLED', 'yes', 'server.tls.enabled', 'expected true or false'],
    ['UPSTREAM_TIMEOUTS_READ', '30', 'upstream.timeouts.read', 'expected a duration'],
    ['UPSTREAM_TIMEOUTS_READ', '0s', 'upstream.timeouts.read', 'expected a positive duration'],
    ['OBSERVABILITY_LOG_LEVEL', 'WARN', 'observability.log_level', 'expected debug, info, warn or error'],
  ])('CHAPERONE_%s=%s is an error that names it', (name, value, key, message) => {
    expect(() => read(minimal(), { [`CHAPERONE_${name}`]: value })).toThrow(ConfigError);
    try {
      read(minimal(), { [`CHAPERONE_${name}`]: value });
    } catch (error) {
      expect((error as ConfigError).problems).toMatchObject([
        { key, message: expect.stringMatching(`^the environment variable CHAPERONE_${name}: ${message}`) },
      ]);
    }
  });

  test('stand in tokens only', () => {
    const env = { HOME_TOKEN: 's3cret' };
    const text = (token: string): string =>
      minimal('forward_targets:', '  r:', '    url: https://r.example', `    auth: { type: bearer, token: ${token} }`);
    const tokenOf = (token: string): unknown => (gatewayOf(text(token), env).forward_targets as { r: { auth: { token: unknown } } }).r.auth.token;
    expect(tokenOf('"$HOME_TOKEN"')).toEqual({ env: 'HOME_TOKEN' });
    expect(tokenOf('"a-${HOME_TOKEN}-b"')).toBe('a-s3cret-b');
    expect(tokenOf('pa$$word5$')).toBe('pa$word5$');
    expect(tokenOf('012')).toBe('012');
    expect(gatewayOf(file(...PLAIN, 'upstream: { allow_list: { v.com: ["/$HOME_TOKEN/${HOME_TOKEN}/$${x"] } }'), env)).toMatchObject({
      policy: { allow_list: { 'v.com': ['/$HOME_TOKEN/${HOME_TOKEN}/$${x'] } },
    });
  });
});
