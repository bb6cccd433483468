import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { gateway, problemsOf } from './expected-problems.test.support.js';
import { fileShape } from './file-shape.js';
import { homesOf, isShowable } from './known-keys.js';
import { parseConfig } from './load.js';
import type { JsonSchema } from './written-schema.js';

const KEY = JSON.stringify(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
const FINGERPRINT = 'ab'.repeat(32);

/** Holds every key there is, each with a valid value. */
const FULL = `
gateway:
  listeners:
    forward: { host: 127.0.0.1, port: 9080, tls: { cert: /dev/null, key: /dev/null }, insecure_targets: true }
    sidecar:
      host: 127.0.0.1
      port: 8443
      tls: { cert: /dev/null, key: /dev/null, client_ca: /dev/null, crl: [/dev/null], auto_rotate: true, chain_ca: [/dev/null] }
      trusted_proxies: [10.0.0.0/8]
      forwarded_certificate: { header: Client-Cert, ca: [/dev/null], crl: /dev/null }
      header_prefix: X-Connect
      trace_header: Connect-Request-ID
      caller_header: X-Sallyport-Token
      insecure_targets: false
      normalize_errors: true
    ops: { host: 127.0.0.1, port: 9090 }
  authority: { dir: ~/.sallyport/ca, leaf_lifetime: 7d, leaf_cache: 1024 }
  policy: { mode: strict, rules: [allow a.example], allow_list: { a.example: [/a/**] } }
  credentials:
    a:
      source: { type: env, var: X }
      bind: [{ hosts: [a.example], methods: [GET], paths: [/a/**], place: { header: X-Key, format: "{secret}" }, plaintext: false }]
    b:
      source: { type: file, path: x }
      bind: [{ hosts: [b.example], place: [{ basic: { username: { env: LONG } } }, { query: key }] }]
    c:
      source: { type: static, value: { file: /dev/null } }
      bind: [{ hosts: [c.example], place: { query: key } }]
    d:
      source: { type: process, command: [x], timeout: 10s, ttl: 5m }
      bind: [{ hosts: [d.example], place: { query: key } }]
    e:
      grant: { type: client_credentials, token_url: https://a.example, client_id: me, client_secret: { env: LONG }, auth: post }
      bind: [{ hosts: [e.example], place: { header: Authorization } }]
  forward_targets:
    a: { url: https://a.example, timeout: 30s, auth: { type: bearer, token: { env: LONG } }, insecure: false }
  token_stores:
    a: { type: file, path: x }
    b: { type: directory, path: x }
    c:
      type: vault
      address: https://v.example
      auth: { type: approle, role_id: x, secret_id: { file: x }, mount: approle }
      mount: secret
      path: "{key}"
      namespace: x
      timeout: 3s
    d: { type: vault, address: https://v.example, auth: { type: kubernetes, role: x, jwt_file: x, mount: x } }
    e: { type: azure_key_vault, vault_url: https://v.vault.azure.net, identity: { type: managed_identity, client_id: x }, prefix: x, resource: x, settle: 1s }
    f:
      type: azure_key_vault
      vault_url: https://v.vault.azure.net
      identity: { type: workload_identity, tenant_id: x, client_id: x, authority: https://a.example, token_file: x }
    g: { type: control_plane, base_url: https://c.example, token: { env: LONG } }
  providers:
    a:
      type: client_credentials
      token_url: http://127.0.0.1/t
      client_id: me
      auth: private_key_jwt
      private_key: ${KEY}
      key_id: x
      algorithm: EdDSA
      audience: x
      scopes: [a]
      expiry_margin: 1m
      extra_params: { x: y }
      assumed_lifetime: 1h
      timeout: 10s
      min_tls: TLSv1.3
      insecure: true
    b: { type: refresh_token, token_url: https://a.example, client_id: me, auth: none, store: b, key: x, reusable: false }
    c: { type: microsoft, endpoint: https://a.example, client_id: me, client_secret: x, store: b, tenant: { mapping: a }, max_tenants: 10 }
    d: { type: static, headers: { X-Key: { env: LONG } } }
    e: { type: credentials_file, path: x }
    f: { type: credential, credential: e }
  mappings:
    a: [{ match: {}, key: x }]
  routes:
    - match: { vendor_id: a, marketplace_id: a, product_id: a, environment_id: a, target_url: a.example, data: { x: y } }
      provider: a
    - { match: {}, forward: a }
  default: { provider: b }
  plugin: { timeout: 10s, isolation: inline, cache: 10 }
  callers:
    a: { token: { env: LONG }, credentials: [a] }
    b: { loopback: true, credentials: all }
    c: { certificate: { subject: CN=a, issuer: CN=b, san: [dns:a.example], fingerprint: ${FINGERPRINT} }, credentials: all }
    d: { certificate: any }
  upstream: { ca: [/dev/null], min_tls: TLSv1.2, hosts: { x.example: 127.0.0.1 } }
  timeouts: { head: 10s, idle: 5m, keep_alive: 2m, connect: 10s, tls_handshake: 10s, response_head: 5m, total: off }
  limits:
    head_size: 32kb
    header_count: 100
    connections: 10000
    connections_per_upstream: 1024
    idle_per_upstream: 64
    tunnels: 5000
    normalized_body: 1mb
    plugin_body: 1mb
  sanitize: { sensitive_headers: [X-Internal] }
  log: { level: info, target: path, file: x.log }
  telemetry:
    tracing: true
    metrics: true
    endpoint: http://c.example
    headers: { X-Key: { env: LONG } }
    service_name: x
    resource: { x: y }
    sample: 0.5
    interval: 10s
  shutdown: { drain: 30s }
`.replace('{ file: /dev/null }', '{ env: LONG }');

const CHOSEN_NAMES =
  /^gateway\.(telemetry\.resource|credentials|callers|upstream\.hosts|forward_targets|token_stores|providers|mappings|policy\.allow_list)$|\.(extra_params|headers|data)$/;

interface Key {
  readonly path: readonly (string | number)[];
  readonly key: string;
  readonly siblings: readonly string[];
}

/** Every key of the document but those that are names of the user's choice. */
function keysOf(value: unknown, path: readonly (string | number)[] = []): Key[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => keysOf(item, [...path, index]));
  if (typeof value !== 'object' || value === null) return [];
  const siblings = Object.keys(value);
  return Object.entries(value).flatMap(([key, child]) => [
    ...(CHOSEN_NAMES.test(path.join('.')) ? [] : [{ path, key, siblings }]),
    ...keysOf(child, [...path, key]),
  ]);
}

