import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AllowListEntries, compileAllowList } from './allow-list.js';
import { canonicalHost } from './canonical-host.js';

/** What the list says about a URL: the name of the entry that lets it out, or the reason why none does. */
function answer(entries: AllowListEntries, target: string): string {
  const [, scheme, authority, path] = /^(https?):\/\/([^/]*)(\/.*)?$/.exec(target) as unknown as [
    string,
    'http' | 'https',
    string,
    string | undefined,
  ];
  const [, host, port] = /^(.*?)(?::(\d+))?$/.exec(authority) as unknown as [string, string, string | undefined];
  const decision = compileAllowList(entries).decide(
    scheme,
    canonicalHost(host).text,
    port === undefined ? (scheme === 'https' ? 443 : 80) : Number(port),
    path ?? '/',
  );
  return decision.rule?.replace('allow_list ', '') ?? decision.reason;
}

describe('hosts', () => {
  it.each([
    ['api.v.com', 'https://api.v.com/', true],
    ['api.v.com', 'https://API.V.COM/', true],
    ['API.v.com', 'https://api.v.com/', true],
    ['api.v.com', 'https://v.com/', false],
    ['api.v.com', 'https://x.api.v.com/', false],
    // A trailing dot is the same host; the original takes it for another.
    ['api.v.com', 'https://api.v.com./', true],
    ['*.v.com', 'https://a.v.com/', true],
    ['*.v.com', 'https://v.com/', false],
    ['*.v.com', 'https://a.b.v.com/', false],
    ['*.v.com', 'https://av.com/', false],
    ['**.v.com', 'https://v.com/', true],
    ['**.v.com', 'https://a.v.com/', true],
    ['**.v.com', 'https://a.b.v.com/', true],
    ['**.v.com', 'https://av.com/', false],
    ['api.*.v.com', 'https://api.eu.v.com/', true],
    ['api.*.v.com', 'https://api.v.com/', false],
    ['api.**.v.com', 'https://api.v.com/', true],
    ['api.**.v.com', 'https://api.eu.west.v.com/', true],
    ['*', 'https://localhost/', true],
    ['*', 'https://v.com/', false],
    ['**', 'https://a.b.v.com/', true],
    ['10.0.*.*', 'https://10.0.1.2/', true],
    ['10.0.*.*', 'https://10.1.1.2/', false],
    ['10.0.0.1', 'https://[::ffff:10.0.0.1]/', true],
    ['::1', 'https://[::1]/', true],
    ['[::1]', 'https://[::1]/', true],
    ['[::1]', 'https://[::1]:8443/', false],
    ['[::1]:8443', 'https://[::1]:8443/', true],
  ])('%s and %s: %s', (key, target, expected) => {
    expect(answer({ [key]: ['/**'] }, target) !== 'no_host_rule').toBe(expected);
  });

  it('an empty label is no label', () => {
    expect(compileAllowList({ '*.v.com': ['/**'] }).decide('https', '.v.com', 443, '/').verdict).toBe('denied');
  });
});

describe('ports', () => {
  it.each([
    ['api.v.com', 'https://api.v.com/', true],
    ['api.v.com', 'https://api.v.com:443/', true],
    ['api.v.com', 'https://api.v.com:80/', false],
    ['api.v.com', 'http://api.v.com/', true],
    ['api.v.com', 'http://api.v.com:443/', false],
    ['api.v.com', 'https://api.v.com:8443/', false],
    ['api.v.com:8443', 'https://api.v.com:8443/', true],
    ['api.v.com:8443', 'https://api.v.com/', false],
    ['api.v.com:443', 'https://api.v.com/', true],
    ['api.v.com:443', 'http://api.v.com/', false],
    ['*.v.com:8443', 'https://a.v.com:8443/', true],
    ['*.v.com:8443', 'https://a.v.com/', false],
  ])('%s and %s: %s', (key, target, expected) => {
    expect(answer({ [key]: ['/**'] }, target) !== 'no_host_rule').toBe(expected);
  });
});

