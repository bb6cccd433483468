import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PolicyMode } from './decision.js';
import { compilePolicy, type Policy } from './policy.js';

function policy(mode: PolicyMode, ...rules: readonly string[]): Policy {
  return compilePolicy({ mode, rules });
}

const MODES: readonly PolicyMode[] = ['strict', 'permissive', 'observe'];

describe('decide', () => {
  it.each([
    ['strict', 'denied', 'no_host_rule'],
    ['permissive', 'allowed', 'mode'],
    ['observe', 'observed', 'no_host_rule'],
  ] as const)('in %s, a host without rules is %s', (mode, verdict, reason) => {
    expect(policy(mode).decide('x.example.com', 443, 'GET', '/')).toEqual({ verdict, rule: null, reason, permits: [] });
  });

  it.each([
    ['strict', 'denied'],
    ['permissive', 'denied'],
    ['observe', 'observed'],
  ] as const)('in %s, an explicit deny is %s', (mode, verdict) => {
    expect(policy(mode, 'deny x.example.com').decide('x.example.com', 443, 'GET', '/')).toEqual({
      verdict,
      rule: 'deny x.example.com',
      reason: 'rule',
      permits: [],
    });
  });

  it('says what was missing', () => {
    const strict = policy('strict', 'allow x.example.com GET /v1/**', 'allow x.example.com POST /v2/**');
    expect(strict.decide('x.example.com', 443, 'GET', '/v1/a')).toMatchObject({
      verdict: 'allowed',
      rule: 'allow x.example.com GET /v1/**',
      reason: 'rule',
    });
    expect(strict.decide('x.example.com', 443, 'PUT', '/v1/a')).toMatchObject({ verdict: 'denied', rule: null, reason: 'no_method_match' });
    expect(strict.decide('x.example.com', 443, 'GET', '/v2/a')).toMatchObject({ verdict: 'denied', rule: null, reason: 'no_path_match' });
    expect(strict.decide('x.example.com', 8443, 'GET', '/v1/a')).toMatchObject({ verdict: 'denied', reason: 'no_host_rule' });
    expect(strict.decide('y.example.com', 443, 'GET', '/v1/a')).toMatchObject({ verdict: 'denied', reason: 'no_host_rule' });
    expect(strict.decide('x.example.com', 443, 'get', '/v1/a')).toMatchObject({ verdict: 'denied', reason: 'no_method_match' });
  });

  it('asks the most specific host first and lets a rule that does not match hide nothing', () => {
    const strict = policy('strict', 'deny *', 'allow *.example.com GET', 'allow api.example.com POST /v1/**');
    expect(strict.decide('api.example.com', 443, 'POST', '/v1/a').rule).toBe('allow api.example.com POST /v1/**');
    expect(strict.decide('api.example.com', 443, 'GET', '/v1/a').rule).toBe('allow *.example.com GET');
    expect(strict.decide('api.example.com', 443, 'POST', '/v2').rule).toBe('deny *');
    expect(strict.decide('example.com', 443, 'GET', '/')).toMatchObject({ verdict: 'denied', rule: 'deny *' });
  });

  it('takes the first in the file among rules for the same host', () => {
    expect(policy('strict', 'deny x.example.com /admin/**', 'allow x.example.com').decide('x.example.com', 443, 'GET', '/admin/a').verdict).toBe(
      'denied',
    );
    expect(policy('strict', 'allow x.example.com', 'deny x.example.com /admin/**').decide('x.example.com', 443, 'GET', '/admin/a').verdict).toBe(
      'allowed',
    );
  });

  it('answers the same frozen object for the same rule', () => {
    const strict = policy('strict', 'allow x.example.com to 10.0.0.0/8');
    const decision = strict.decide('x.example.com', 443, 'GET', '/');
    expect(strict.decide('x.example.com', 80, 'POST', '/other')).toBe(decision);
    expect(Object.isFrozen(decision) && Object.isFrozen(decision.permits)).toBe(true);
    expect(strict.decide('y.example.com', 443, 'GET', '/')).toBe(strict.decide('z.example.com', 443, 'GET', '/'));
  });

  it('hands on the networks that the matching rule names, and no others', () => {
    const permissive = policy(
      'permissive',
      'allow a.example.com to 10.0.0.0/8,::1',
      'allow 127.0.0.1:8080',
      'allow 192.168.0.0/16',
      'passthrough b.example.com to 10.1.2.3',
    );
    const permitted = (host: string, port = 443) => permissive.decide(host, port, 'GET', '/').permits.map((network) => network.text);
    expect(permitted('a.example.com')).toEqual(['10.0.0.0/8', '::1/128']);
    expect(permitted('127.0.0.1', 8080)).toEqual(['127.0.0.1/32']);
    expect(permitted('127.0.0.1', 8081)).toEqual([]);
    expect(permitted('192.168.1.1')).toEqual(['192.168.0.0/16']);
    expect(permitted('b.example.com')).toEqual(['10.1.2.3/32']);
    expect(permitted('c.example.com')).toEqual([]);
  });

  it('takes passthrough for an allow when the request is not a CONNECT', () => {
    expect(policy('strict', 'passthrough x.example.com').decide('x.example.com', 80, 'GET', '/a')).toMatchObject({
      verdict: 'allowed',
      rule: 'passthrough x.example.com',
    });
  });

  it('allows only what matches in every reading and denies what matches in one', () => {
    const allow = policy('strict', 'allow x.example.com /v1/*');
    expect(allow.decide('x.example.com', 443, 'GET', '/v1/a%20b').verdict).toBe('allowed');
    expect(allow.decide('x.example.com', 443, 'GET', '/v1/a%2Fb')).toMatchObject({ verdict: 'denied', reason: 'no_path_match' });
    const deny = policy('permissive', 'deny x.example.com /admin/**');
    for (const path of ['/admin/a', '/%61dmin/a', '//admin/a', '/admin;v=1/a', '/%2561dmin/a', '/admin%2Fa', '\\admin\\a']) {
      expect([path, deny.decide('x.example.com', 443, 'GET', path).verdict]).toEqual([path, 'denied']);
    }
    expect(deny.decide('x.example.com', 443, 'GET', '/public').verdict).toBe('allowed');
  });

  it.each(MODES)('in %s, refuses an ambiguous path only where a rule looks at it', (mode) => {
    const compiled = policy(
      mode,
      'allow x.example.com GET /v1/**',
      'deny x.example.com POST /v1/**',
      'allow x.example.com PUT',
      'allow y.example.com',
    );
    const verdict = mode === 'observe' ? 'observed' : 'denied';
    for (const path of ['/v1/../admin', '/v1/%2e%2e/admin', '/v1/%zz']) {
      expect(compiled.decide('x.example.com', 443, 'GET', path)).toEqual({ verdict, rule: null, reason: 'ambiguous_path', permits: [] });
      expect(compiled.decide('x.example.com', 443, 'POST', path)).toMatchObject({ verdict, reason: 'ambiguous_path' });
      expect(compiled.decide('x.example.com', 443, 'PUT', path)).toMatchObject({ verdict: 'allowed', reason: 'rule' });
      expect(compiled.decide('y.example.com', 443, 'GET', path)).toMatchObject({ verdict: 'allowed', reason: 'rule' });
    }
  });

  it('sees an IPv4-mapped host as IPv4', () => {
    expect(policy('permissive', 'deny 10.0.0.0/8').decide('::ffff:a01:203', 443, 'GET', '/').verdict).toBe('denied');
  });

  it('finds the rule of one host among 10,000', () => {
    const rules = Array.from({ length: 10_000 }, (_, i) => `allow host-${i}.example.com GET /v${i}/**`);
    const strict = policy('strict', ...rules);
    expect(strict.explain('host-77.example.com', 443, 'GET', '/v77/a')).toHaveLength(1);
    expect(strict.decide('host-77.example.com', 443, 'GET', '/v77/a').rule).toBe(rules[77]);
    expect(strict.decide('host-77.example.com', 443, 'GET', '/v78/a').reason).toBe('no_path_match');
  });

  it('finds the same among many rules for one host as by going through them', () => {
    const rule = fc
      .tuple(
        fc.constantFrom('allow', 'deny'),
        fc.constantFrom('x.example.com', 'x.example.com', 'x.example.com:*', '*.example.com'),
        fc.constantFrom('', 'GET', 'POST', 'GET,PUT'),
        fc.constantFrom('', '/a', '/a/*', '/a/**', '/**/b', '/*/b', '/a/c*', '/a%2Fb', '/b;x', '/café', '/a/**/c'),
      )
      .map((words) => words.filter((word) => word !== '').join(' '));
    const path = fc.constantFrom('/a', '/a/b', '/a/cc', '/a%2Fb', '/a%2fb', '/b', '//b', '/b;x', '/%61/b', '/caf%C3%A9', '/a/x/c', '/a/..', '/', '*');
    fc.assert(
      fc.property(fc.array(rule, { minLength: 5, maxLength: 40 }), fc.constantFrom('GET', 'POST', 'PATCH'), path, (rules, method, asked) => {
        const { rule: found, reason } = policy('strict', ...rules).decide('x.example.com', 443, method, asked);
        const rank = (text: string): number => ['x.example.com', 'x.example.com:*', '*.example.com'].indexOf(text.split(' ')[1]);
        const ordered = [...rules].sort((a, b) => rank(a) - rank(b));
        // One policy for each rule: nothing to look it up among.
        const alone = ordered.map((text) => policy('strict', text).decide('x.example.com', 443, method, asked));
        const decided = alone.find((one) => one.rule !== null || one.reason === 'ambiguous_path');
        const missed = alone.some((one) => one.reason === 'no_path_match') ? 'no_path_match' : 'no_method_match';
        expect({ found, reason }).toEqual({ found: decided?.rule ?? null, reason: decided?.reason ?? missed });
      }),
      { numRuns: 2000 },
    );
  });

  it('compares no more of 10,000 rules for one host than of 10', () => {
    const compared = (size: number): number => {
      const strict = policy(
        'strict',
        ...Array.from({ length: size }, (_, i) => `${i % 2 === 0 ? 'allow' : 'deny'} x.example.com GET /v1/thing-${i}/*`),
      );
      const original = String.prototype.startsWith;
      let comparisons = 0;
      try {
        String.prototype.startsWith = function (this: string, ...found: Parameters<typeof original>) {
          comparisons++;
          return original.apply(this, found);
        };
        for (const path of ['/v1/thing-7/x', '/v1/thing-8/x', '/v1/thing-8/a%20b']) strict.decide('x.example.com', 443, 'GET', path);
      } finally {
        String.prototype.startsWith = original;
      }
      return comparisons;
    };
    expect(compared(10)).toBeGreaterThan(0);
    expect(compared(10_000)).toBe(compared(10));
  });

  it('passes on what is wrong with a rule', () => {
    expect(() => policy('strict', 'allow x.example.com', 'alow y.example.com')).toThrow(SallyportError);
    expect(() => policy('strict', 'allow x.example.com', 'alow y.example.com')).toThrow(
      /rule 2 \("alow y\.example\.com"\).*column 1.*did you mean "allow"/,
    );
  });
});

