import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../config/load.js';
import type { GatewayConfig } from '../../config/schema.js';
import { removeTemporaryDirectories, temporaryDirectory } from '../../testing/temporary-directory.test.support.js';
import { setAt } from './contract-scene.test.support.js';

let directory = '';
let files = 0;
beforeAll(async () => {
  directory = await temporaryDirectory();
  for (const name of ['server.crt', 'server.key', 'ca.crt', 'other.pem']) await writeFile(join(directory, name), 'x');
});
afterAll(removeTemporaryDirectories);

/** What a file comes to that says no more than it has to, and one key besides. */
async function configured(key: string | null, value: unknown, env: Readonly<Record<string, string>> = {}): Promise<GatewayConfig> {
  const at = (name: string): string => join(directory, name);
  const root: Record<string, unknown> = {
    server: { tls: { cert_file: at('server.crt'), key_file: at('server.key'), ca_file: at('ca.crt') } },
    upstream: { allow_list: { 'v.com': ['/**'] } },
  };
  if (key !== null) setAt(root, key, value);
  const path = at(`config-${++files}.yaml`);
  await writeFile(path, JSON.stringify(root), { mode: 0o600 });
  return (await loadConfig(path, { env })).gateway;
}

/** A key, what it is by default, another value, what cannot be, and where it is found. */
interface Row {
  readonly key: string;
  readonly fallback: unknown;
  readonly other: readonly [written: string | boolean, read: unknown];
  readonly wrong: readonly unknown[];
  readonly of: (config: GatewayConfig) => unknown;
}

const DURATIONS = ['0s', '-1s', '5', 'soon'];
const sidecar = (config: GatewayConfig) => config.listeners.sidecar;
const address = (listener: { host: string; port: number } | undefined): unknown => listener && [listener.host, listener.port];

const rows: readonly Row[] = [
  {
    key: 'server.addr',
    fallback: [expect.stringMatching(/^(::|0\.0\.0\.0)$/), 443],
    other: ['127.0.0.1:8443', ['127.0.0.1', 8443]],
    wrong: ['8443', '127.0.0.1:65536', 'x:y'],
    of: (config) => address(sidecar(config)),
  },
  {
    key: 'server.admin_addr',
    fallback: ['127.0.0.1', 9090],
    other: ['127.0.0.1:0', ['127.0.0.1', 0]],
    wrong: ['9090', '127.0.0.1:-1'],
    of: (config) => address(config.listeners.ops),
  },
  { key: 'server.shutdown_timeout', fallback: 30_000, other: ['1m30s', 90_000], wrong: DURATIONS, of: (config) => config.shutdown.drain },
  {
    key: 'server.tls.auto_rotate',
    fallback: true,
    other: ['false', false],
    wrong: ['perhaps'],
    of: (config) => sidecar(config)?.tls?.auto_rotate,
  },
  {
    key: 'upstream.header_prefix',
    fallback: 'X-Connect',
    other: ['X-Acme', 'X-Acme'],
    wrong: ['X Acme'],
    of: (config) => sidecar(config)?.header_prefix,
  },
  {
    key: 'upstream.trace_header',
    fallback: 'Connect-Request-ID',
    other: ['X-Trace', 'X-Trace'],
    wrong: ['a:b'],
    of: (config) => sidecar(config)?.trace_header,
  },
  { key: 'upstream.timeouts.connect', fallback: 5_000, other: ['3s', 3_000], wrong: DURATIONS, of: (config) => config.timeouts.connect },
  { key: 'upstream.timeouts.read', fallback: 30_000, other: ['2m', 120_000], wrong: DURATIONS, of: (config) => config.timeouts.response_head },
  { key: 'upstream.timeouts.write', fallback: 30_000, other: ['2m', 120_000], wrong: DURATIONS, of: (config) => config.timeouts.idle },
  { key: 'upstream.timeouts.idle', fallback: 120_000, other: ['1m', 60_000], wrong: DURATIONS, of: (config) => config.timeouts.keep_alive },
  { key: 'upstream.timeouts.plugin', fallback: 10_000, other: ['1h30m', 5_400_000], wrong: DURATIONS, of: (config) => config.plugin?.timeout },
  { key: 'observability.log_level', fallback: 'info', other: ['warn', 'warn'], wrong: ['WARN', 'trace'], of: (config) => config.log.level },
  { key: 'observability.log_target_addr', fallback: 'host', other: ['full', 'full'], wrong: ['all'], of: (config) => config.log.target },
  { key: 'observability.enable_tracing', fallback: false, other: ['true', true], wrong: ['2'], of: (config) => config.telemetry.tracing },
];