describe('paths as they are sent', () => {
  it.each([
    ['/v1/**', '/v1/..', 'ambiguous_path'],
    ['/v1/**', '/v1/../admin', 'ambiguous_path'],
    ['/v1/**', '/v1/%2e%2e/admin', 'ambiguous_path'],
    ['/v1/**', '/v1/%252e%252e/admin', 'ambiguous_path'],
    ['/v1/**', '/v1/%25252e%25252e/admin', 'ambiguous_path'],
    ['/v1/**', '/v1/..\\admin', 'ambiguous_path'],
    ['/v1/**', '/v1/..%5cadmin', 'ambiguous_path'],
    ['/v1/**', '/v1/%2e%2e%2fadmin', 'ambiguous_path'],
    ['/v1/**', '/v1/%25zz', 'ambiguous_path'],
    ['/v1/**', '/v1/%2525zz', 'ambiguous_path'],
    ['/v1/**', '/v1/%zz', 'ambiguous_path'],
    // These two pass the original.
    ['/v1/**', '/v1/./a', 'ambiguous_path'],
    ['/v1/**', '/v1/a%00b', 'ambiguous_path'],
    ['/**', '/a..b', '/**'],
    ['/v1/**', '/v1/a%2Fb', '/v1/**'],
    ['/v1/**', '/v1//a', '/v1/**'],
    ['/v1/*', '/v1/a%2Fb', 'no_path_match'],
    ['/v1/a%2Fb', '/v1/a%2Fb', '/v1/a%2Fb'],
    ['/my files/*', '/my%20files/a', '/my files/*'],
    ['/my%20files/*', '/my%20files/a', '/my%20files/*'],
    ['/café', '/caf%C3%A9', '/café'],
    ['/a?b', '/a%3Fb', '/a?b'],
    ['/**', '', '/**'],
  ])('%s and %s: %s', (pattern, path, expected) => {
    const target = `https://api.v.com${path}`;
    expect(answer({ 'api.v.com': [pattern] }, target)).toBe(expected.startsWith('/') ? `api.v.com ${expected}` : expected);
  });

  it('never lets a path out that climbs up in some decoded form', () => {
    const piece = fc.constantFrom('.', '%2e', '%252E', '%25252e', '/', '%2f', '%252f', '\\', '%5c', 'a', '%', '%25', ';x', '\u00e9');
    const list = compileAllowList({ 'v.com': ['/**'] });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const path = `/${pieces.join('')}`;
        const forms = [path];
        for (let round = 0; round < 3; round++) {
          forms.push((forms.at(-1) ?? '').replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))));
        }
        const climbs = forms.some((form) => form.split(/[/\\]/).includes('..'));
        if (climbs) expect(list.decide('https', 'v.com', 443, path)).toMatchObject({ verdict: 'denied', reason: 'ambiguous_path' });
      }),
      { numRuns: 2_000 },
    );
  });

  it('a path that can be read in several ways is refused whatever its host', () => {
    expect(answer({ 'api.v.com': ['/**'] }, 'https://other.com/a/../b')).toBe('ambiguous_path');
  });
});

describe('which key decides', () => {
  const entries = {
    '**': ['/any'],
    '**.v.com': ['/deep', '/v2/**'],
    'api.v.com:8443': ['/port'],
    '*.v.com': ['/v2/**'],
    'api.v.com': ['/v1/**', '/v1/a'],
    'none.v.com': [],
    'api.*.com': ['/middle'],
  };

  it.each([
    ['https://api.v.com/v1/a', 'api.v.com /v1/**'],
    ['https://api.v.com/v2/a', '*.v.com /v2/**'],
    ['https://api.v.com/deep', '**.v.com /deep'],
    ['https://api.v.com/any', '** /any'],
    ['https://api.v.com/middle', 'api.*.com /middle'],
    ['https://api.v.com/port', 'no_path_match'],
    ['https://api.v.com:8443/port', 'api.v.com:8443 /port'],
    ['https://api.v.com:8443/v1/a', 'no_path_match'],
    ['https://a.b.v.com/v2/x', '**.v.com /v2/**'],
    ['https://none.v.com/v2/x', 'no_path_match'],
    ['https://elsewhere.org/any', '** /any'],
    ['https://elsewhere.org/x', 'no_path_match'],
  ])('%s: %s', (target, expected) => {
    expect(answer(entries, target)).toBe(expected);
  });

  it('does not depend on the order of the file', () => {
    const reversed = Object.fromEntries(Object.entries(entries).reverse());
    for (const path of ['/v1/a', '/v2/a', '/deep', '/any', '/x']) {
      expect(answer(reversed, `https://api.v.com${path}`)).toBe(answer(entries, `https://api.v.com${path}`));
    }
  });

  it('an address that is named may be called although it is private, a glob of addresses not', () => {
    const list = compileAllowList({ '10.0.0.5': ['/named'], '10.0.0.*': ['/**'] });
    expect(list.decide('https', '10.0.0.5', 443, '/named').permits).toMatchObject([{ text: '10.0.0.5/32' }]);
    expect(list.decide('https', '10.0.0.6', 443, '/named').permits).toEqual([]);
  });

  it('explains in the same order', () => {
    const list = compileAllowList(entries);
    expect(list.explain('https', 'api.v.com', 443, '/v2/x')).toEqual([
      { rule: 'allow_list api.v.com:8443', matched: false, why: 'it is for port 8443, not 443' },
      { rule: 'allow_list api.v.com /v1/**', matched: false, why: 'the path does not match /v1/**' },
      { rule: 'allow_list api.v.com /v1/a', matched: false, why: 'the path does not match /v1/a' },
      { rule: 'allow_list *.v.com /v2/**', matched: true, why: 'host, port and path match' },
    ]);
    expect(list.explain('https', 'none.v.com', 443, '/')).toEqual([
      { rule: 'allow_list none.v.com', matched: true, why: 'its list is empty, so it denies every path' },
    ]);
    expect(list.explain('https', 'api.v.com', 443, '/a/../b').at(-1)?.why).toBe('this path can be read in more than one way');
    expect(list.explain('https', 'api.v.com', 80, '/').map(({ why }) => why)).toContain('it is for port 443, the default of https, not 80');
  });

  it('knows what a CONNECT could lead to', () => {
    const list = compileAllowList(entries);
    expect([
      list.couldAllow('api.v.com', 443),
      list.couldAllow('api.v.com', 80),
      list.couldAllow('api.v.com', 22),
      list.couldAllow('none.v.com', 443),
    ]).toEqual([true, true, false, false]);
  });
});

