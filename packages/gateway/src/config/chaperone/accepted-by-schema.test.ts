import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configSchema, type ValueContext } from '../schema.js';
import { type ChaperoneConfig, readChaperoneConfig } from './chaperone-config.js';

/** What the schema does not know yet, though a Chaperone file may say it. This list can only become shorter. */
const NOT_YET_KNOWN = ['gateway.listeners.sidecar.tls.auto_rotate', 'gateway.forward_targets', 'gateway.plugin'];

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'chaperone-schema-'));
  for (const name of ['server.crt', 'server.key', 'ca.crt']) writeFileSync(join(directory, name), '');
});
afterAll(() => rmSync(directory, { recursive: true }));

const context: ValueContext = {
  variable: (name) => (name === 'ROUTER_TOKEN' ? 'a-token-of-some-length' : undefined),
  absolute: (path) => resolve(directory, path),
  read: () => '',
  requireReadable: () => {},
};

function read(server: string): ChaperoneConfig {
  const text = `
server: ${server}
upstream:
  allow_list: { "*.v.com": [/v1/**], "api.v.com:8443": [/] }
  timeouts: { connect: 1.5s, plugin: 1h30m }
observability: { sensitive_headers: [X-Secret], enable_tracing: true }
forward_targets:
  router: { url: "https://router.example", timeout: 5s, auth: { type: bearer, token: $ROUTER_TOKEN } }
`;
  return readChaperoneConfig(text, { path: join(directory, 'config.yaml'), env: { ROUTER_TOKEN: 'x' }, directory, exposed: false });
}

/** What the schema says of a configuration, apart from keys that it does not know yet. */
function complaints(config: object): readonly string[] {
  const result = configSchema(context).safeParse(config);
  return (result.error?.issues ?? []).flatMap((issue) => {
    const at = issue.path.join('.');
    if (issue.code !== 'unrecognized_keys') return [`${at}: ${issue.message}`];
    return issue.keys.map((key) => `${at}.${key}`).filter((key) => !NOT_YET_KNOWN.includes(key));
  });
}

const TLS = '{ tls: { cert_file: server.crt, key_file: server.key, ca_file: ca.crt, auto_rotate: false } }';
const BALANCED = '{ addr: ":8443", tls: { enabled: false }, trusted_proxies: [10.0.0.0/8] }';
const LOCAL = '{ addr: "127.0.0.1:8443", tls: { enabled: false } }';

describe('the schema', () => {
  test.each([
    ['on loopback', LOCAL],
    ['with TLS', TLS],
    ['behind a balancer', BALANCED],
  ])('takes all that it knows, %s', (_, server) => {
    expect(complaints(read(server).config)).toEqual([]);
  });

  test('complains at the place of the file that a value came from', () => {
    const { config, rejection } = read(LOCAL);
    const broken = structuredClone(config) as { gateway: { policy: { allow_list: Record<string, string[]> }; timeouts: object; ports?: number } };
    broken.gateway.policy.allow_list['*.v.com'] = ['/ok', 'nonsense'];
    broken.gateway.timeouts = { connect: 'soon' };
    const { error } = configSchema(context).safeParse(broken);
    const issues = (error?.issues ?? []).filter(({ code }) => code !== 'unrecognized_keys');
    expect(rejection(issues).problems).toMatchObject([
      { key: 'upstream.allow_list["*.v.com"][1]', line: 4, message: expect.stringContaining('can never match') },
      { key: 'upstream.timeouts.connect', line: 5, column: 24, message: expect.stringContaining('expected a duration') },
    ]);
  });

  test('complains at the address where two listeners are in each other’s way', () => {
    const { config, rejection } = read('{ addr: "127.0.0.1:8443", admin_addr: "127.0.0.1:8443", tls: { enabled: false } }');
    const { error } = configSchema(context).safeParse(config);
    const issues = (error?.issues ?? []).filter(({ code }) => code !== 'unrecognized_keys');
    expect(rejection(issues).problems).toMatchObject([
      { key: 'server.admin_addr', line: 2, column: 47, message: 'the listener sidecar has this address already' },
    ]);
  });

  test('complains by our own name where nothing in the file is behind a value', () => {
    const { config, rejection } = read(LOCAL);
    const { error } = configSchema(context).safeParse({ gateway: { ...config.gateway, limits: { head_size: 5 } } });
    const issues = (error?.issues ?? []).filter(({ code }) => code !== 'unrecognized_keys');
    expect(rejection(issues).problems).toMatchObject([{ key: '', message: expect.stringMatching(/^gateway\.limits\.head_size: expected a size/) }]);
  });
});
