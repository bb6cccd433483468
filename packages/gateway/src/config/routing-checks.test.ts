import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { removeTemporaryDirectories, temporaryDirectory } from '../testing/temporary-directory.test.support.js';
import { expectProblems, FORWARD, gateway } from './expected-problems.test.support.js';
import { loadConfig } from './load.js';

afterAll(removeTemporaryDirectories);

const SIMPLE = 'providers: { simple: { type: static, headers: { X-Key: v } } }';
const TARGETS = 'forward_targets: { router: { url: "https://r.example" } }';
const STORES = 'token_stores: { one-file: { type: file, path: x }, folder: { type: directory, path: y } }';
const grant = (rest: string): string => `{ type: refresh_token, token_url: "https://a.example", client_id: me, auth: none, ${rest} }`;
const microsoft = (rest: string): string => `{ type: microsoft, client_id: me, auth: none, ${rest} }`;
const bind = (rest: string): string => `{ source: { type: env, var: X }, bind: [{ hosts: [a.example], ${rest} }] }`;

describe('routing with a mistake in it is refused at its place', () => {
  test.each([
    [
      'neither provider nor forward',
      gateway(FORWARD, 'routes:', '  - ‸{ match: {} }'),
      [['gateway.routes[0]', 'expected exactly one of provider and forward']],
    ],
    [
      'an unknown provider',
      gateway(FORWARD, SIMPLE, 'routes: [{ match: {}, provider: ‸simpel }]'),
      [['gateway.routes[0].provider', 'there is no provider of this name, did you mean "simple"?']],
    ],
    [
      'an unknown forward target',
      gateway(FORWARD, TARGETS, 'routes: [{ match: {}, forward: ‸ruter }]'),
      [['gateway.routes[0].forward', 'there is no forward target of this name, did you mean "router"?']],
    ],
    [
      'an unknown default',
      gateway(FORWARD, SIMPLE, 'default: { provider: ‸other }'),
      [['gateway.default.provider', 'there is no provider of this name']],
    ],
    [
      'a default that forwards',
      gateway(FORWARD, TARGETS, SIMPLE, 'default: { provider: simple, ‸forward: router }'),
      [['gateway.default.forward', /it belongs to .*gateway\.routes\[\]/]],
    ],
    [
      'a default beside a plugin',
      gateway(FORWARD, SIMPLE, 'plugin: ./x.js', '‸default: { provider: simple }'),
      [['gateway.default', 'gateway.plugin takes the calls that no route matches']],
    ],
    [
      'a misspelled field of a route',
      gateway(FORWARD, SIMPLE, 'routes: [{ match: { ‸vendor: a }, provider: simple }]'),
      [['gateway.routes[0].match.vendor', 'unknown key']],
    ],
    ...['https:///x', 'https:x', 'https://?x', 'https:/r.example', 'https://\\\\x'].map(
      (url) =>
        [
          `a forward target without a host: ${url}`,
          gateway(FORWARD, SIMPLE, `forward_targets: { router: { url: ‸"${url}" } }`, 'routes: [{ match: {}, forward: router }]'),
          [['gateway.forward_targets.router.url', 'expected an absolute URL']],
        ] as const,
    ),
    [
      'a target that cannot be read',
      gateway(FORWARD, SIMPLE, 'routes: [{ match: { target_url: ‸"ftp://a" }, provider: simple }]'),
      [['gateway.routes[0].match.target_url', 'the scheme is http or https']],
    ],
    [
      'an empty pattern',
      gateway(FORWARD, SIMPLE, 'routes: [{ match: { data: { a: ‸"" } }, provider: simple }]'),
      [['gateway.routes[0].match.data.a', '"**" is any text']],
    ],
    [
      'a rule without a key',
      gateway(FORWARD, 'mappings: { m: [{ match: {}, key: ‸"" }] }'),
      [['gateway.mappings.m[0].key', 'expected a key, not an empty text']],
    ],
    [
      'an unknown store of a provider',
      gateway(FORWARD, STORES, `providers: { p: ${grant('store: ‸foldr')} }`),
      [['gateway.providers.p.store', 'there is no token store of this name, did you mean "folder"?']],
    ],
    [
      'an unknown store of a credential',
      gateway(FORWARD, `credentials: { c: { grant: ${grant('store: ‸none')}, bind: [{ hosts: [a.example], place: { query: k } }] } }`),
      [['gateway.credentials.c.grant.store', 'there is no token store of this name']],
    ],
    [
      'an unknown mapping',
      gateway(FORWARD, STORES, `providers: { p: ${microsoft('store: folder, tenant: { mapping: ‸m }')} }`),
      [['gateway.providers.p.tenant.mapping', 'there is no mapping of this name']],
    ],
    [
      'an unknown credential',
      gateway(FORWARD, 'providers: { p: { type: credential, credential: ‸c } }'),
      [['gateway.providers.p.credential', 'there is no credential of this name']],
    ],
    [
      'a credential that goes into the query',
      gateway(FORWARD, `credentials: { c: ${bind('place: { query: k }')} }`, 'providers: { p: { type: credential, credential: ‸c } }'),
      [['gateway.providers.p.credential', 'places it into a header']],
    ],
    [
      'a credential for some methods',
      gateway(
        FORWARD,
        `credentials: { c: ${bind('methods: [GET], place: { header: k }')} }`,
        'providers: { p: { type: credential, credential: ‸c } }',
      ),
      [['gateway.providers.p.credential', 'for all methods and paths']],
    ],
    [
      'a store of one token for many tenants',
      gateway(FORWARD, STORES, `providers: { p: ${microsoft('store: ‸one-file')} }`),
      [['gateway.providers.p.store', 'one for each tenant']],
    ],
    [
      'a store of one token for two',
      gateway(FORWARD, STORES, 'providers:', `  a: ${grant('store: one-file')}`, `  b: ${grant('store: ‸one-file')}`),
      [['gateway.providers.b.store', 'that is for "a"']],
    ],
    [
      'a source and a grant',
      gateway(
        FORWARD,
        STORES,
        `credentials: { c: { source: { type: env, var: X }, ‸grant: ${grant('store: folder')}, bind: [{ hosts: [a.example], place: { query: k } }] } }`,
      ),
      [['gateway.credentials.c.grant', 'there is a source already']],
    ],
  ] as const)('%s', (_, text, expected) => expectProblems(text, expected));
});