/** All words that a map may hold somewhere, so that a misspelling can be told from another key. */
function vocabulary(schema: JsonSchema): string[] {
  const children = [...Object.values(schema.properties ?? {}), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  if (schema.additionalProperties) children.push(schema.additionalProperties);
  if (schema.items) children.push(schema.items);
  return [...Object.keys(schema.properties ?? {}), ...children.flatMap(vocabulary)];
}

const { written } = fileShape(null);
const sample = parseDocument(FULL).toJS() as Record<string, unknown>;
const keys = keysOf(sample);
const known = new Set(vocabulary(written));

const misspelling = fc
  .record({
    at: fc.constantFrom(...keys),
    edit: fc.constantFrom('drop', 'double', 'swap', 'replace', 'insert'),
    position: fc.nat(),
    letter: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz_'),
  })
  .map(({ at, edit, position, letter }) => {
    const { key } = at;
    const i = position % key.length;
    const [before, one, after] = [key.slice(0, i), key.charAt(i), key.slice(i + 1)];
    const wrong = {
      drop: before + after,
      double: before + one + one + after,
      swap: before + after.charAt(0) + one + after.slice(1),
      replace: before + letter + after,
      insert: before + letter + one + after,
    }[edit];
    return { at, wrong };
  })
  .filter(({ at, wrong }) => wrong !== '' && wrong !== at.key && !known.has(wrong));

test('the sample holds every key there is, and is valid', () => {
  expect(problemsOf(FULL)).toEqual([]);
  const used = new Set(keys.map(({ key }) => key));
  // A plugin and a default exclude each other, its options may be anything, and so may what others look into.
  expect([...known].filter((key) => !used.has(key) && key !== 'module' && key !== 'options' && key !== 'control')).toEqual([]);
});

test('a misspelled key is always an error at its place that names the right key', () => {
  fc.assert(
    fc.property(misspelling, ({ at, wrong }) => {
      const document = parseDocument(FULL);
      const parent = document.getIn(at.path, true) as { items: { key: { value: string } }[] };
      for (const pair of parent.items) if (pair.key.value === at.key) pair.key.value = wrong;
      const text = document.toString({ lineWidth: 0 });
      const named = problemsOf(text).filter(
        ({ message, key }) => key.endsWith(wrong) && /did you mean/.test(message) && message.includes(`"${at.key}"`),
      );
      expect(named).toHaveLength(1);
      const { line, column } = named[0] as { line: number; column: number };
      expect(
        text
          .split('\n')
          [line - 1]?.slice(column - 1)
          .startsWith(wrong),
      ).toBe(true);
    }),
    { numRuns: 200 },
  );
});

/** The sample with something else at one place; JSON is YAML. */
function changed(path: readonly (string | number)[], change: (map: Record<string, unknown>) => void): string {
  const whole = structuredClone(sample);
  change(path.reduce<Record<string, unknown>>((node, key) => node[key] as Record<string, unknown>, whole));
  return JSON.stringify(whole);
}

test('a key that nobody knows is an error in every map', () => {
  for (const path of new Set(keys.map((key) => JSON.stringify(key.path)))) {
    const text = changed(JSON.parse(path) as (string | number)[], (map) => Object.assign(map, { quixotic: 1 }));
    expect(problemsOf(text).filter(({ key }) => key.endsWith('quixotic'))).toHaveLength(1);
  }
});

test('a map that means nothing is an error as the value of any key', () => {
  for (const { path, key } of keys) {
    expect(problemsOf(changed(path, (map) => Object.assign(map, { [key]: { quixotic: [null] } })))).not.toEqual([]);
  }
});

test('a key is told where it belongs', () => {
  expect(homesOf(written, 'rules')).toEqual(['gateway.policy']);
  expect(homesOf(written, 'token')).toContain('gateway.callers.NAME');
  expect(homesOf(written, 'target_url')).toEqual(['gateway.mappings.NAME[].match', 'gateway.routes[].match']);
  expect(homesOf(written, 'plaintext')).toEqual(['gateway.credentials.NAME.bind[]']);
  expect(homesOf(written, 'quixotic')).toEqual([]);
});

describe('a line may be shown when its value', () => {
  test.each([
    [['gateway', 'policy', 'rules', 0], true],
    [['gateway', 'listeners', 'forward', 'port'], true],
    [['gateway', 'callers', 'ci', 'credentials', 0], true],
    [['gateway', 'upstream', 'hosts', 'a.example'], true],
    [['gateway', 'credentials', 'a', 'bind', 0, 'place', 'header'], true],
    [['gateway', 'credentials', 'a', 'bind', 0, 'place', 1, 'header'], true],
    [['gateway', 'callers', 'ci', 'token'], false],
    [['gateway', 'callers', 'ci', 'token', 'env'], false],
    [['gateway', 'callers', 'ci', 'tokn'], false],
    [['gateway', 'callers', 'ci'], false],
    [['gateway', 'callers'], false],
    [['gateway', 'log', 'constructor'], false],
    [['gateway', 'log', 'level', 'x'], false],
    [['gateway', 'credentials', 'a', 'source'], false],
    [['gateway', 'credentials', 'a', 'source', 'command', 0], false],
    [['gateway', 'credentials', 'a', 'bind', 0, 'place', 'format'], false],
    [[], false],
  ])('stands at %j: %s', (path, shown) => {
    expect(isShowable(written, path)).toBe(shown);
  });
});

test('no secret that stands in the file is ever shown, whatever is wrong with it', () => {
  const secret = fc.stringMatching(/^[A-Za-z0-9]{12,24}$/).map((text) => `zq${text}`);
  const template = fc.constantFrom(
    (s: string) => gateway('listeners: {}', `callers: { ci: { token: ${s}, tokn: 1 } }`),
    (s: string) => gateway('listeners: {}', 'callers:', '  ci:', `    tokn: ${s}`),
    (s: string) => gateway('listeners: {}', 'callers:', `  ci: ${s}`),
    (s: string) => gateway('listeners: {}', `callers: ${s}`),
    (s: string) => gateway('listeners: {}', 'callers:', '  ci:', `    token: { ${'evn'}: ${s} }`),
    (s: string) => gateway('listeners: {}', 'callers:', '  ci:', `    token: { env: ${s} }`),
    (s: string) => gateway('listeners: {}', 'callers:', '  ci:', '    token: |', `      ${s}`, `      ${s}`, '    x: 1'),
    (s: string) => gateway('listeners: {}', 'callers:', '  ci:', `    token: "\${${'UNSET'}}${s}"`),
    (s: string) => gateway('listeners: {}', 'callers:', '  ci:', `    token: "${s}`),
    (s: string) => gateway('listeners: {}', 'callers:', '  ci:', `    token: ${s}: ${s}`),
    (s: string) => gateway('listeners: {}', 'callers:', '  ci:', `    token: [${s}`),
    (s: string) => gateway('listeners: {}', 'callers:', '  ci:', `    token: !secret ${s}`),
    (s: string) => gateway('listeners: {}', 'callers:', '  ci:', `    token: {a: {b: ${s}}}`),
    (s: string) => gateway('listeners: {}', 'callers:', '  ci:', `    token: ${s}`, `    token: ${s}`),
    (s: string) => gateway('listeners: {}', 'callers:', `  a: { token: ${s} }`, `  b: { token: ${s} }`),
    (s: string) => gateway('listeners: {}', `log: { file: &t ${s} }`, 'callers: { a: { token: *t, x: 1 } }', 'log: {}'),
    (s: string) => gateway('listeners: {}', 'credentials:', `  a: { source: { type: static, value: ${s}, valu: ${s} } }`),
    (s: string) => gateway('listeners: {}', 'credentials:', `  a: { source: ${s} }`),
    (s: string) => gateway('listeners: {}', 'credentials:', `  a: { source: { type: process, command: [x, ${s}], y: 1 } }`),
    (s: string) => gateway('listeners: {}', 'credentials:', `  a: { source: { type: env, var: X }, bind: [{ place: { header: a, format: ${s} } }] }`),
    (s: string) => `? { a: ${s} }\n: ${s}`,
    (s: string) => `- ${s}`,
    (s: string) => s,
  );
  const shownFor = (text: string): string => {
    try {
      parseConfig(text, { path: '/nowhere/sallyport.yaml', env: {} });
    } catch (error) {
      return JSON.stringify([error, String(error), (error as { problems: unknown }).problems]);
    }
    throw new Error('the text is valid');
  };
  fc.assert(
    fc.property(secret, template, (value, fill) => {
      expect(shownFor(fill(value))).not.toContain(value);
    }),
    { numRuns: 200 },
  );
});