describe('modes', () => {
  const decide = (mode: 'strict' | 'permissive' | 'observe', path: string) =>
    compileAllowList({ 'v.com': ['/a'] }, mode).decide('https', 'v.com', 443, path);
  it.each([
    ['strict', '/a', 'allowed', 'rule'],
    ['strict', '/b', 'denied', 'no_path_match'],
    ['permissive', '/b', 'allowed', 'mode'],
    ['permissive', '/../b', 'denied', 'ambiguous_path'],
    ['observe', '/b', 'observed', 'no_path_match'],
    ['observe', '/../b', 'observed', 'ambiguous_path'],
  ] as const)('%s %s: %s, %s', (mode, path, verdict, reason) => {
    expect(decide(mode, path)).toMatchObject({ verdict, reason });
  });

  it('without a single key, everything is denied', () => {
    expect(compileAllowList({}).decide('https', 'v.com', 443, '/')).toMatchObject({ verdict: 'denied', reason: 'no_host_rule' });
  });
});

describe('what cannot be read', () => {
  it.each([
    [{ 'api*.x': ['/'] }, { key: 'api*.x', index: null }, '"api*.x"'],
    [{ 'v.com': ['/ok', '/v1/cust*/y'] }, { key: 'v.com', index: 1 }, 'path 2 of the allow-list key "v.com"'],
    [{ 'V.com': ['/'], 'v.com': ['/'] }, { key: 'v.com', index: null }, 'the same as "V.com"'],
    [{ '[::1]': ['/'], '::1': ['/'] }, { key: '::1', index: null }, 'the same as "[::1]"'],
  ])('%j', (entries, members, said) => {
    let caught: unknown;
    try {
      compileAllowList(entries);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(SallyportError);
    expect(caught).toMatchObject({ code: 'config_invalid', members });
    expect((caught as SallyportError).message).toContain(said);
  });
});

/** The definition, word by word, with no thought for cost. */
function naive(key: readonly string[], host: readonly string[]): boolean {
  if (key.length === 0) return host.length === 0;
  const [first, ...rest] = key;
  if (first === '**') return naive(rest, host) || (host.length > 0 && naive(key, host.slice(1)));
  return host.length > 0 && (first === '*' || first === host[0]) && naive(rest, host.slice(1));
}

describe('many keys', () => {
  const label = fc.constantFrom('a', 'b', 'c');
  const keyLabel = fc.oneof({ weight: 3, arbitrary: label }, fc.constantFrom('*', '**'));

  it('are found as the definition says', () => {
    const keys = fc.uniqueArray(fc.array(keyLabel, { minLength: 1, maxLength: 5 }), { selector: (labels) => labels.join('.'), maxLength: 30 });
    const host = fc.array(label, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(keys, host, (written, labels) => {
        const list = compileAllowList(Object.fromEntries(written.map((key) => [key.join('.'), ['/**']])));
        const found = list.keysFor(labels.join('.')).map(({ text }) => text);
        const expected = written.filter((key) => naive(key, labels)).map((key) => key.join('.'));
        expect([...found].sort()).toEqual(expected.sort());
        // Those without a wildcard first, and the same order every time.
        expect(found.findLastIndex((text) => !text.includes('*'))).toBeLessThan(1);
        expect(list.keysFor(labels.join('.')).map(({ text }) => text)).toEqual(found);
      }),
    );
  });

  it('are not gone through one by one', () => {
    let steps = 0;
    const counting = (size: number): number => {
      const entries = Object.fromEntries(
        Array.from({ length: size }, (_, i) => [
          [`api${i}.v.com`, ['/**']],
          [`*.v${i}.com`, ['/**']],
          [`x.*.v${i}.com`, ['/**']],
        ]).flat(),
      );
      const list = compileAllowList(entries);
      const original = Map.prototype.get;
      steps = 0;
      try {
        Map.prototype.get = function (this: Map<unknown, unknown>, key: unknown) {
          steps++;
          return original.call(this, key);
        };
        for (let i = 0; i < 10; i++) list.decide('https', `a.v${i}.com`, 443, '/');
      } finally {
        Map.prototype.get = original;
      }
      return steps;
    };
    expect(counting(3_333)).toBe(counting(10));
  });

  it('with wildcards at every place of long names are still found at once', () => {
    const entries = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`${'**.a.'.repeat(i + 1)}b`, ['/**']]));
    const list = compileAllowList(entries);
    expect(list.keysFor(`${'a.'.repeat(60)}b`)).toHaveLength(60);
    expect(list.keysFor(`${'a.'.repeat(60)}c`)).toHaveLength(0);
  });

  it('for more hosts than are remembered', () => {
    const list = compileAllowList({ '*.v.com': ['/**'] });
    for (let i = 0; i < 10_000; i++) expect(list.decide('https', `h${i}.v.com`, 443, '/').verdict).toBe('allowed');
  });
});

