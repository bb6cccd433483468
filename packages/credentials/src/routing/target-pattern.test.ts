import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRoute, routeMatches, Subject } from './route.js';
import { call } from './routing.test.support.js';
import { parseTarget } from './target-pattern.js';

function matches(pattern: string, target: string): boolean {
  return routeMatches(compileRoute({ targetUrl: pattern }, 'routes[0]'), new Subject(call({ targetUrl: target })));
}

describe('a target pattern', () => {
  it.each<[string, string[], string[]]>([
    [
      'api.v.com',
      ['https://api.v.com', 'http://api.v.com/', 'https://API.V.com./a/b?q=1', 'https://api.v.com:443/'],
      ['https://api.v.com:8443/', 'https://v.com/', 'https://api.v.com.evil.net/'],
    ],
    [
      'https://API.v.com/v1/*',
      ['https://api.v.com/v1/a', 'HTTPS://api.v.com/v1/a?x'],
      ['http://api.v.com/v1/a', 'https://api.v.com/v1/a/b', 'https://api.v.com/V1/a'],
    ],
    ['graph.microsoft.com/**', ['https://graph.microsoft.com', 'https://graph.microsoft.com:443/v1.0/me'], ['https://a.graph.microsoft.com/']],
    [
      '*.graph.microsoft.com/**',
      ['https://a.graph.microsoft.com'],
      [
        'https://a.b.graph.microsoft.com/',
        'https://graph.microsoft.com/',
        'https://evil.com?.graph.microsoft.com/x',
        'https://evil.com/.graph.microsoft.com/x',
      ],
    ],
    ['**.v.com', ['https://v.com', 'https://a.b.v.com/x'], ['https://av.com/']],
    ['*/v1/**', ['https://a.b.c/v1', 'http://10.1.2.3/v1/x', 'https://[::1]/v1'], ['https://a.b.c/v2']],
    ['api.v.com:8443', ['https://api.v.com:8443/x', 'http://api.v.com:8443'], ['https://api.v.com/']],
    ['api.v.com:*', ['https://api.v.com:8443/x', 'http://api.v.com'], ['https://b.v.com/']],
    ['http://api.v.com', ['http://api.v.com:80/'], ['http://api.v.com:443/', 'https://api.v.com/']],
    ['api.v.com/', ['https://api.v.com', 'https://api.v.com/?q'], ['https://api.v.com/x']],
    ['api.v.com/x?api-version=*', ['https://api.v.com/x?api-version=2'], ['https://api.v.com/x', 'https://api.v.com/x?api-version=2&y=1']],
    ['api.v.com?**&debug=1&**', ['https://api.v.com/x?debug=1', 'https://api.v.com/?a=1&debug=1&b'], ['https://api.v.com/?debug=12']],
    ['bücher.de', ['https://xn--bcher-kva.de/'], ['https://bucher.de/']],
    ['*.bücher.de', ['https://a.xn--bcher-kva.de/'], []],
    ['[2001:DB8::1]:8443/x', ['https://[2001:db8:0::1]:8443/x'], ['https://[2001:db8::2]:8443/x']],
    ['127.0.0.1', ['https://127.0.0.1/', 'https://0x7f.1/'], ['https://127.0.0.2/']],
    ['*.0.0.1', [], ['https://127.0.0.1/']],
    [
      'api.v.com/a/**',
      ['https://api.v.com/a/b%2Fc', 'https://api.v.com/a/..b'],
      [
        'https://api.v.com/a/../b',
        'https://api.v.com/a/%2e%2E/b',
        'https://api.v.com/a/%252e%252e',
        'https://api.v.com/a%2f..%2fb',
        'https://api.v.com/a/.;x',
        'https://api.v.com/a\\b',
        'https://api.v.com/a/%5c..',
      ],
    ],
    ['api.v.com/**', ['https://api.v.com/a/../b'], []],
  ])('%s', (pattern, matching, other) => {
    expect(matching.filter((target) => !matches(pattern, target))).toEqual([]);
    expect(other.filter((target) => matches(pattern, target))).toEqual([]);
  });

  it('is never satisfied by userinfo', () => {
    for (const target of [
      'https://api.v.com@evil.com/',
      'https://api.v.com:443@evil.com/x',
      'https://evil.com\\@api.v.com/',
      'https://evil.com\\.api.v.com/',
      'https://x.api.v.com%2f@evil.com/',
      'https://evil.com#@api.v.com/',
      'https://evil.com?@api.v.com/',
      'https://api.v.com\t@evil.com/',
    ]) {
      for (const pattern of ['api.v.com', '**.api.v.com', '*.v.com', 'api.v.com:*/**']) {
        expect([pattern, target, matches(pattern, target)]).toEqual([pattern, target, false]);
      }
    }
    expect(matches('api.v.com', 'https://user:evil.com@api.v.com/x')).toBe(true);
  });

  it.each([
    '',
    'api.v.com',
    '/v1',
    'ftp://api.v.com/',
    'https://',
    'https:///x',
    'https://a b/',
    'https://a:99999/',
    'https://a%zz/',
    'mailto:a@b.c',
  ])('has no match in %j, which is no target', (target) => {
    expect(parseTarget(target)).toBeNull();
    expect(matches('**', target)).toBe(false);
  });

  it.each([
    ['ftp://api.v.com', 'scheme'],
    ['*://api.v.com', 'scheme'],
    ['/v1/**', 'names no host'],
    [':443', 'names no host'],
    ['user@api.v.com', 'user names'],
    ['api.v.com/#x', 'fragments'],
    ['api v.com', 'white space'],
    ['api.v.com:0', 'port'],
    ['api.v.com:https', 'port'],
    ['api.v.com:65536', 'port'],
    ['::1', 'host'],
    ['[::1', 'host'],
    ['a%b.com', 'host'],
    ['*.a%b.com', 'host'],
    ['*..com', 'host'],
  ])('refuses %j and says why', (pattern, why) => {
    const read = (): unknown => compileRoute({ targetUrl: pattern }, 'routes[7]');
    expect(read).toThrow(SallyportError);
    expect(read).toThrow(expect.objectContaining({ code: 'route_invalid', message: expect.stringMatching(`^routes\\[7\\]: .*${why}`) as string }));
  });

  it('takes any text for a target without failing, and never one with a host that was not asked for', () => {
    const text = fc.oneof(
      fc.webUrl({ withQueryParameters: true }),
      fc.string({ unit: fc.constantFrom(...'htps:/@.?#[]%\\ av1com\t') }).map((tail) => `https://${tail}`),
    );
    fc.assert(
      fc.property(text, (target) => {
        if (!matches('api.v.com:*', target)) return;
        // What Node would dial, userinfo or not.
        expect(new URL(target).hostname.replace(/\.$/, '')).toBe('api.v.com');
      }),
      { numRuns: 2000 },
    );
    const hosts = fc.constantFrom('api.v.com', 'API.v.com', 'api.v.com.', 'evil.com', 'api.v.com.evil.com', 'xapi.v.com');
    fc.assert(
      fc.property(hosts, fc.constantFrom('', 'u@', 'u:p@', 'api.v.com@'), fc.constantFrom('', ':443', ':1'), (host, user, port) => {
        const target = `https://${user}${host}${port}/x`;
        expect([target, matches('api.v.com', target)]).toEqual([target, /^api\.v\.com\.?$/i.test(host) && port !== ':1']);
      }),
    );
  });
});