describe('decideConnect', () => {
  it.each([
    ['strict', [], 'refuse', 'denied', 'no_host_rule'],
    ['strict', ['allow x.example.com'], 'intercept', 'allowed', 'rule'],
    ['strict', ['allow x.example.com GET /v1/**'], 'intercept', 'allowed', 'rule'],
    ['strict', ['allow x.example.com:8443'], 'refuse', 'denied', 'no_host_rule'],
    ['strict', ['deny x.example.com'], 'refuse', 'denied', 'rule'],
    ['strict', ['deny x.example.com', 'allow x.example.com'], 'refuse', 'denied', 'rule'],
    ['strict', ['deny x.example.com POST', 'allow x.example.com'], 'intercept', 'allowed', 'rule'],
    ['strict', ['deny x.example.com POST'], 'refuse', 'denied', 'mode'],
    ['strict', ['deny x.example.com /admin/**', 'allow *.example.com'], 'intercept', 'allowed', 'rule'],
    ['strict', ['deny x.example.com', 'allow *'], 'refuse', 'denied', 'rule'],
    ['strict', ['passthrough x.example.com'], 'tunnel', 'passthrough', 'rule'],
    ['strict', ['passthrough *.example.com'], 'tunnel', 'passthrough', 'rule'],
    ['strict', ['passthrough *.example.com', 'allow x.example.com GET'], 'intercept', 'allowed', 'rule'],
    ['strict', ['passthrough *.example.com', 'deny x.example.com'], 'refuse', 'denied', 'rule'],
    ['permissive', [], 'intercept', 'allowed', 'mode'],
    ['permissive', ['deny x.example.com'], 'refuse', 'denied', 'rule'],
    ['permissive', ['deny x.example.com POST'], 'intercept', 'allowed', 'mode'],
    ['permissive', ['passthrough x.example.com'], 'tunnel', 'passthrough', 'rule'],
    ['observe', [], 'intercept', 'observed', 'no_host_rule'],
    ['observe', ['deny x.example.com'], 'intercept', 'observed', 'rule'],
    ['observe', ['deny x.example.com POST'], 'intercept', 'observed', 'mode'],
    ['observe', ['allow x.example.com'], 'intercept', 'allowed', 'rule'],
    ['observe', ['passthrough x.example.com'], 'tunnel', 'passthrough', 'rule'],
  ] as const)('in %s with %j: %s, %s', (mode, rules, action, verdict, reason) => {
    expect(policy(mode, ...rules).decideConnect('x.example.com', 443)).toMatchObject({ action, decision: { verdict, reason } });
  });

  it('hands on the networks of a tunnel', () => {
    expect(
      policy('strict', 'passthrough db.example.com:5432 to 10.0.0.0/8')
        .decideConnect('db.example.com', 5432)
        .decision.permits.map((network) => network.text),
    ).toEqual(['10.0.0.0/8']);
  });

  it('refuses only where no request would be allowed', () => {
    const rule = fc
      .tuple(
        fc.constantFrom('allow', 'deny'),
        fc.constantFrom('x.example.com', '*.example.com', '*'),
        fc.constantFrom('', ' GET', ' POST'),
        fc.constantFrom('', ' /a', ' /b'),
      )
      .map(([action, host, method, path]) => `${action} ${host}${method}${path}`);
    fc.assert(
      fc.property(fc.constantFrom(...MODES), fc.array(rule, { maxLength: 6 }), (mode, rules) => {
        const compiled = policy(mode, ...rules);
        const requests = ['GET', 'POST', 'PUT'].flatMap((method) =>
          ['/a', '/b', '/c'].map((path) => compiled.decide('x.example.com', 443, method, path).verdict),
        );
        if (compiled.decideConnect('x.example.com', 443).action === 'refuse') expect(new Set(requests)).toEqual(new Set(['denied']));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('explain', () => {
  it('lists what was considered, in order, up to the rule that decides', () => {
    const strict = policy(
      'strict',
      'deny *',
      'allow *.example.com',
      'allow x.example.com POST',
      'allow x.example.com GET /v1/*',
      'allow x.example.com:8443',
      'allow y.example.com',
    );
    expect(strict.explain('x.example.com', 443, 'GET', '/v1/a%2Fb')).toEqual([
      { rule: 'allow x.example.com:8443', matched: false, why: 'it is for port 8443, not 443' },
      { rule: 'allow x.example.com POST', matched: false, why: 'it is for POST, not GET' },
      {
        rule: 'allow x.example.com GET /v1/*',
        matched: false,
        why: 'the path matches /v1/* in one reading, but not in every way that a server may read it',
      },
      { rule: 'allow *.example.com', matched: true, why: 'host, port, method and path match' },
    ]);
    expect(strict.explain('z.test', 8080, 'GET', '/')).toEqual([{ rule: 'deny *', matched: false, why: 'it is for ports 80 and 443, not 8080' }]);
    expect(policy('strict').explain('x.example.com', 443, 'GET', '/')).toEqual([]);
  });

  it('ends where the path cannot be read in one way', () => {
    const considered = policy('strict', 'allow x.example.com /v1/**', 'allow *').explain('x.example.com', 443, 'GET', '/v1/..');
    expect(considered).toEqual([
      { rule: 'allow x.example.com /v1/**', matched: false, why: 'it looks at the path, and this path can be read in more than one way' },
    ]);
  });

  it('comes to the same rule as decide', () => {
    const action = fc.constantFrom('allow', 'deny');
    const host = fc.constantFrom('x.example.com', 'x.example.com:8443', 'x.example.com:*', '*.example.com', '*', '*:*', 'y.example.com');
    const method = fc.constantFrom('', 'GET', 'GET,POST');
    const path = fc.constantFrom('', '/a/*', '/a/**', '/b');
    const rule = fc.tuple(action, host, method, path).map((words) => words.filter((word) => word !== '').join(' '));
    const request = fc.tuple(fc.constantFrom(443, 8443), fc.constantFrom('GET', 'POST'), fc.constantFrom('/a', '/a/b', '/a/b%2Fc', '/b', '/a/..'));
    fc.assert(
      fc.property(fc.constantFrom(...MODES), fc.array(rule, { maxLength: 8 }), request, (mode, rules, [port, verb, target]) => {
        const compiled = policy(mode, ...rules);
        const decision = compiled.decide('x.example.com', port, verb, target);
        const matched = compiled.explain('x.example.com', port, verb, target).filter((step) => step.matched);
        expect(matched.map((step) => step.rule)).toEqual(decision.rule === null ? [] : [decision.rule]);
      }),
      { numRuns: 2000 },
    );
  });
});
