import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { canonicalHost } from './canonical-host.js';
import { parseHostPattern } from './host-pattern.js';
import { HostTable } from './host-table.js';

function tableOf(...patterns: readonly string[]): HostTable<string> {
  const table = new HostTable<string>();
  for (const pattern of patterns) table.add(parseHostPattern(pattern), pattern);
  return table;
}

function shuffled<T>(items: readonly T[]): fc.Arbitrary<T[]> {
  return fc.shuffledSubarray([...items], { minLength: items.length });
}

/** The rule of each pattern in one line, looked up by trying them all. */
function oracle(patterns: readonly string[], host: string, port: number): string[] {
  return patterns.filter((pattern) => {
    const [, hostPart, portPart] = /^(.*?|\[.*\])(?::(\d+|\*))?$/.exec(pattern) as unknown as [string, string, string | undefined];
    const isPort = portPart === undefined ? port === 80 || port === 443 : portPart === '*' || Number(portPart) === port;
    const isLiteral = ipaddr.isValid(host);
    if (!isPort) return false;
    if (hostPart === '*') return true;
    if (hostPart.startsWith('*.')) return !isLiteral && host.endsWith(hostPart.slice(1)) && host.length >= hostPart.length;
    if (!hostPart.includes('/')) return host === hostPart.replace(/^\[(.*)\]$/, '$1');
    const [network, prefix] = ipaddr.parseCIDR(hostPart.replace(/^\[(.*)\]$/, '$1'));
    return isLiteral && ipaddr.parse(host).kind() === network.kind() && ipaddr.parse(host).match(network, prefix);
  });
}

describe('HostTable', () => {
  it('orders by how specific a pattern is, then by insertion', () => {
    const names = [
      'a.b.example.com:443',
      'a.b.example.com',
      'a.b.example.com:*',
      '*.b.example.com:443',
      '*.b.example.com',
      '*.b.example.com:*',
      '*.example.com:443',
      '*.example.com',
      '*.example.com:*',
      '*:443',
      '*',
      '*:*',
    ];
    const addresses = [
      '10.1.2.3:443',
      '10.1.2.3',
      '10.1.2.3:*',
      '10.1.2.3/32',
      '10.1.2.0/24:443',
      '10.1.2.0/24',
      '10.1.0.0/16',
      '10.0.0.0/8',
      '0.0.0.0/0',
      '*',
    ];
    fc.assert(
      fc.property(shuffled(names), shuffled(addresses), (someNames, someAddresses) => {
        const table = tableOf(...someNames, ...someAddresses.filter((pattern) => pattern !== '*'));
        expect(table.lookup('a.b.example.com', 443)).toEqual(names);
        expect(table.lookup('10.1.2.3', 443).filter((pattern) => !pattern.startsWith('*'))).toEqual(addresses.slice(0, -1));
      }),
      { numRuns: 50 },
    );
    const table = new HostTable<number>();
    for (let i = 0; i < 20; i++) table.add(parseHostPattern('*.example.com'), i);
    expect(table.lookup('x.example.com', 80)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it('takes a dot for a border', () => {
    const table = tableOf('*.example.com');
    expect(table.lookup('api.example.com', 443)).toHaveLength(1);
    expect(table.lookup('a.b.c.example.com', 443)).toHaveLength(1);
    expect(table.lookup('example.com', 443)).toHaveLength(0);
    expect(table.lookup('evilexample.com', 443)).toHaveLength(0);
    expect(table.lookup('example.com.evil.net', 443)).toHaveLength(0);
  });

  it('sees an IPv4-mapped host as the IPv4 address in it', () => {
    const table = tableOf('10.1.2.3', '10.0.0.0/8', '[::ffff:10.1.2.4]');
    expect(table.lookup('::ffff:a01:203', 443)).toEqual(['10.1.2.3', '10.0.0.0/8']);
    expect(table.lookup('10.1.2.4', 443)).toEqual(['[::ffff:10.1.2.4]', '10.0.0.0/8']);
    expect(table.lookup('::a01:203', 443)).toEqual([]);
  });

  it('keeps names and networks apart', () => {
    const table = tableOf('0.0.0.0/0', '::/0', '*.example.com');
    expect(table.lookup('api.example.com', 443)).toEqual(['*.example.com']);
    expect(table.lookup('1.2.3.4', 443)).toEqual(['0.0.0.0/0']);
    expect(table.lookup('2001:db8::1', 443)).toEqual(['::/0']);
  });

  it('answers the same frozen array again, until something is added', () => {
    const table = tableOf('example.com');
    const first = table.lookup('example.com', 443);
    expect(Object.isFrozen(first)).toBe(true);
    expect(table.lookup('example.com', 443)).toBe(first);
    expect(table.lookup('other.com', 443)).toBe(table.lookup('example.com', 8443));
    table.add(parseHostPattern('*'), '*');
    expect(table.lookup('example.com', 443)).toEqual(['example.com', '*']);
    expect(table.lookup('other.com', 443)).toEqual(['*']);
  });

  it('stays right when more hosts are asked for than it remembers', () => {
    const table = tableOf('*.example.com', '7.example.com');
    for (let i = 0; i < 10_000; i++) table.lookup(`${i}.example.com`, 443);
    expect(table.lookup('7.example.com', 443)).toEqual(['7.example.com', '*.example.com']);
    expect(table.lookup('9999.example.com', 443)).toEqual(['*.example.com']);
  });

  it('finds with 10,000 patterns only those that match', () => {
    const table = new HostTable<number>();
    for (let i = 0; i < 10_000; i++) table.add(parseHostPattern(i % 2 === 0 ? `host-${i}.example.com` : `*.zone-${i}.example.net`), i);
    expect(table.entriesFor('host-4242.example.com').map((entry) => entry.value)).toEqual([4242]);
    expect(table.entriesFor('a.zone-4243.example.net').map((entry) => entry.value)).toEqual([4243]);
    expect(table.entriesFor('host-4243.example.com')).toEqual([]);
  });

  it('agrees with trying every pattern', () => {
    const label = fc.constantFrom('a', 'b', 'ab', 'com');
    const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
    const ipv4 = fc.tuple(fc.constantFrom('10', '11'), fc.constantFrom('0', '1')).map(([a, b]) => `${a}.${b}.0.0`);
    const ipv6 = fc.constantFrom('fd00::1', 'fd00::', '2001:db8::1', '::1');
    const host = fc.oneof(name, ipv4, ipv6);
    const port = fc.constantFrom('', ':80', ':8443', ':*');
    const hostPattern = fc.oneof(
      name,
      ipv4,
      ipv6.map((text) => `[${text}]`),
      fc.constant('*'),
      fc.tuple(label, name).map(([first, rest]) => `*.${first}.${rest}`),
      fc.constantFrom('10.0.0.0/8', '10.0.0.0/16', '10.0.0.0/7', '0.0.0.0/0', '[fd00::/8]', '[::/0]', '[2001:db8::/32]', '[::1/128]'),
    );
    const pattern = fc.tuple(hostPattern, port).map(([h, p]) => h + p);
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 12 }), host, fc.constantFrom(80, 443, 8443), (patterns, asked, askedPort) => {
        const found = tableOf(...patterns).lookup(canonicalHost(asked).text, askedPort);
        expect([...found].sort()).toEqual(oracle(patterns, asked, askedPort).sort());
      }),
      { numRuns: 2000 },
    );
  });
});
