import { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { formatIp, parseIp, unmapped } from './ip-address.js';
import { masked, namesOneAddress, networkCovers, networkOf, parseNetwork } from './network.js';

const address = fc.oneof(fc.ipV4(), fc.ipV6());

function bytesOf(text: string): Uint8Array {
  const bytes = parseIp(text);
  if (bytes === null) throw new Error(`${text} is not an address`);
  return bytes;
}

describe('parseIp', () => {
  it.each(['', '127.1', '0177.0.0.1', '1.2.3.04', '1.2.3.256', '[::1]', 'fe80::1%eth0', '::1%', 'localhost', '1.2.3.4 ', '1:2:3', '::1::'])(
    'refuses %j',
    (text) => {
      expect(parseIp(text)).toBeNull();
    },
  );

  it('comes back from its own text', () => {
    fc.assert(
      fc.property(address, (text) => {
        expect(parseIp(formatIp(bytesOf(text)))).toEqual(parseIp(text));
      }),
    );
  });
});

describe('parseIp and ipaddr.js', () => {
  it('read the same bytes', () => {
    fc.assert(
      fc.property(address, (text) => {
        // The compatible form is the one place where they differ: ipaddr.js takes it for the mapped one.
        fc.pre(!/^::[0-9.]+\.[0-9]+$/.test(text));
        expect([...bytesOf(text)]).toEqual(ipaddr.parse(text).toByteArray());
      }),
      { numRuns: 1000 },
    );
    expect([...bytesOf('::10.1.2.3')]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 1, 2, 3]);
  });
});

describe('unmapped', () => {
  it('unwraps IPv4-mapped addresses and nothing else', () => {
    expect(formatIp(unmapped(bytesOf('::ffff:10.1.2.3')))).toBe('10.1.2.3');
    expect(formatIp(unmapped(bytesOf('::ffff:0:10.1.2.3')))).toBe('::ffff:0:a01:203');
    expect(formatIp(unmapped(bytesOf('::10.1.2.3')))).toBe('::a01:203');
    expect(formatIp(unmapped(bytesOf('1::ffff:10.1.2.3')))).toBe('1::ffff:a01:203');
    expect(formatIp(unmapped(bytesOf('10.1.2.3')))).toBe('10.1.2.3');
  });
});

describe('parseNetwork', () => {
  it.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['10.1.2.3', '10.1.2.3/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['FD00::/8', 'fd00::/8'],
    ['::1', '::1/128'],
    ['::/0', '::/0'],
    ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
    ['::ffff:10.1.2.3', '10.1.2.3/32'],
    ['::ffff:0:0/96', '0.0.0.0/0'],
    ['::/64', '::/64'],
  ])('reads %j as %s', (text, canonical) => {
    expect(parseNetwork(text).text).toBe(canonical);
  });

  it.each([
    ['10.1.2.3/8', 'write "10.0.0.0/8" for the network or "10.1.2.3" for the address'],
    ['fd00::1/8', 'write "fd00::/8"'],
    ['10.0.0.0/33', 'from 0 to 32'],
    ['::/129', 'from 0 to 128'],
    ['10.0.0.0/', 'from 0 to 32'],
    ['10.0.0.0/08', 'from 0 to 32'],
    ['10.0.0.0/-1', 'from 0 to 32'],
    ['10.0.0.0/8/8', 'from 0 to 32'],
    ['10.0.0.0/255.0.0.0', 'from 0 to 32'],
    ['10/8', 'write "0.0.0.10/8"'],
    ['0177.0.0.1', 'write "127.0.0.1"'],
    ['[::1]', 'write "::1"'],
    ['example.com', 'not an IP address'],
    ['', 'not an IP address'],
  ])('refuses %j and says why', (text, why) => {
    const error = (() => {
      try {
        return parseNetwork(text);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(SallyportError);
    expect((error as SallyportError).code).toBe('config_invalid');
    expect((error as SallyportError).message).toContain(why);
  });

  it('covers what ipaddr.js says it covers', () => {
    const near = fc.tuple(address, fc.nat(128), address, fc.boolean()).map(([base, length, other, isNear]) => {
      const bytes = bytesOf(base);
      const prefix = length % (bytes.length * 8 + 1);
      const tail = bytesOf(other);
      const mixed = bytes.map((byte, i) => (isNear && i * 8 < prefix ? byte : (tail[i] ?? 0)));
      return { network: `${formatIp(masked(bytes, prefix))}/${prefix}`, probe: isNear ? formatIp(mixed) : formatIp(tail) };
    });
    fc.assert(
      fc.property(near, ({ network, probe }) => {
        const oracle = ipaddr.parse(probe).kind() === ipaddr.parseCIDR(network)[0].kind() && ipaddr.parse(probe).match(ipaddr.parseCIDR(network));
        const parsed = parseNetwork(network);
        // A block inside ::ffff:0:0/96 is read as IPv4, and so has to be the probe.
        expect(networkCovers(parsed, parsed.bytes.length === 4 ? unmapped(bytesOf(probe)) : bytesOf(probe))).toBe(oracle);
      }),
      { numRuns: 2000 },
    );
  });

  it('knows when it names one address', () => {
    expect(namesOneAddress(parseNetwork('10.0.0.1/32'))).toBe(true);
    expect(namesOneAddress(parseNetwork('::1/128'))).toBe(true);
    expect(namesOneAddress(parseNetwork('10.0.0.0/31'))).toBe(false);
    expect(namesOneAddress(networkOf(bytesOf('::ffff:1.2.3.4')))).toBe(true);
  });
});