const variable = (key: string): string => `CHAPERONE_${key.toUpperCase().replaceAll('.', '_')}`;

describe.each(rows)('$key', ({ key, fallback, other: [written, read], wrong, of }) => {
  test('has its default', async () => {
    expect(of(await configured(null, null))).toEqual(fallback);
  });

  test('can be written, and its variable counts more', async () => {
    expect(of(await configured(key, written))).toEqual(read);
    expect(of(await configured(null, null, { [variable(key)]: String(written) }))).toEqual(read);
    expect(of(await configured(key, written, { [variable(key)]: '' }))).toEqual(read);
  });

  test.each(wrong)('cannot be %j, neither in the file nor in the variable', async (value) => {
    await expect(configured(key, value)).rejects.toMatchObject({ code: 'config_invalid', message: expect.stringContaining(key) as unknown });
    await expect(configured(null, null, { [variable(key)]: String(value) })).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining(variable(key)) as unknown,
    });
  });
});

describe('the files of TLS', () => {
  test.each([
    ['cert_file', 'cert'],
    ['key_file', 'key'],
  ] as const)('server.tls.%s has to exist while TLS is on', async (key, member) => {
    const other = join(directory, 'other.pem');
    expect(sidecar(await configured(`server.tls.${key}`, other))?.tls?.[member]).toBe(other);
    expect(sidecar(await configured(null, null, { [variable(`server.tls.${key}`)]: other }))?.tls?.[member]).toBe(other);
    await expect(configured(`server.tls.${key}`, '/not/there')).rejects.toMatchObject({ code: 'config_invalid' });
  });

  test('server.tls.ca_file too', async () => {
    expect(sidecar(await configured('server.tls.ca_file', join(directory, 'other.pem')))?.tls?.client_ca).toEqual([join(directory, 'other.pem')]);
    await expect(configured('server.tls.ca_file', '/not/there')).rejects.toMatchObject({ code: 'config_invalid' });
  });

  test.each(['false', 'F', '0'])('server.tls.enabled: %s in the variable turns TLS off', async (value) => {
    const env = { CHAPERONE_SERVER_TLS_ENABLED: value, CHAPERONE_SERVER_ADDR: '127.0.0.1:8080' };
    expect(sidecar(await configured(null, null, env))?.tls).toBeUndefined();
  });
});

describe('what only the file says', () => {
  test('upstream.allow_list', async () => {
    expect((await configured(null, null)).policy).toMatchObject({ mode: 'strict', allow_list: { 'v.com': ['/**'] } });
    await expect(configured('upstream.allow_list', {})).rejects.toMatchObject({ code: 'config_invalid' });
  });

  test('observability.sensitive_headers', async () => {
    expect((await configured('observability.sensitive_headers', ['X-A'])).sanitize.sensitive_headers).toEqual(['X-A']);
    expect((await configured(null, null)).sanitize.sensitive_headers).toEqual([]);
  });

  test('body logging cannot be in it', async () => {
    await expect(configured('observability.enable_body_logging', true)).rejects.toMatchObject({ code: 'config_invalid' });
  });

  test('a key that nobody knows is an error, where it is read over there', async () => {
    await expect(configured('server.tls.auto_rotat', true)).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('auto_rotate') as unknown,
    });
  });

  test('all that is wrong is said at once', async () => {
    const env = { CHAPERONE_SERVER_ADDR: 'x', CHAPERONE_UPSTREAM_TIMEOUTS_READ: 'y', CHAPERONE_OBSERVABILITY_LOG_LEVEL: 'z' };
    const error: unknown = await configured('upstream.allow_list', {}, env).catch((caught: unknown) => caught);
    expect((error as { problems: unknown[] }).problems).toHaveLength(4);
  });
});