describe('many paths of one key', () => {
  const segment = fc.constantFrom('a', 'b', '*', 'a%2Fb', 'b;x', 'café');
  const pattern = fc
    .tuple(fc.array(fc.oneof({ weight: 4, arbitrary: segment }, fc.constant('**')), { minLength: 1, maxLength: 4 }), fc.constantFrom('', '/'))
    .map(([segments, end]) => `/${segments.join('/')}${end}`);
  const asked = fc
    .array(fc.constantFrom('a', 'b', 'c', 'a%2Fb', 'a%2fb', 'b;x', '%61', 'caf%C3%A9', '', '..'), { maxLength: 5 })
    .map((segments) => `/${segments.join('/')}`);

  it('are found as if they were gone through', () => {
    fc.assert(
      fc.property(fc.array(pattern, { minLength: 5, maxLength: 30 }), fc.array(asked, { minLength: 4, maxLength: 4 }), (patterns, paths) => {
        const list = compileAllowList({ 'v.com': patterns });
        for (const path of paths) {
          const { rule, reason } = list.decide('https', 'v.com', 443, path);
          // One list for each path: nothing to look it up among.
          const alone = patterns.map((one) => compileAllowList({ 'v.com': [one] }).decide('https', 'v.com', 443, path));
          const wanted = alone.find(({ verdict }) => verdict === 'allowed') ?? alone[0];
          expect({ rule, reason }).toEqual({ rule: wanted.rule, reason: wanted.reason });
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are not gone through one by one', () => {
    const compared = (size: number): number => {
      const paths = Array.from({ length: size }, (_, i) => [`/v1/thing-${i}/*`, `/*/part-${i}`, `/**/end-${i}`]).flat();
      const list = compileAllowList({ 'v.com': paths });
      const original = String.prototype.startsWith;
      let comparisons = 0;
      try {
        String.prototype.startsWith = function (this: string, ...found: Parameters<typeof original>) {
          comparisons++;
          return original.apply(this, found);
        };
        for (const path of ['/v1/thing-7/x', '/any/part-8', '/a/b/c/end-9', '/none']) list.decide('https', 'v.com', 443, path);
      } finally {
        String.prototype.startsWith = original;
      }
      return comparisons;
    };
    expect(compared(10)).toBeGreaterThan(0);
    expect(compared(3_333)).toBe(compared(10));
  });
});
