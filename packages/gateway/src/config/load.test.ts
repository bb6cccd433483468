// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these texts are what the configuration fills in.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type { Secret } from '@sallyport/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FORWARD, gateway } from './expected-problems.test.support.js';
import { loadConfig, parseConfig } from './load.js';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-config-'));
});
afterAll(() => rm(directory, { recursive: true }));

async function file(name: string, content: string | Uint8Array, mode = 0o600): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
}

describe('a configuration is resolved', () => {
  test('to its defaults', () => {
    expect(parseConfig(gateway(FORWARD), { path: '/etc/sallyport/gateway.yaml', env: { HOME: '/home/me' } })).toEqual({
      path: '/etc/sallyport/gateway.yaml',
      files: ['/etc/sallyport/gateway.yaml'],
      warnings: [],
      gateway: {
        listeners: { forward: { host: '127.0.0.1', port: 9080, insecure_targets: true } },
        authority: { dir: '/home/me/.sallyport/ca', leaf_lifetime: 604_800_000, leaf_cache: 1_024 },
        policy: { mode: 'strict', rules: [] },
        credentials: {},
        callers: {},
        forward_targets: {},
        token_stores: {},
        providers: {},
        mappings: {},
        routes: [],
        upstream: { ca: [], min_tls: 'TLSv1.2', hosts: {} },
        timeouts: { head: 10_000, idle: 300_000, keep_alive: 120_000, connect: 10_000, tls_handshake: 10_000, response_head: 300_000, total: null },
        limits: {
          head_size: 32_768,
          header_count: 100,
          connections: 10_000,
          connections_per_upstream: 1_024,
          idle_per_upstream: 64,
          tunnels: 5_000,
          normalized_body: 1_048_576,
          plugin_body: 1_048_576,
        },
        sanitize: { sensitive_headers: [] },
        log: { level: 'info', target: 'path' },
        telemetry: { tracing: false, metrics: false, headers: {}, resource: {} },
        shutdown: { drain: 30_000 },
      },
    });
  });

  test('sidecar and ops have defaults of their own', () => {
    const { listeners } = parseConfig(gateway('listeners: { sidecar: {}, ops: {} }'), { path: 'x.yaml' }).gateway;
    expect(listeners).toEqual({
      sidecar: {
        host: '127.0.0.1',
        port: 8_443,
        header_prefix: 'X-Connect',
        trace_header: 'Connect-Request-ID',
        caller_header: 'X-Sallyport-Token',
        insecure_targets: false,
        normalize_errors: true,
      },
      ops: { host: '127.0.0.1', port: 9_090 },
    });
  });

  test('with variables, references, paths and secrets', async () => {
    await file('token', 'token-in-a-file-of-its-own\n');
    await file('ca.pem', '');
    const path = await file(
      'full.yaml',
      `
gateway:
  listeners: { forward: { port: "\${PORT}", insecure_targets: "\${OPEN:-false}", tls: { cert: ca.pem, key: ./ca.pem } } }
  authority: { dir: "\${UNSET:-~/ca}" }
  policy: { rules: ["allow \${HOST} GET /r/**", allow *.b.example] }
  credentials:
    a:
      source: { type: static, value: { env: VALUE } }
      bind:
        - hosts: [a.example, "*.a.example:8443"]
          methods: [GET, POST]
          paths: [/r/**]
          place: [{ header: X-Key, format: "Key {secret.key}" }, { basic: { username: { env: USER } } }, { query: key }]
          plaintext: true
    b: { source: { type: process, command: [./get, a b], timeout: 500ms, ttl: 2h }, bind: [{ hosts: [b.example], place: { header: X-Key } }] }
    c: { source: { type: file, path: ../c }, bind: [{ hosts: [c.example], place: { query: key } }] }
  callers:
    ci: { token: { file: token }, credentials: [a] }
    run: { token: "\${VALUE}-and-more", credentials: all }
    me: { loopback: true }
  upstream: { ca: [ca.pem], min_tls: TLSv1.3 }
  timeouts: { total: 1h }
  log: { file: /var/log/sallyport.log }
`,
    );
    const env = { PORT: '8000', HOST: 'a.example', VALUE: 'the-value-of-it', USER: 'me', HOME: '/home/me' };
    const { gateway: config, files, warnings } = await loadConfig(path, { env });
    const pem = join(directory, 'ca.pem');
    expect(config).toMatchObject({
      listeners: { forward: { port: 8_000, insecure_targets: false, tls: { cert: pem, key: pem } } },
      authority: { dir: '/home/me/ca' },
      policy: { rules: ['allow a.example GET /r/**', 'allow *.b.example'] },
      credentials: {
        a: {
          bind: [
            {
              hosts: ['a.example', '*.a.example:8443'],
              methods: ['GET', 'POST'],
              paths: ['/r/**'],
              place: [{ header: 'X-Key', format: 'Key {secret.key}' }, { basic: { username: 'me' } }, { query: 'key' }],
              plaintext: true,
            },
          ],
        },
        b: {
          source: { type: 'process', command: [join(directory, 'get'), 'a b'], timeout: 500, ttl: 7_200_000 },
          bind: [{ place: [{ header: 'X-Key', format: '{secret}' }], plaintext: false }],
        },
        c: { source: { type: 'file', path: join(directory, '..', 'c') } },
      },
      callers: { ci: { credentials: ['a'] }, run: { credentials: 'all' }, me: { loopback: true, credentials: [] } },
      upstream: { ca: [pem], min_tls: 'TLSv1.3' },
      timeouts: { total: 3_600_000 },
      log: { file: '/var/log/sallyport.log' },
    });
    const { ci, run } = config.callers as Record<string, { token: Secret }>;
    expect(ci?.token.reveal()).toBe('token-in-a-file-of-its-own');
    expect(run?.token.reveal()).toBe('the-value-of-it-and-more');
    expect((config.credentials.a as unknown as { source: { value: Secret } }).source.value.reveal()).toBe('the-value-of-it');
    expect(`${inspect(config, { depth: null, showHidden: true })}${JSON.stringify(config)}`).not.toMatch(/the-value-of-it|token-in-a-file/);
    expect([...files].sort()).toEqual([pem, path, join(directory, 'token')].sort());
    expect(warnings).toEqual([]);
  });

  test('an escaped reference is the text itself', () => {
    const { gateway: config } = parseConfig(gateway(FORWARD, 'log: { file: "/a/$${b}" }'), { path: '/x.yaml', env: {} });
    expect(config.log.file).toBe('/a/${b}');
  });
});

