import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { problem, stopEverything } from '../../testing/scene.test.support.js';
import { type Contract, contract, stopContracts } from './contract-scene.test.support.js';

afterAll(async () => {
  await stopContracts();
  await stopEverything();
});

/**
 * All names of these tests are this machine, which nobody permitted: a target that the list lets out is refused when its address is known, with a
 * code of its own, and nothing is dialed.
 */
const ALLOWED = 'address_denied';

/** The code and the words for a target. */
async function verdict(scene: Contract, target: string, lines: readonly string[] = []): Promise<[number, unknown, unknown]> {
  const response = await scene.call(target, { lines });
  const { code, error } = problem(response);
  return [response.status, code, error];
}

const withList = (list: Readonly<Record<string, readonly string[]>>): Promise<Contract> =>
  contract({
    keys: { 'upstream.allow_list': list },
    inside: ['api.v.com', 'a.v.com', 'a.b.v.com', 'v.com', 'av.com', 'b.v.com', 'x.y.z'],
  });

describe('what is checked, in this order', () => {
  let scene: Contract;
  beforeAll(async () => {
    scene = await withList({ 'v.com': ['/v1/**'], 'v.com:8443': ['/**'], 'other.com': [] });
  });

  test.each([
    ['2: no scheme', 'v.com/v1'],
    ['2: no host', 'https:///v1'],
    ['2: no URL at all', 'what is this'],
    ['3: ftp', 'ftp://v.com/v1'],
    ['3: ws', 'ws://v.com/v1'],
    ['3: port 0', 'https://v.com:0/v1'],
    ['3: port 99999', 'https://v.com:99999/v1'],
    ['3: port that is no number', 'https://v.com:x/v1'],
    ['4: ..', 'https://v.com/v1/../admin'],
    ['4: .. at the end', 'https://v.com/v1/..'],
    ['4: encoded', 'https://v.com/v1/%2e%2E/admin'],
    ['4: encoded twice', 'https://v.com/v1/%252e%252e/admin'],
    ['4: encoded three times', 'https://v.com/v1/%25252e%25252e/admin'],
    ['4: backslash', 'https://v.com/v1/..\\admin'],
    ['4: encoded backslash', 'https://v.com/v1/..%5cadmin'],
    ['4: undecodable at the second level', 'https://v.com/v1/%25zz'],
    // They pass there, and servers read them differently.
    ['/./, which passes there', 'https://v.com/v1/./a'],
    ['an encoded NUL, which passes there', 'https://v.com/v1/%00'],
  ])('step %s is 400 invalid target URL', async (_, target) => {
    expect(await verdict(scene, target)).toEqual([400, expect.stringMatching(/^target_(invalid|path_ambiguous)$/), 'invalid target URL']);
  });

  test.each([
    ['5: another host', 'https://w.com/v1', 'host not allowed'],
    ['5: another port', 'https://v.com:444/v1', 'host not allowed'],
    ['6: another path', 'https://v.com/v2', 'path not allowed'],
    ['6: a host with an empty list', 'https://other.com/', 'path not allowed'],
  ])('step %s is 403', async (_, target, words) => {
    expect(await verdict(scene, target)).toEqual([403, 'policy_denied', words]);
  });

  test.each([
    ['a bare colon is the default port', 'https://v.com:/v1/a'],
    ['dots inside a name', 'https://v.com/v1/a..b'],
    ['an encoded slash', 'https://v.com/v1/a%2Fb'],
    ['two slashes', 'https://v.com/v1//a'],
    ['userinfo, query and nothing else are left out', 'https://me:pw@v.com/v1/a?../..'],
    ['the host in capitals', 'HTTPS://V.COM/v1/a'],
    ['a trailing dot, which is another host there', 'https://v.com./v1/a'],
  ])('passes: %s', async (_, target) => {
    expect(await verdict(scene, target)).toEqual([403, expect.stringMatching(ALLOWED), 'host not allowed']);
  });

  test('nothing is told of the target', async () => {
    const body = (await scene.call('https://w.com/secret-path?token=secret-query')).body.toString();
    expect(body).not.toContain('secret-query');
  });
});

