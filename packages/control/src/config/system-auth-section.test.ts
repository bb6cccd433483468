import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { control, controlOf, expectProblems } from './control-problems.test.support.js';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const PUBLIC = JSON.stringify(publicKey.export({ type: 'spki', format: 'pem' }));
const PRIVATE = JSON.stringify(privateKey.export({ type: 'pkcs8', format: 'pem' }));
const JWK = JSON.stringify(JSON.stringify(privateKey.export({ format: 'jwk' })));
const SHARED = 'a'.repeat(43);

const auth = (keys: string): string => control(`system_auth: { ${keys} }`);
const issuer = (keys: string): string => auth(`issuers: [{ issuer: x, ${keys} }]`);
const at = (key: string): string => `system_auth.${key}`;

describe('the global key', () => {
  test.each([
    ['nowhere', auth('‸global_key: {}'), 'global_key', 'exactly one of'],
    ['in two places', auth('‸global_key: { env_var: LONG, path: /dev/null }'), 'global_key', 'it holds several'],
    ['too short', auth('global_key: { value: ‸short }'), 'global_key.value', 'the key has 5 bytes'],
    ['in a variable that is not set', auth('global_key: { env_var: ‸UNSET }'), 'global_key.env_var', 'is not set'],
    ['in a file that is not there', auth('global_key: { path: ‸/none/key }'), 'global_key.path', 'cannot be read (ENOENT)'],
    ['another one after each start', auth('global_key: { env_var: LONG, ‸random: true }'), 'global_key.random', 'unknown key'],
    ['half in Vault', auth('‸global_key: { vault_path: a/b }'), 'global_key', 'is missing or not valid'],
    [
      'half at AWS',
      auth('global_key: { aws_kms_key_id: a, ‸aws_credentials: {} }'),
      'global_key.aws_credentials.type',
      'expected one of implicit, access_key',
    ],
  ])('%s is refused', (_, text, key, message) => {
    expectProblems(text, [[at(key), message]]);
  });

  test('comes out as what opens it, and shows nothing', () => {
    const { global_key: key } = controlOf(auth('global_key: { value: { env: LONG } }')).system_auth;
    expect(key.reveal()).toEqual({ type: 'value', value: 'a-secret-of-some-length' });
    expect(inspect(key, { showHidden: true, depth: 9 }) + JSON.stringify(key)).not.toContain('a-secret');
  });
});

describe('a rule of key providers', () => {
  test.each([
    ['for no namespace', '[{ ‸namespaces: [], providers: [value] }]', '[0].namespaces', 'at least one'],
    ['for what is none', '[{ namespaces: [‸team], providers: [value] }]', '[0].namespaces[0]', ''],
    ['for a kind that is none', '[{ namespaces: [root], providers: [‸vault] }]', '[0].providers[0]', 'hashicorpvault'],
    ['that would allow nothing', '[{ namespaces: [root], providers: [value, ‸env_var] }]', '[0].providers[1]', 'needs env'],
    ['with an address that is none', '[{ namespaces: [root], providers: [value], cloud_endpoints: [‸kms] }]', '[0].cloud_endpoints[0]', 'http'],
  ])('%s is refused', (_, rules, key, message) => {
    expectProblems(auth(`key_providers: ${rules}`), [[at(`key_providers${key}`), message]]);
  });

  test('an empty list allows none', () => {
    expect(controlOf(auth('key_providers: []')).system_auth.key_providers).toEqual([]);
  });
});

