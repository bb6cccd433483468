import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAllowListKey, parseAllowListPath } from './allow-list-key.js';

function failure(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof SallyportError && error.code === 'config_invalid') return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('parseAllowListKey', () => {
  it.each([
    ['api.v.com', { text: 'api.v.com', host: 'api.v.com', port: null, labels: ['com', 'v', 'api'], network: null }],
    ['API.V.com.:8443', { text: 'api.v.com:8443', host: 'api.v.com', port: 8443 }],
    ['Bücher.de', { text: 'xn--bcher-kva.de' }],
    ['*.V.com', { text: '*.v.com', host: null, labels: ['com', 'v', '*'] }],
    ['**.v.com:8443', { text: '**.v.com:8443', port: 8443, labels: ['com', 'v', '**'] }],
    ['api.*.bücher.de', { text: 'api.*.xn--bcher-kva.de' }],
    ['10.0.*.*', { text: '10.0.*.*', labels: ['*', '*', '0', '10'], network: null }],
    ['*', { text: '*', labels: ['*'] }],
    ['**', { text: '**', labels: ['**'] }],
    ['10.1.2.3:8080', { text: '10.1.2.3:8080', host: '10.1.2.3', network: { text: '10.1.2.3/32' } }],
    ['::1', { text: '::1', host: '::1', port: null, labels: ['::1'], network: { text: '::1/128' } }],
    ['[::1]', { text: '::1', host: '::1', port: null }],
    ['[2001:DB8:0::1]:8443', { text: '[2001:db8::1]:8443', host: '2001:db8::1', port: 8443 }],
    ['[::ffff:10.1.2.3]:8443', { text: '10.1.2.3:8443', host: '10.1.2.3', network: { text: '10.1.2.3/32' } }],
  ])('reads %j', (text, expected) => {
    expect(parseAllowListKey(text)).toMatchObject(expected);
  });

  it.each([
    ['', 'empty'],
    ['api*.x', 'in "api*" a wildcard stands beside'],
    ['***.v.com', 'in "***"'],
    ['*..v.com', 'empty label'],
    ['*.v.com.', 'empty label'],
    ['https://api.v.com', 'it is a URL'],
    ['api.v.com/v1', 'no "/"'],
    ['api.v.com:0', 'port "0"'],
    ['api.v.com:99999', 'port "99999"'],
    ['api.v.com:', 'port ""'],
    ['*.v.com:https', 'port "https"'],
    ['user@api.v.com', '"@"'],
    ['0x7f.1', 'write "127.0.0.1"'],
    ['[::1', 'bracket'],
    ['[api.v.com]:1', 'brackets are for IPv6'],
    ['[::1]8443', 'bracket'],
    ['*.a b.com', 'a space'],
    ['x'.repeat(600), 'longer than 512'],
  ])('refuses %j', (text, said) => {
    expect(failure(() => parseAllowListKey(text))).toContain(said);
  });

  it('reads its own canonical spelling as the same key, and never throws anything but config_invalid', () => {
    const label = fc.constantFrom('api', 'V', '*', '**', 'com', '10', '1', '', 'a*', '[::1]', '::1', 'ü', ' ');
    const port = fc.constantFrom('', ':443', ':8443', ':0', ':*', ':');
    fc.assert(
      fc.property(fc.array(label, { maxLength: 5 }), port, (labels, suffix) => {
        const text = `${labels.join('.')}${suffix}`;
        try {
          const key = parseAllowListKey(text);
          expect(parseAllowListKey(key.text)).toEqual(key);
        } catch (error) {
          expect(error).toBeInstanceOf(SallyportError);
          expect((error as SallyportError).code).toBe('config_invalid');
        }
      }),
    );
  });
});

describe('parseAllowListPath', () => {
  it.each([
    ['/', ['/'], ['/a']],
    ['/v1/*', ['/v1/a'], ['/v1/', '/v1/a/b', '/v1']],
    ['/v1/**', ['/v1', '/v1/', '/v1/a/b'], ['/v12', '/v']],
    ['/**', ['/', '/a', '/a/b/'], []],
    ['**', ['/', '/a/b'], []],
    ['**/status', ['/status', '/a/b/status'], ['/xstatus', '/']],
    ['/v1/', ['/v1/'], ['/v1']],
    ['/v1/*/info', ['/v1/u/info'], ['/v1//info', '/v1/a/b/info']],
    ['/a/**/b', ['/a/b', '/a/x/y/b'], ['/a/xb']],
    // The documents say «none or more»; the original wants one here.
    ['/a/*/**', ['/a/b', '/a/b/', '/a/b/c'], ['/a', '/a/']],
    // The original lets the bare prefix through here.
    ['/v1/**/status', ['/v1/status', '/v1/a/status'], ['/v1', '/v1/']],
    ['/a/**/*', ['/a/b', '/a/b/c'], ['/a']],
    ['/V1', ['/V1'], ['/v1']],
  ])('%s', (pattern, matching, others) => {
    const rule = parseAllowListPath(pattern);
    expect(matching.filter((path) => !rule.matchesClean(path))).toEqual([]);
    expect(others.filter((path) => rule.matchesClean(path))).toEqual([]);
  });

  it.each([
    ['', 'it is empty'],
    ['v1/*', 'can never match'],
    ['*/v1', 'can never match'],
    ['/v1/cust*/y', 'in "cust*"'],
    ['/***', 'in "***"'],
    ['/v1/**x', 'in "**x"'],
    ['/a/../b', 'dot segment'],
  ])('refuses %j', (pattern, said) => {
    expect(failure(() => parseAllowListPath(pattern))).toContain(said);
  });
});
