import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { control, controlOf, expectProblems, parsed, problemsOf } from './control-problems.test.support.js';
import { FULL } from './full-control.test.support.js';

describe('an empty section', () => {
  test('is a whole control plane on this machine', () => {
    const config = controlOf('control: {}');
    expect(config.database).toEqual({ provider: 'sqlite', path: '/home/me/.sallyport/sallyport.db', synchronous: 'full', busyTimeoutMs: 5_000 });
    expect(Object.entries(config.services).map(([name, { host, port }]) => [name, host, port])).toEqual([
      ['public', '127.0.0.1', 8_080],
      ['api', '127.0.0.1', 8_081],
      ['admin_api', '127.0.0.1', 8_082],
      ['worker', '127.0.0.1', 8_083],
    ]);
    const { global_key: key, ...auth } = config.system_auth;
    expect(key).toMatchObject({ type: 'file', madeIn: '/home/me/.sallyport/global.key' });
    expect(key.reveal()).toEqual({ type: 'file', path: '/home/me/.sallyport/global.key' });
    expect(auth).toEqual({
      previous_global_keys: [],
      key_providers: [{ namespaces: ['root.**'], providers: ['value', 'base64', 'random'] }],
      data_encryption_keys: { rotation_interval: 7_776_000_000, destroy_after: 604_800_000 },
      jwt_issuer: 'sallyport',
      token_lifetime: 3_600_000,
      actor_token_lifetime: 3_600_000,
      clock_leeway: 30_000,
      issuers: [],
      actors: [],
      actor_directories: {},
      actor_sync_schedule: '*/5 * * * *',
    });
    const { database: _, services: __, system_auth: ___, ...rest } = config;
    expect(rest).toEqual({
      host_application: { return_urls: [] },
      sign_in: { providers: {} },
      rate_limits: {
        actor: { limit: 1_200, windowSeconds: 60 },
        address: { limit: 300, windowSeconds: 60 },
        failed_authentication: { limit: 20, windowSeconds: 60 },
      },
      tasks: { concurrency: 4, retention: 604_800_000, dead_retention: 7_776_000_000 },
      retention: { soft_deleted: 2_592_000_000, idempotency_keys: 86_400_000, audit: null },
      log: { level: 'info' },
      shutdown: { drain: 30_000 },
    });
  });

  test('leaves its sessions as they were, and is nobody’s doubt', () => {
    const { gateway, warnings, control: config } = parsed('control: {}');
    expect([gateway, warnings]).toEqual([null, []]);
    expect(config?.services.public).toMatchObject({ session_timeout: 3_600_000, session_lifetime: 43_200_000, cookie: {}, trusted_proxies: [] });
    expect(config?.services.api).not.toHaveProperty('cookie');
  });
});

test('the key is made beside the database, wherever that is', () => {
  const config = controlOf(control('database: { provider: sqlite, path: /data/control.db }'));
  expect(config.system_auth.global_key).toMatchObject({ madeIn: '/data/global.key' });
});

test.each([
  ['nothing', '‸{}', '', 'expected at least one of gateway and control'],
  ['nothing at all', '‸', '', 'the file is empty; it needs gateway, control or both'],
  ['a misspelled section', '‸contrl: {}', 'contrl', 'did you mean "control"'],
  ['a section that is a text', 'control: ‸yes', 'control', 'expected a map'],
])('a file with %s is refused', (_, marked, key, message) => {
  const [problem, ...others] = problemsOf(marked.replace('‸', ''));
  expect(others).toEqual([]);
  expect(problem).toMatchObject({ line: 1, column: marked.indexOf('‸') + 1, key });
  expect(problem?.message).toContain(message);
});

test('both sections can be there, and the problems of both are found', () => {
  const { gateway, control: config } = parsed('gateway: { listeners: { forward: {} } }\ncontrol: {}');
  expect([gateway?.listeners.forward?.port, config?.services.api.port]).toEqual([9_080, 8_081]);
  const found = problemsOf('gateway: { listeners: { forward: { port: x } } }\ncontrol: { tasks: { concurrency: x } }');
  expect(found.map(({ key }) => key)).toEqual(['gateway.listeners.forward.port', 'control.tasks.concurrency']);
});

describe('postgres', () => {
  const url = 'database: { provider: postgres, url: "postgres://me@localhost/sallyport" }';

  test('needs a global key that all machines have', () => {
    expectProblems(`‸${control(url)}`, [['system_auth.global_key', 'is required with postgres']]);
    expectProblems(control(url, '‸system_auth: {}'), [['system_auth.global_key', 'is required with postgres']]);
  });

  test('has all it needs then', () => {
    const config = controlOf(control(url, 'system_auth: { global_key: { env_var: LONG } }'));
    expect(config.system_auth.global_key).toMatchObject({ type: 'env_var', madeIn: null });
    expect(config.database).toMatchObject({ provider: 'postgres', maxConnections: 10, connectTimeoutMs: 10_000, statementTimeoutMs: 30_000 });
  });
});