describe('an issuer', () => {
  test.each([
    ['without keys', auth('issuers: [‸{ issuer: x }]'), '[0]', 'exactly one of keys and jwks_url'],
    ['with both kinds', auth(`issuers: [‸{ issuer: x, jwks_url: "https://a.example", keys: [{ public_key: ${PUBLIC} }] }]`), '[0]', 'exactly one of'],
    ['with keys from the clear', issuer('jwks_url: ‸"http://a.example/jwks"'), '[0].jwks_url', 'expected an https:// URL'],
    ['with no key among its keys', issuer('‸keys: []'), '[0].keys', 'at least one key'],
    ['with a key of no kind', issuer('keys: [‸{}]'), '[0].keys[0]', 'exactly one of public_key and shared_key'],
    ['with a private key', issuer(`keys: [{ public_key: ‸${PRIVATE} }]`), '[0].keys[0].public_key', 'is a private key'],
    ['with a private JWK', issuer(`keys: [{ public_key: ‸${JWK} }]`), '[0].keys[0].public_key', 'is a private key'],
    ['with what is no key', issuer('keys: [{ public_key: ‸nothing }]'), '[0].keys[0].public_key', 'is no public key'],
    ['with a short secret', issuer('keys: [{ shared_key: ‸short }]'), '[0].keys[0].shared_key', 'at least 32 bytes'],
    [
      'with an algorithm for a public key',
      issuer(`keys: [{ public_key: ${PUBLIC}, algorithm: ‸HS256 }]`),
      '[0].keys[0].algorithm',
      'is for shared keys',
    ],
    [
      'with both kinds of keys',
      issuer(`‸keys: [{ public_key: ${PUBLIC} }, { shared_key: ${SHARED}, kid: a }]`),
      '[0].keys',
      'are public and shared keys',
    ],
    [
      'with shared keys without a name',
      issuer(`keys: [{ shared_key: ${SHARED}, kid: a }, ‸{ shared_key: ${SHARED} }]`),
      '[0].keys[1]',
      'needs a kid',
    ],
    [
      'with a name twice',
      issuer(`keys: [{ shared_key: ${SHARED}, kid: a }, { shared_key: ${SHARED}, kid: ‸a }]`),
      '[0].keys[1].kid',
      'has the same kid',
    ],
    ['for a namespace that is none', issuer(`namespace: ‸team, keys: [{ public_key: ${PUBLIC} }]`), '[0].namespace', ''],
    [
      'that defines actors with an empty right',
      issuer(`keys: [{ public_key: ${PUBLIC} }], defines_actors_within: [{ namespace: root, resources: [actors], ‸verbs: [] }]`),
      '[0].defines_actors_within[0].verbs',
      'must name at least one',
    ],
    [
      'with the name of another',
      auth('issuers: [{ issuer: x, jwks_url: "https://a.example" }, { issuer: ‸x, jwks_url: "https://a.example" }]'),
      '[1].issuer',
      'issuers[0] has the same name',
    ],
    ['with our name', auth('issuers: [{ issuer: ‸sallyport, jwks_url: "https://a.example" }]'), '[0].issuer', 'is the name of this system itself'],
  ])('%s is refused', (_, text, key, message) => {
    expectProblems(text, [[at(`issuers${key}`), message]]);
  });
});

describe('an actor', () => {
  const actor = (keys: string): string => auth(`actors: [{ external_id: ci, public_keys: ${PUBLIC}, ${keys} }]`);
  test.each([
    ['without a key', auth('actors: [‸{ external_id: ci }]'), 'actors[0].public_keys', 'is required'],
    [
      'that is there already',
      auth(`actors: [{ external_id: a, public_keys: ${PUBLIC} }, { external_id: ‸a, public_keys: ${PUBLIC} }]`),
      'actors[1].external_id',
      'actors[0] is the same one',
    ],
    ['in a namespace that is none', actor('namespace: ‸team'), 'actors[0].namespace', ''],
    [
      'with a right for nowhere',
      actor('permissions: [{ namespace: ‸team, resources: ["*"], verbs: ["*"] }]'),
      'actors[0].permissions[0].namespace',
      'must be a namespace',
    ],
    [
      'with an unknown template',
      actor('permissions: [{ namespace: ‸"root.{{x}}", resources: ["*"], verbs: ["*"] }]'),
      'actors[0].permissions[0].namespace',
      '',
    ],
    ['with a label of the system', actor('‸labels: { apxy/x: y }'), 'actors[0].labels', ''],
  ])('%s is refused', (_, text, key, message) => {
    expectProblems(text, [[at(key), message]]);
  });

  test('may be one file of many in a directory of a namespace', () => {
    const { actor_directories: found } = controlOf(auth('actor_directories: { root.ops: { keys_path: keys } }')).system_auth;
    expect(found).toEqual({ 'root.ops': { keys_path: '/nowhere/keys', permissions: [] } });
    expectProblems(auth('actor_directories: { ‸ops: { keys_path: keys } }'), [[at('actor_directories.ops'), 'expected a namespace']]);
  });

  test('is looked for when the schedule says', () => {
    expectProblems(auth('actor_sync_schedule: ‸"every day"'), [[at('actor_sync_schedule'), 'is not a schedule']]);
  });
});