describe('hosts', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ['v.com', ['https://v.com/', 'https://V.Com:443/'], ['https://v.com:8443/', 'https://a.v.com/']],
    ['v.com:8443', ['https://v.com:8443/'], ['https://v.com/', 'https://v.com:443/']],
    ['V.COM', ['https://v.com/'], []],
    ['*.v.com', ['https://a.v.com/'], ['https://v.com/', 'https://a.b.v.com/']],
    ['**.v.com', ['https://v.com/', 'https://a.v.com/', 'https://a.b.v.com/'], ['https://av.com/']],
    ['*.v.com:8443', ['https://a.v.com:8443/'], ['https://a.v.com/']],
    ['::1', ['https://[::1]/'], ['https://[::1]:8443/']],
    // It can never match there.
    ['[::1]:8443', ['https://[::1]:8443/'], ['https://[::1]/']],
  ])('key %s', async (key, allowed, denied) => {
    const scene = await withList({ [key]: ['/**'] });
    for (const target of allowed) {
      const recorded = scene.exchanges.length;
      await scene.call(target);
      // What it then meets differs: a key that is an address permits that address.
      expect([target, (await scene.recorded(recorded + 1)).verdict]).toEqual([target, 'allowed']);
    }
    for (const target of denied) expect([target, ...(await verdict(scene, target))]).toEqual([target, 403, 'policy_denied', 'host not allowed']);
  });

  test('all keys that match count, the most specific first; there the exact one shadows the others, and of several globs any one decides', async () => {
    const scene = await withList({ 'api.v.com': ['/v1/**'], '*.v.com': ['/v2/**'], '**.v.com': ['/v3/**'], 'b.v.com': [] });
    for (const path of ['/v1/x', '/v2/x', '/v3/x']) {
      const recorded = scene.exchanges.length;
      expect((await verdict(scene, `https://api.v.com${path}`))[1]).toBe(ALLOWED);
      expect((await scene.recorded(recorded + 1)).rule).toMatch(/^allow_list /);
    }
    expect(await verdict(scene, 'https://api.v.com/v4/x')).toEqual([403, 'policy_denied', 'path not allowed']);
    // A key with an empty list denies its host, whatever the less specific keys say.
    expect(await verdict(scene, 'https://b.v.com/v2/x')).toEqual([403, 'policy_denied', 'path not allowed']);
  });
});

describe('paths', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ['/v1/*', ['/v1/a'], ['/v1/', '/v1/a/b', '/v1']],
    ['/v1/**', ['/v1', '/v1/', '/v1/a/b'], ['/v12']],
    ['/**', ['/', '', '/a/b', '?q=1'], []],
    ['/v1/', ['/v1/'], ['/v1']],
    ['/v1', ['/v1'], ['/v1/', '/V1']],
    ['/v1/*/info', ['/v1/u/info'], ['/v1//info', '/v1/a/b/info']],
    ['/a/**/b', ['/a/b', '/a/x/y/b'], ['/a/xb', '/a']],
    // It does not match there.
    ['/a/*/**', ['/a/b', '/a/b/', '/a/b/c'], ['/a', '/a/']],
    // They match what stands before the ** there.
    ['/v1/**/status', ['/v1/status', '/v1/x/status'], ['/v1']],
    ['/a/**/*', ['/a/b', '/a/b/c'], ['/a']],
    // An encoded slash may be one to the vendor: both readings have to match.
    ['/v1/*/x', ['/v1/a/x'], ['/v1/a%2Fb/x']],
  ])('pattern %s', async (pattern, allowed, denied) => {
    const scene = await withList({ 'v.com': [pattern] });
    for (const path of allowed) expect([path, (await verdict(scene, `https://v.com${path}`))[1]]).toEqual([path, ALLOWED]);
    for (const path of denied)
      expect([path, ...(await verdict(scene, `https://v.com${path}`))]).toEqual([path, 403, 'policy_denied', 'path not allowed']);
  });
});

describe('a list that cannot be used keeps it from starting', () => {
  test.each([
    ['none', undefined],
    ['an empty one', {}],
    ['a wildcard that is part of a label', { 'api*.v.com': ['/**'] }],
    ['a wildcard that is part of a segment', { 'v.com': ['/v1/cust*/y'] }],
    ['three stars', { 'v.com': ['/***'] }],
    ['a port that is none', { 'v.com:0': ['/**'] }],
    ['a port beyond 65535', { 'v.com:65536': ['/**'] }],
    ['an empty pattern, which never matches there', { 'v.com': [''] }],
  ])('%s', async (_, list) => {
    await expect(contract({ keys: { 'upstream.allow_list': list } })).rejects.toMatchObject({ code: 'config_invalid' });
  });
});