describe('what is probably not meant', () => {
  const warningsOf = async (...lines: string[]): Promise<[number, string, string][]> => {
    const file = join(await temporaryDirectory(), 'sallyport.yaml');
    await writeFile(file, gateway(...lines), { mode: 0o600 });
    return (await loadConfig(file)).warnings.map(({ line, key, message }) => [line, key, message]);
  };
  const SIDECAR = 'listeners: { sidecar: { port: 0 } }';

  test('is what nothing uses', async () => {
    const lines = [SIDECAR, SIMPLE, TARGETS, STORES, 'mappings: { m: [{ match: {}, key: k }] }'];
    expect(await warningsOf(...lines)).toEqual([
      [3, 'gateway.providers.simple', 'no route leads to it'],
      [4, 'gateway.forward_targets.router', 'no route leads to it'],
      [5, 'gateway.token_stores.one-file', 'nothing uses it'],
      [5, 'gateway.token_stores.folder', 'nothing uses it'],
      [6, 'gateway.mappings.m', 'nothing uses it'],
    ]);
    expect(await warningsOf(SIDECAR, TARGETS, 'plugin: ./x.js')).toEqual([]);
  });

  test('are routes and rules that only their order tells apart', async () => {
    const warnings = await warningsOf(
      SIDECAR,
      'token_stores: { folder: { type: directory, path: y } }',
      `providers: { p: ${microsoft('store: folder, tenant: { mapping: m }')}, simple: { type: static, headers: { X-Key: v } } }`,
      'mappings:',
      '  m:',
      '    - { match: { vendor_id: a }, key: k }',
      '    - { match: { product_id: a }, key: l }',
      'routes:',
      '  - { match: { vendor_id: "a-*" }, provider: simple }',
      '  - { match: { vendor_id: b }, provider: simple }',
      '  - { match: { product_id: "*" }, provider: p }',
    );
    expect(warnings).toEqual([
      [8, 'gateway.mappings.m[1]', expect.stringContaining('may match the same calls as m[0]')],
      [12, 'gateway.routes[2]', expect.stringContaining('may match the same calls as routes[0]')],
    ]);
  });

  test('are routes without a sidecar', async () => {
    expect(await warningsOf(FORWARD, SIMPLE, 'routes: [{ match: {}, provider: simple }]')).toEqual([
      [4, 'gateway.routes', expect.stringContaining('there is no listener')],
    ]);
  });
});
