import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalHost, hostForUrl, parseAuthority, parsePort } from './canonical-host.js';

function refusal(read: () => unknown): SallyportError {
  try {
    read();
  } catch (error) {
    if (error instanceof SallyportError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

/** What the URL standard makes of a host, null when it refuses it. */
function byUrlStandard(host: string): string | null {
  try {
    return new URL(`http://${host}/`).hostname;
  } catch {
    return null;
  }
}

describe('canonicalHost', () => {
  it.each([
    ['api.github.com', 'name', 'api.github.com'],
    ['API.GitHub.COM', 'name', 'api.github.com'],
    ['api.github.com.', 'name', 'api.github.com'],
    ['localhost', 'name', 'localhost'],
    ['_dmarc.a_b.example.com', 'name', '_dmarc.a_b.example.com'],
    ['r3---sn-x.example.com', 'name', 'r3---sn-x.example.com'],
    ['1password.com', 'name', '1password.com'],
    ['4.3.2.1.in-addr.arpa', 'name', '4.3.2.1.in-addr.arpa'],
    ['0x7f.example', 'name', '0x7f.example'],
    ['example.0xyz', 'name', 'example.0xyz'],
    ['Bücher.DE', 'name', 'xn--bcher-kva.de'],
    ['XN--BCHER-KVA.de', 'name', 'xn--bcher-kva.de'],
    ['a_ü.com', 'name', 'xn--a_-yka.com'],
    ['example。com', 'name', 'example.com'],
    ['127.0.0.1', 'ipv4', '127.0.0.1'],
    ['127.0.0.1.', 'ipv4', '127.0.0.1'],
    ['127.1', 'ipv4', '127.0.0.1'],
    ['0177.0.0.1', 'ipv4', '127.0.0.1'],
    ['0x7F.0.0.0x1', 'ipv4', '127.0.0.1'],
    ['2130706433', 'ipv4', '127.0.0.1'],
    ['0x7f000001', 'ipv4', '127.0.0.1'],
    ['017700000001', 'ipv4', '127.0.0.1'],
    ['10.65535', 'ipv4', '10.0.255.255'],
    ['１２７.0.0.1', 'ipv4', '127.0.0.1'],
    ['::1', 'ipv6', '::1'],
    ['[::1]', 'ipv6', '::1'],
    ['[2001:DB8:0:0:0:0:0:1]', 'ipv6', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', 'ipv6', '2001:db8:0:1:1:1:1:1'],
    ['1:0:0:2:0:0:0:3', 'ipv6', '1:0:0:2::3'],
    ['::ffff:127.0.0.1', 'ipv6', '::ffff:7f00:1'],
  ])('reads %j as %s %s', (text, kind, canonical) => {
    expect(canonicalHost(text)).toEqual({ kind, text: canonical });
  });

  it.each([
    ['', 'empty'],
    ['.', 'empty label'],
    ['a..b', 'empty label'],
    ['.a', 'empty label'],
    ['a.b..', 'empty label'],
    ['。com', 'empty label'],
    [`${'a'.repeat(64)}.com`, 'label of 64 characters'],
    [`${'a.'.repeat(126)}aa`, 'at most 253'],
    [`${'ü'.repeat(60)}.${'ü'.repeat(60)}.${'ü'.repeat(60)}.${'ü'.repeat(60)}`, 'at most'],
    ['a b', 'a space (U+0020)'],
    ['a/b', '"/" (U+002F)'],
    ['a%62c', '"%" (U+0025)'],
    ['a\u0000b', 'control character (U+0000)'],
    ['a\nb', 'control character (U+000A)'],
    ['a\\b', 'U+005C'],
    ['a?b', '"?"'],
    ['a#b', '"#"'],
    ['a*b', '"*"'],
    ['ü/x', '"/"'],
    ['a／b', 'not a valid international domain name'],
    ['xn--a', 'not a valid international domain name'],
    ['\u00ad', 'not a valid international domain name'],
    ['1.2.3.4.5', 'not an IPv4 address'],
    ['256.1.1.1', 'not an IPv4 address'],
    ['1.2.3.08', 'not an IPv4 address'],
    ['4294967296', 'not an IPv4 address'],
    ['example.1', 'not an IPv4 address'],
    ['[::1', 'one bracket'],
    ['::1]', 'one bracket'],
    ['[example.com]', 'not a valid IPv6'],
    ['[127.0.0.1]', 'not a valid IPv6'],
    ['[]', 'not a valid IPv6'],
    ['1::2::3', 'not a valid IPv6'],
    ['[v1.fe]', 'not a valid IPv6'],
    ['fe80::1%eth0', 'zone id'],
    ['[fe80::1%25eth0]', 'zone id'],
    ['example.com:443', 'not a valid IPv6'],
  ])('refuses %j and says why', (text, why) => {
    const error = refusal(() => canonicalHost(text));
    expect(error.code).toBe('target_invalid');
    expect(error.message).toContain(why);
  });

  it('does not repeat what may be a password', () => {
    expect(refusal(() => canonicalHost('user:hunter2@example.com')).message).not.toContain('hunter2');
    expect(refusal(() => parseAuthority('user:hunter2@example.com:443')).message).not.toContain('hunter2');
  });

  it('bounds what it repeats', () => {
    expect(refusal(() => canonicalHost(`${'a'.repeat(30)}..${'b'.repeat(200)}`)).message.length).toBeLessThan(150);
  });

  it('reads every spelling of IPv4 as the URL standard does', () => {
    const number = fc.oneof(fc.nat(300), fc.nat(70_000), fc.nat({ max: 2 ** 32 }), fc.constantFrom(255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32));
    const part = fc.tuple(number, fc.constantFrom('dec', 'oct', 'hex', 'HEX', 'padded')).map(([n, base]) => {
      if (base === 'dec') return `${n}`;
      if (base === 'oct') return `0${n.toString(8)}`;
      if (base === 'padded') return `000${n.toString(8)}`;
      return base === 'hex' ? `0x${n.toString(16)}` : `0X${n.toString(16).toUpperCase()}`;
    });
    const odd = fc.constantFrom('0x', '09', '0xg', '1a', '', '-1', '00', '0x0');
    const parts = fc.array(fc.oneof({ weight: 6, arbitrary: part }, { weight: 1, arbitrary: odd }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(parts, fc.boolean(), (labels, dot) => {
        const text = labels.join('.') + (dot ? '.' : '');
        const expected = byUrlStandard(text);
        if (expected === null || /(?:^|\.)(?:\.|$)/.test(text.replace(/\.$/, ''))) expect(() => canonicalHost(text)).toThrow(SallyportError);
        else expect(canonicalHost(text).text).toBe(expected.replace(/\.$/, ''));
      }),
      { numRuns: 3000 },
    );
  });

  it('reads every IPv6 address as the URL standard does', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const expected = { kind: 'ipv6', text: new URL(`http://[${text}]/`).hostname.slice(1, -1) };
        expect(canonicalHost(text)).toEqual(expected);
        expect(canonicalHost(`[${text.toUpperCase()}]`)).toEqual(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it('answers names that are their own canonical form, whatever it is given', () => {
    const text = fc.oneof(
      fc.domain(),
      fc.string({ maxLength: 40 }),
      fc.string({ unit: 'grapheme', maxLength: 20 }),
      fc.string({ unit: fc.constantFrom(...'aZ0x.-_ü。１[]:%@') }),
    );
    fc.assert(
      fc.property(text, (input) => {
        let host: ReturnType<typeof canonicalHost>;
        try {
          host = canonicalHost(input);
        } catch (error) {
          expect(error).toBeInstanceOf(SallyportError);
          return;
        }
        expect(canonicalHost(host.text)).toEqual(host);
        expect(byUrlStandard(hostForUrl(host))).toBe(hostForUrl(host));
        if (host.kind === 'name') expect(host.text).toMatch(/^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('hostForUrl', () => {
  it('puts brackets around IPv6 only', () => {
    expect(hostForUrl(canonicalHost('::1'))).toBe('[::1]');
    expect(hostForUrl(canonicalHost('127.1'))).toBe('127.0.0.1');
    expect(hostForUrl(canonicalHost('Example.com'))).toBe('example.com');
  });
});

describe('parseAuthority', () => {
  it.each([
    ['Example.com', 'example.com', null],
    ['example.com:443', 'example.com', 443],
    ['example.com.:8443', 'example.com', 8443],
    ['127.1:80', '127.0.0.1', 80],
    ['[::1]', '::1', null],
    ['[::1]:65535', '::1', 65_535],
    ['example.com:00080', 'example.com', 80],
  ])('reads %j', (text, host, port) => {
    const authority = parseAuthority(text);
    expect(authority.host.text).toBe(host);
    expect(authority.port).toBe(port);
  });

  it.each([
    ['example.com:', 'port ""'],
    ['example.com:0', 'port "0"'],
    ['example.com:65536', '65536'],
    ['example.com:+80', '+80'],
    ['example.com:-1', '-1'],
    ['example.com:8 0', '8 0'],
    ['example.com:0x50', '0x50'],
    ['example.com:000080', '000080'],
    ['example.com:８０', '８０'],
    [':443', 'empty'],
    ['', 'empty'],
    ['::1', 'brackets'],
    ['::1:443', 'brackets'],
    ['[::1]443', 'after the bracket'],
    ['[::1', 'never closes'],
    ['[::1]:443:444', 'several colons'],
    ['user@example.com', 'user name'],
    ['a:b@example.com:1', 'user name'],
  ])('refuses %j and says why', (text, why) => {
    const error = refusal(() => parseAuthority(text));
    expect(error.code).toBe('target_invalid');
    expect(error.message).toContain(why);
  });
});

describe('parsePort', () => {
  it('takes exactly the decimal numbers from 1 to 65535', () => {
    fc.assert(
      fc.property(fc.oneof(fc.integer({ min: -10, max: 70_000 }).map(String), fc.string({ maxLength: 6 })), (text) => {
        const isPort = /^[0-9]{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
        if (isPort) expect(parsePort(text)).toBe(Number(text));
        else expect(() => parsePort(text)).toThrow(SallyportError);
      }),
    );
  });
});
