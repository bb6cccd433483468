import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { expectProblems, FORWARD, gateway, problemsOf } from '../expected-problems.test.support.js';
import { parseConfig } from '../load.js';

const provider = (written: string): string => gateway(FORWARD, 'providers:', `  one: ${written}`);
const client = (rest: string, url = 'https://a.example/t'): string =>
  provider(`{ type: client_credentials, token_url: "${url}", client_id: me, ${rest} }`);
const refresh = (rest: string): string =>
  gateway(
    FORWARD,
    'token_stores: { s: { type: file, path: x } }',
    'providers:',
    `  one: { type: refresh_token, token_url: "https://a.example/t", client_id: me, store: s, ${rest} }`,
  );
const secret = 'client_secret: { env: WORD }';
const at = (key: string): string => `gateway.providers.one.${key}`;

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const KEY = JSON.stringify(privateKey.export({ type: 'pkcs8', format: 'pem' }));
const WEAK = JSON.stringify(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' }));

describe('a provider with a mistake in it is refused at its place', () => {
  test.each([
    [
      'no type',
      provider('{ path: x }').replace('one', '‸one'),
      [[at('type'), 'expected one of client_credentials, refresh_token, microsoft, static']],
    ],
    ['a type that is none', provider('{ type: ‸oauth }'), [[at('type'), 'expected one of client_credentials']]],
    ['a misspelled key', client(`${secret}, ‸scope: [a]`), [[at('scope'), 'did you mean "scopes"?']]],
    ['a URL that is none', client(secret, 'x').replace('"x"', '‸"x"'), [[at('token_url'), 'expected an absolute URL']]],
    ['plain HTTP', client(secret, 'http://a.example/t').replace('"http', '‸"http'), [[at('token_url'), 'http:// is for this machine only']]],
    ['plain HTTP unasked', client(secret, 'http://127.0.0.1/t').replace('"http', '‸"http'), [[at('token_url'), 'needs insecure: true']]],
    [
      'a user in the URL',
      client(secret, 'https://a:b@a.example').replace('"https', '‸"https'),
      [[at('token_url'), 'use client_id and client_secret']],
    ],
    ['no authentication', client('scopes: [a]').replace('one', '‸one'), [[at('client_secret'), 'expected client_secret, private_key']]],
    ['no client', client('auth: ‸none'), [[at('auth'), 'client credentials need']]],
    ['a secret for a public client', refresh(`auth: none, ‸${secret}`), [[at('client_secret'), 'is not used with none']]],
    ['no secret', client('auth: basic').replace('one', '‸one'), [[at('client_secret'), 'is required with basic']]],
    ['an empty secret', client('client_secret: ‸""'), [[at('client_secret'), 'the client secret is empty']]],
    ['no key', client('auth: private_key_jwt').replace('one', '‸one'), [[at('private_key'), 'is required with private_key_jwt']]],
    ['both', client(`private_key: ${KEY}, ‸${secret}`), [[at('client_secret'), 'is not used with private_key_jwt']]],
    ['a key that is none', client('private_key: ‸sesame'), [[at('private_key'), 'is neither a PEM nor a JWK']]],
    ['a key that is weak', client(`private_key: ‸${WEAK}`), [[at('private_key'), 'only 1024 bits']]],
    ['another algorithm', client(`private_key: ${KEY}, algorithm: ‸RS256`), [[at('algorithm'), 'cannot sign with']]],
    ['an algorithm for nothing', client(`${secret}, algorithm: ‸ES256`), [[at('algorithm'), 'goes with private_key only']]],
    ['several scopes in one', client(`${secret}, scopes: [‸"a b"]`), [[at('scopes[0]'), 'as a list']]],
    ['an authority that is not there', client(`${secret}, ca: ‸none.pem`), [[at('ca'), 'cannot be read (ENOENT)']]],
    ['no headers', provider('{ type: static, ‸headers: {} }'), [[at('headers'), 'at least one header']]],
    ['a header that frames', provider('{ type: static, headers: { Host: ‸a } }'), [[at('headers.Host'), 'belongs to the connection']]],
    ['a header twice', provider('{ type: static, headers: { a: b, A: ‸c } }'), [[at('headers.A'), 'in another case']]],
    ['a value with a line break', provider('{ type: static, headers: { a: ‸"b\\nc" } }'), [[at('headers.a'), 'cannot carry']]],
    [
      'no store',
      provider(`{ type: microsoft, client_id: me, ${secret} }`).replace('one', '‸one'),
      [[at('store'), 'is required: expected the name of a token store']],
    ],
    [
      'a resolver for the tenant that is none',
      provider(`{ type: microsoft, client_id: me, ${secret}, store: s, tenant: ‸m }`),
      [[at('tenant'), 'a map']],
    ],
  ] as const)('%s', (_, text, expected) => expectProblems(text, expected));

  test('and no message shows a secret', () => {
    const shown = JSON.stringify([
      problemsOf(client('private_key: sesame-opens, algorithm: x')),
      problemsOf(provider('{ type: static, headers: { Host: sesame-opens } }')),
      problemsOf(client('client_secret: sesame-opens, auth: none')),
      problemsOf(client('client_secret: sesame-opens, extra_params: { a: [sesame-opens] }')),
    ]);
    expect(shown).not.toContain('sesame');
  });
});

describe('a token store with a mistake in it is refused at its place', () => {
  const store = (written: string): string => gateway(FORWARD, 'token_stores:', `  one: ${written}`);
  const place = (key: string): string => `gateway.token_stores.one.${key}`;
  test.each([
    ['a type that is none', store('{ type: ‸redis }'), [[place('type'), 'expected one of file, directory, vault, azure_key_vault, control_plane']]],
    ['no path', store('{ type: file }').replace('one', '‸one'), [[place('path'), 'is required']]],
    [
      'Vault in plain HTTP',
      store('{ type: vault, address: ‸"http://v.example", auth: { type: token, token: t } }'),
      [[place('address'), 'not an https URL']],
    ],
    [
      'a path without the key',
      store('{ type: vault, address: "https://v.example", path: ‸x, auth: { type: token, token: t } }'),
      [[place('path'), '{key}']],
    ],
    [
      'an empty token',
      store('{ type: vault, address: "https://v.example", auth: { type: token, token: ‸"" } }'),
      [[place('auth.token'), 'is empty']],
    ],
    [
      'no login',
      store('{ type: vault, address: "https://v.example", auth: { type: ‸ldap } }'),
      [[place('auth.type'), 'expected one of token, approle, kubernetes']],
    ],
    [
      'a prefix that is none',
      store('{ type: azure_key_vault, vault_url: "https://v.example", prefix: ‸a_b }'),
      [[place('prefix'), 'other characters']],
    ],
    [
      'a token from nowhere',
      store('{ type: control_plane, base_url: "https://c.example", ‸token: { env: UNSET } }'),
      [[place('token'), 'is not set']],
    ],
    [
      'a token from two places',
      store('{ type: control_plane, base_url: "https://c.example", ‸token: { env: WORD, file: /dev/null } }'),
      [[place('token'), 'exactly one of env and file']],
    ],
  ] as const)('%s', (_, text, expected) => expectProblems(text, expected));
});

test('a file for a secret of a store stays a file', () => {
  const text = gateway(FORWARD, 'token_stores: { one: { type: control_plane, base_url: "https://c.example", token: { file: later } } }');
  expect(parseConfig(text, { path: '/nowhere/x.yaml' }).gateway.token_stores.one).toEqual({
    type: 'control_plane',
    baseUrl: 'https://c.example',
    token: { file: '/nowhere/later' },
  });
});
