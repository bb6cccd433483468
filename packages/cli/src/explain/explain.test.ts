import { parseConfig } from '@sallyport/gateway';
import { afterEach, describe, expect, test } from 'vitest';
import { cleanUp, workplace } from '../command-line.test.support.js';
import { explain } from './explain.js';

afterEach(cleanUp);

const source = { type: 'static', value: 'open-sesame' };
const place = { header: 'Authorization', format: 'Bearer {secret}' };
const written = {
  gateway: {
    listeners: { forward: { port: 0, insecure_targets: true } },
    policy: {
      rules: ['allow 192.0.2.1 GET /repos/** to 192.0.2.0/24', 'allow localhost', 'deny 192.0.2.0/24 POST', 'passthrough 192.0.2.9 to 192.0.2.9'],
    },
    credentials: {
      broad: {
        source,
        bind: [
          { hosts: ['192.0.2.1'], place },
          { hosts: ['192.0.2.1'], methods: ['POST'], paths: ['/admin/**'], place },
        ],
      },
      narrow: { source, bind: [{ hosts: ['192.0.2.1'], paths: ['/repos/**'], place }] },
      twin: { source, bind: [{ hosts: ['192.0.2.1'], paths: ['/twins/**'], place }] },
      brother: { source, bind: [{ hosts: ['192.0.2.1'], paths: ['/twins/**'], place }] },
      elsewhere: { source, bind: [{ hosts: ['192.0.2.77'], place }] },
    },
    callers: { ci: { token: '0123456789abcdef', credentials: ['broad'] }, all: { loopback: true, credentials: 'all' } },
  },
};
const { gateway } = parseConfig(JSON.stringify(written), { path: '/nowhere/sallyport.yaml' });
const ask = (method: string, url: string, callerName?: string) => explain(gateway, { method, url, callerName, platform: null });

describe('config explain', () => {
  test('says what goes out, with the most specific credential, and why no other', async () => {
    const { policy, addresses, credential, bindings, error, caller } = await ask('GET', 'https://192.0.2.1/repos/x');
    expect(policy).toMatchObject({ mode: 'strict', verdict: 'allowed', rule: 'allow 192.0.2.1 GET /repos/** to 192.0.2.0/24' });
    expect(addresses).toEqual([{ address: '192.0.2.1', class: 'documentation', allowed: true }]);
    expect(credential).toBe('narrow');
    expect(bindings).toEqual([
      { credential: 'broad', binding: 1, used: false, why: 'it fits, but narrow, binding 1, is more specific' },
      { credential: 'broad', binding: 2, used: false, why: 'it is for POST, not GET, and the path does not match /admin/**' },
      { credential: 'narrow', binding: 1, used: true, why: 'it is the most specific one that fits' },
      { credential: 'twin', binding: 1, used: false, why: 'the path does not match /twins/**' },
      { credential: 'brother', binding: 1, used: false, why: 'the path does not match /twins/**' },
    ]);
    expect(error).toBeNull();
    expect(caller.name).toBe('run');
  });

  test('judges the address that the configuration gives a host, and asks nobody for another', async () => {
    const fixed = { ...gateway, upstream: { ...gateway.upstream, hosts: { 'inside.test': '127.0.0.1' } } };
    const { addresses, error } = await explain(fixed, { method: 'GET', url: 'https://inside.test/', callerName: undefined, platform: null });
    expect(addresses).toMatchObject([{ address: '127.0.0.1', class: 'loopback', allowed: false }]);
    expect(error).toMatchObject({ code: 'policy_denied' });
  });

  test('says what a caller may not use', async () => {
    const { credential, bindings } = await ask('GET', 'https://192.0.2.1/repos/x', 'ci');
    expect(credential).toBe('broad');
    expect(bindings[2]).toMatchObject({ credential: 'narrow', used: false, why: 'the caller ci may not use narrow' });
  });

  test.each([
    ['GET', 'https://192.0.2.1/other', 'policy_denied'],
    ['POST', 'https://192.0.2.1/repos/x', 'policy_denied'],
    ['GET', 'https://localhost/', 'address_denied'],
    ['GET', 'http://192.0.2.1:80/repos/x', 'plaintext_credential_refused'],
    ['GET', 'https://no-such-host.invalid/', 'policy_denied'],
  ])('says what is refused: %s %s, %s', async (method, url, code) => {
    const { error } = await ask(method, url);
    expect(error?.code).toBe(code);
    expect(error?.hint).toBeTruthy();
  });

  test('lists the rules that were looked at, up to the one that decides', async () => {
    const { policy } = await ask('POST', 'https://192.0.2.1/repos/x');
    expect(policy.considered).toEqual([
      { rule: 'allow 192.0.2.1 GET /repos/** to 192.0.2.0/24', matched: false, why: 'it is for GET, not POST' },
      { rule: 'deny 192.0.2.0/24 POST', matched: true, why: 'host, port, method and path match' },
    ]);
  });

  test('says that a connection passes unseen', async () => {
    const { tunnel, credential, error, policy } = await ask('GET', 'https://192.0.2.9/x');
    expect({ tunnel, credential, error, verdict: policy.verdict }).toEqual({ tunnel: true, credential: null, error: null, verdict: 'passthrough' });
  });

  test('says that two fit equally well', async () => {
    const open = parseConfig(JSON.stringify({ gateway: { ...written.gateway, policy: { mode: 'permissive' } } }), {
      path: '/nowhere/x.yaml',
    }).gateway;
    const { error, credential, bindings } = await explain(open, {
      method: 'GET',
      url: 'https://192.0.2.1/twins/x',
      callerName: 'all',
      platform: null,
    });
    expect(error).toMatchObject({ code: 'credential_ambiguous', detail: 'twin, brother fit equally well' });
    expect(credential).toBeNull();
    expect(bindings.map(({ credential: name, why }) => `${name}: ${why}`)).toEqual([
      'broad: it fits, but twin and brother are more specific',
      'broad: it is for POST, not GET, and the path does not match /admin/**',
      'narrow: the path does not match /repos/**',
      'twin: it fits, and as well as brother',
      'brother: it fits, and as well as twin',
    ]);
  });

  test.each([
    ['https://192.0.2.1/', 'nobody', 'caller_unknown'],
    ['ftp://192.0.2.1/', undefined, 'target_invalid'],
  ])('does not explain %s by %s', async (url, caller, code) => {
    await expect(ask('GET', url, caller)).rejects.toMatchObject({ code });
  });

  test('prints it for people and for programs', async () => {
    const here = workplace();
    here.file('sallyport.yaml', JSON.stringify(written));
    const { stdout, code } = await here.run(['config', 'explain', 'get', 'https://192.0.2.1/repos/x']);
    expect(stdout).toContain('✓ narrow, binding 1');
    expect(stdout).toContain('It goes out.');
    expect(stdout).not.toContain('\x1b');
    expect(code).toBe(0);
    const json = await here.run(['config', 'explain', 'GET', 'https://192.0.2.1/repos/x', '-o', 'json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ credential: 'narrow' });
    expect(stdout + json.stdout).not.toContain('open-sesame');
  });
});