interface KeyAt {
  readonly path: readonly (string | number)[];
  readonly key: string;
}

/** Maps whose keys are names that somebody chooses. */
const CHOSEN = /(?:labels|annotations|label_claims|actor_directories|sign_in\.providers)$/;

function keysOf(value: unknown, path: readonly (string | number)[] = []): KeyAt[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => keysOf(item, [...path, index]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => [...(CHOSEN.test(path.join('.')) ? [] : [{ path, key }]), ...keysOf(child, [...path, key])]);
}

describe('a section with every key there is', () => {
  const document = parseDocument(FULL).toJS() as Record<string, unknown>;
  const keys = keysOf(document);

  test('is valid', () => {
    expect(problemsOf(FULL)).toEqual([]);
  });

  test('shows no secret when it is printed', () => {
    const shown = inspect(parsed(FULL), { depth: 20 }) + JSON.stringify(parsed(FULL));
    expect(shown).not.toContain('zq-');
  });

  /** The section with what `change` makes of it; JSON is YAML. */
  function changed(change: (at: (path: KeyAt['path']) => Record<string, unknown>) => void): string {
    const whole = structuredClone(document);
    change((path) => path.reduce<Record<string, unknown>>((node, key) => node[key] as Record<string, unknown>, whole));
    return JSON.stringify(whole);
  }

  test('has no map in which a key that nobody knows passes', () => {
    for (const text of new Set(keys.map(({ path }) => JSON.stringify(path)))) {
      const path = JSON.parse(text) as KeyAt['path'];
      const problems = problemsOf(changed((at) => Object.assign(at(path), { quixotic: 1 })));
      expect(problems.filter(({ key }) => key.endsWith('quixotic'))).toHaveLength(1);
    }
  });

  test('has no value that may be a map of nothing known', () => {
    for (const { path, key } of keys) {
      expect(problemsOf(changed((at) => Object.assign(at(path), { [key]: { quixotic: [null] } })))).not.toEqual([]);
    }
  });

  test('names the right key for a doubled letter, and never shows a secret', () => {
    const known = new Set(keys.map(({ key }) => key));
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.nat(), ({ path, key }, position) => {
        const at = position % key.length;
        const wrong = `${key.slice(0, at)}${key.charAt(at)}${key.slice(at)}`;
        fc.pre(!known.has(wrong));
        const problems = problemsOf(
          changed((place) => {
            const map = place(path);
            map[wrong] = map[key];
            delete map[key];
          }),
        );
        const named = problems.filter((problem) => problem.key.endsWith(wrong) && problem.message.includes(`"${key}"`));
        expect(named).toHaveLength(1);
        expect(JSON.stringify(problems)).not.toContain('zq-');
      }),
      { numRuns: 100 },
    );
  });
});

test('no secret that stands in the file is ever shown, whatever is wrong with it', () => {
  const secret = fc.stringMatching(/^[A-Za-z0-9]{12,24}$/).map((text) => `zq${text}`);
  const template = fc.constantFrom(
    (s: string) => control(`database: { provider: postgres, url: "postgres://me:${s}@db/x", x: 1 }`),
    (s: string) => control(`database: { provider: postgres, url: ${s} }`),
    (s: string) => control(`database: { provider: postgres, user: me, database: x, password: { evn: ${s} } }`),
    (s: string) => control('database:', '  provider: postgres', `  passwrd: ${s}`),
    (s: string) => control(`database: ${s}`),
    (s: string) => control(`system_auth: { global_key: ${s} }`),
    (s: string) => control(`system_auth: { global_key: { value: ${s}, base64: ${s} } }`),
    (s: string) => control(`system_auth: { global_key: { vault_token: ${s}, vault_path: x } }`),
    (s: string) => control(`system_auth: { global_key: { aws_kms_key_id: x, aws_credentials: { type: access_key, secret_access_key: ${s} } } }`),
    (s: string) => control(`system_auth: { global_key: { gcp_kms_key_name: x, gcp_credentials_json: ${s} } }`),
    (s: string) => control(`system_auth: { issuers: [{ issuer: x, keys: [{ shared_key: ${s} }] }] }`),
    (s: string) => control(`system_auth: { issuers: [{ issuer: x, keys: [{ public_key: "-----BEGIN PRIVATE KEY-----${s}" }] }] }`),
    (s: string) => control(`sign_in: { providers: { a: { client_secret: ${s}, x: 1 } } }`),
    (s: string) => control(`redis: { url: "http://:${s}@host" }`),
    (s: string) => control(`services: { public: { tls: { acme: { eab: { hmac_key: "${s}!" } } } } }`),
  );
  fc.assert(
    fc.property(secret, template, (value, fill) => {
      const problems = problemsOf(fill(value));
      expect(problems).not.toEqual([]);
      expect(JSON.stringify(problems)).not.toContain(value);
    }),
    { numRuns: 100 },
  );
});