describe('a file is refused', () => {
  test('that is not there, is a directory, or may not be read', async () => {
    await expect(loadConfig(join(directory, 'none.yaml'))).rejects.toMatchObject({
      code: 'config_not_found',
      problems: [],
      message: expect.stringContaining('ENOENT'),
    });
    await expect(loadConfig(directory)).rejects.toMatchObject({ code: 'config_not_found', message: expect.stringContaining('EISDIR') });
  });

  test('that is larger than 1 MiB, however it claims to be', async () => {
    const path = await file('large.yaml', `${gateway(FORWARD)}\n#${'x'.repeat(1_048_576)}`);
    await expect(loadConfig(path)).rejects.toMatchObject({ code: 'config_invalid', problems: [{ message: 'the file is larger than 1 MiB' }] });
    await expect(loadConfig('/dev/zero')).rejects.toMatchObject({ code: 'config_invalid', problems: [{ message: 'the file is larger than 1 MiB' }] });
  });

  test('that is not UTF-8', async () => {
    const path = await file('latin.yaml', Uint8Array.of(0x61, 0x3a, 0x20, 0xe9));
    await expect(loadConfig(path)).rejects.toMatchObject({ code: 'config_invalid', problems: [{ message: 'the file is not UTF-8' }] });
  });

  test('when a value in a file of its own is larger than a secret is', async () => {
    await file('large', 'x'.repeat(65_537));
    const path = await file('value.yaml', gateway(FORWARD, 'callers: { ci: { token: { file: large } } }'));
    await expect(loadConfig(path)).rejects.toMatchObject({ problems: [{ message: 'the file cannot be read (larger than 64 KiB)' }] });
  });
});

describe('a warning', () => {
  const text = [
    'gateway:',
    `  ${FORWARD}`,
    '  callers:',
    '    a: { token: a-literal-token-here }',
    '    b: { token: { env: LONG } }',
    '    c: { token: "${LONG}-and-more" }',
    '    d: { token: "${UNSET:-a-default-token-here}" }',
    '    e: { loopback: true }',
    '  credentials:',
    '    s: { source: { type: static, value: sesame }, bind: [{ hosts: [a.example], place: { query: key } }] }',
  ].join('\n');
  const env = { LONG: 'a-token-of-some-length' };

  test('names each secret that stands in a file which everybody can read, and shows none', async () => {
    const { warnings } = await loadConfig(await file('open.yaml', text, 0o644), { env });
    expect(warnings.map(({ line, column, key }) => [line, column, key])).toEqual([
      [4, 17, 'gateway.callers.a.token'],
      [7, 17, 'gateway.callers.d.token'],
      [10, 41, 'gateway.credentials.s.source.value'],
    ]);
    expect(JSON.stringify(warnings)).not.toMatch(/literal|default-token|sesame/);
  });

  test('is not given for a file of one’s own, or one without secrets', async () => {
    expect((await loadConfig(await file('own.yaml', text, 0o640), { env })).warnings).toEqual([]);
    expect((await loadConfig(await file('plain.yaml', gateway(FORWARD), 0o644), { env })).warnings).toEqual([]);
  });
});
