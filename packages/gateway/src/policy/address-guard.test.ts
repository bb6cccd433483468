import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { judgeAddress } from './address-guard.js';
import { formatIp, parseIp } from './ip-address.js';
import { type Network, parseNetwork } from './network.js';

const NONE: readonly Network[] = [];

function permits(...texts: readonly string[]): readonly Network[] {
  return texts.map(parseNetwork);
}

function hex(ipv4: string): string {
  const [a, b, c, d] = ipv4.split('.').map(Number);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

function inverted(ipv4: string): string {
  return ipv4
    .split('.')
    .map((part) => 255 - Number(part))
    .join('.');
}

/** Every IPv6 form that carries an IPv4 address, but the mapped one. */
const FORMS: Readonly<Record<string, (ipv4: string) => string>> = {
  compatible: (ipv4) => `::${hex(ipv4)}`,
  translated: (ipv4) => `::ffff:0:${hex(ipv4)}`,
  nat64: (ipv4) => `64:ff9b::${hex(ipv4)}`,
  nat64Local: (ipv4) => `64:ff9b:1::${hex(ipv4)}`,
  sixToFour: (ipv4) => `2002:${hex(ipv4)}::1`,
  teredoClient: (ipv4) => `2001:0:808:808:0:0:${hex(inverted(ipv4))}`,
  teredoServer: (ipv4) => `2001:0:${hex(ipv4)}:0:0:${hex(inverted('8.8.8.8'))}`,
  isatap: (ipv4) => `2a00:1450:4001:800:0:5efe:${hex(ipv4)}`,
  isatapGlobal: (ipv4) => `2a00:1450:4001:800:200:5efe:${hex(ipv4)}`,
};
const formName = fc.constantFrom(...Object.keys(FORMS));

const CLASSES: Readonly<Record<string, readonly string[]>> = {
  global: [
    '8.8.8.8',
    '1.1.1.1',
    '100.63.255.255',
    '100.128.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.0.1.0',
    '2606:4700::1111',
    '2a00:1450::1',
    '::ffff:8.8.8.8',
  ],
  unspecified: ['0.0.0.0', '::', '::ffff:0.0.0.0'],
  loopback: ['127.0.0.1', '127.255.255.255', '::1', '::ffff:127.0.0.1'],
  private: ['10.0.0.1', '172.16.0.0', '172.31.255.255', '192.168.1.1', 'fc00::1', 'fd12:3456::1', '::ffff:192.168.1.1'],
  'link-local': ['169.254.0.1', 'fe80::1', 'febf::1', 'fec0::1', 'feff::1'],
  metadata: [
    '169.254.169.254',
    '169.254.170.2',
    '169.254.170.23',
    '168.63.129.16',
    '100.100.100.200',
    '192.0.0.192',
    'fd00:ec2::254',
    'fd20:ce::254',
    'fe80::a9fe:a9fe',
    '::ffff:169.254.169.254',
  ],
  cgnat: ['100.64.0.0', '100.127.255.255'],
  multicast: ['224.0.0.1', '239.255.255.255', 'ff02::1'],
  broadcast: ['255.255.255.255'],
  reserved: [
    '0.0.0.1',
    '0.255.255.255',
    '192.0.0.1',
    '192.88.99.1',
    '240.0.0.1',
    '100::1',
    '5f00::1',
    '2001:1::1',
    '4000::1',
    '::1:0:0:0',
    '64:ff9b:2::1',
  ],
  benchmark: ['198.18.0.0', '198.19.255.255', '2001:2::1'],
  documentation: ['192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '3fff::1', '3fff:fff:ffff::1'],
  invalid: ['', 'localhost', '127.1', '[::1]', 'fe80::1%eth0', '1.2.3.4.5'],
};

describe('judgeAddress without permits', () => {
  it.each(Object.entries(CLASSES).flatMap(([name, addresses]) => addresses.map((address) => [address, name] as const)))(
    'sees %j as %s',
    (address, name) => {
      const verdict = judgeAddress(address, NONE);
      expect(verdict.class).toBe(name);
      expect(verdict.allowed).toBe(name === 'global');
    },
  );

  it('allows no address that ipaddr.js knows as special', () => {
    const open = new Set(['unicast', 'as112', 'as112v6', 'amt']);
    // The first bytes of every special block and of its neighbours, so that a random tail lands inside and beside them.
    const edges = [
      '0',
      '10',
      '100.63',
      '100.64',
      '100.127',
      '100.128',
      '127',
      '169.253',
      '169.254',
      '172.15',
      '172.16',
      '172.31',
      '172.32',
      '192.0.0',
      '192.0.2',
      '192.31.196',
      '192.52.193',
      '192.88.99',
      '192.168',
      '192.175.48',
      '198.17',
      '198.18',
      '198.19',
      '198.20',
      '198.51.100',
      '203.0.113',
      '223',
      '224',
      '239',
      '240',
      '255.255.255',
    ];
    const ipv4 = fc.tuple(fc.constantFrom('', ...edges), fc.ipV4()).map(([edge, tail]) => {
      const head = edge === '' ? [] : edge.split('.');
      return [...head, ...tail.split('.').slice(head.length)].join('.');
    });
    fc.assert(
      fc.property(ipv4, (address) => {
        const isOpen = open.has(ipaddr.parse(address).range());
        const verdict = judgeAddress(address, NONE);
        expect(verdict.allowed).toBe(isOpen && verdict.class !== 'metadata');
      }),
      { numRuns: 3000 },
    );
    const groups = [
      '',
      '64:ff9b:',
      '64:ff9b:1:',
      '100:',
      '2001:',
      '2001:0:',
      '2001:2:',
      '2001:4:112:',
      '2001:10:',
      '2001:20:',
      '2001:db8:',
      '2001:200:',
      '2002:',
      '2620:4f:8000:',
      '3ffe:',
      '3fff:',
      '5f00:',
      'fc00:',
      'fd00:',
      'fe80:',
      'fec0:',
      'ff02:',
    ];
    const ipv6 = fc.tuple(fc.constantFrom(...groups), fc.ipV6()).map(([head, tail]) => {
      const own = head.split(':').filter((group) => group !== '');
      const rest = ipaddr.IPv6.parse(tail)
        .parts.slice(own.length)
        .map((part) => part.toString(16));
      return [...own, ...rest].join(':');
    });
    fc.assert(
      fc.property(ipv6, (address) => {
        const parsed = ipaddr.IPv6.parse(address);
        const isMapped = parsed.isIPv4MappedAddress();
        const isOpen = open.has(isMapped ? parsed.toIPv4Address().range() : parsed.range());
        const verdict = judgeAddress(address, NONE);
        if (!isOpen) expect(verdict.allowed).toBe(false);
        // The other way round only where the Internet is: ipaddr.js calls everything unassigned unicast.
        else if (!isMapped && parsed.match(ipaddr.IPv6.parse('2000::'), 3) && parsed.range() === 'unicast')
          expect(verdict).toEqual({ allowed: true, class: 'global' });
      }),
      { numRuns: 3000 },
    );
  });

  it('judges a mapped address exactly as the IPv4 address in it', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        for (const networks of [NONE, permits('10.0.0.0/8', '0.0.0.0/1')]) {
          expect(judgeAddress(`::ffff:${address}`, networks)).toEqual(judgeAddress(address, networks));
        }
      }),
    );
  });

  it('denies every other form that carries an IPv4 address, global ones included', () => {
    fc.assert(
      fc.property(formName, fc.ipV4(), (form, address) => {
        const verdict = judgeAddress(FORMS[form](address), NONE);
        const inner = judgeAddress(address, NONE);
        expect(verdict.allowed).toBe(false);
        // `::` and `::1` are addresses in their own right.
        if (form === 'compatible' && (address === '0.0.0.0' || address === '0.0.0.1')) return;
        expect(verdict.class).toBe(inner.allowed ? 'embedded' : inner.class);
      }),
    );
  });

  it.each(Object.keys(FORMS))('names the form and the class for %s', (form) => {
    const verdict = judgeAddress(FORMS[form]('10.1.2.3'), NONE);
    expect(verdict).toMatchObject({
      allowed: false,
      class: 'private',
      reason: expect.stringMatching(/form of a private address \(10\.0\.0\.0\/8\)$/),
    });
  });

  it('does not tell the address in the reason', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        const verdict = judgeAddress(address, NONE);
        const network = /\(([^)]*)\)/.exec('reason' in verdict ? verdict.reason : '')?.[1] ?? '';
        if (!verdict.allowed && !network.startsWith(formatIp(parseIp(address) as Uint8Array))) expect(verdict.reason).not.toContain(address);
      }),
    );
  });
});

describe('judgeAddress with permits', () => {
  it('allows what a permit covers, and keeps the class', () => {
    expect(judgeAddress('10.1.2.3', permits('10.0.0.0/8'))).toEqual({ allowed: true, class: 'private' });
    expect(judgeAddress('::ffff:10.1.2.3', permits('10.0.0.0/8'))).toEqual({ allowed: true, class: 'private' });
    expect(judgeAddress('10.1.2.3', permits('::ffff:10.0.0.0/104'))).toEqual({ allowed: true, class: 'private' });
    expect(judgeAddress('127.0.0.1', permits('127.0.0.1'))).toEqual({ allowed: true, class: 'loopback' });
    expect(judgeAddress('11.1.2.3', permits('10.0.0.0/8'))).toEqual({ allowed: true, class: 'global' });
    expect(judgeAddress('192.168.1.1', permits('10.0.0.0/8')).allowed).toBe(false);
    expect(judgeAddress('::1', permits('127.0.0.0/8')).allowed).toBe(false);
    expect(judgeAddress('fd00::1', permits('0.0.0.0/0')).allowed).toBe(false);
    expect(judgeAddress('::ffff:10.1.2.3', permits('::/0')).allowed).toBe(false);
  });

  it.each(CLASSES.metadata)('lets %s be reached only by a permit that names it', (address) => {
    expect(judgeAddress(address, permits('0.0.0.0/0', '::/0', '169.254.0.0/16', '169.254.169.254/31', 'fd00:ec2::/32', 'fd00::/8')).allowed).toBe(
      false,
    );
    expect(judgeAddress(address, permits(address))).toEqual({ allowed: true, class: 'metadata' });
  });

  it('wants both the form and what it carries to be permitted', () => {
    fc.assert(
      fc.property(formName, fc.constantFrom('10.1.2.3', '127.0.0.1', '192.0.2.1'), (form, inner) => {
        const address = FORMS[form](inner);
        expect(judgeAddress(address, permits(`${inner}/32`)).allowed).toBe(false);
        expect(judgeAddress(address, permits('::/0')).allowed).toBe(false);
        expect(judgeAddress(address, permits('::/0', `${inner}/32`))).toEqual({ allowed: true, class: 'embedded' });
        expect(judgeAddress(address, permits(address))).toEqual({ allowed: true, class: 'embedded' });
      }),
    );
  });

  it('lets the form of a global address be permitted by its network', () => {
    expect(judgeAddress('64:ff9b::808:808', permits('64:ff9b::/96'))).toEqual({ allowed: true, class: 'embedded' });
    expect(judgeAddress('64:ff9b::808:808', permits('2002::/16')).allowed).toBe(false);
    expect(judgeAddress('64:ff9b::a9fe:a9fe', permits('64:ff9b::/96', '169.254.0.0/16'))).toMatchObject({ allowed: false, class: 'metadata' });
    expect(judgeAddress('fe80::5efe:808:808', permits('2000::/3'))).toMatchObject({ allowed: false, class: 'link-local' });
  });

  it('never denies with more permits what it allows with fewer', () => {
    const network = fc.constantFrom('10.0.0.0/8', '0.0.0.0/0', '::/0', '64:ff9b::/96', '169.254.169.254', '::1', '127.0.0.0/8').map(parseNetwork);
    const address = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom(...Object.values(CLASSES).flat()),
      fc.tuple(formName, fc.ipV4()).map(([form, ipv4]) => FORMS[form](ipv4)),
    );
    fc.assert(
      fc.property(address, fc.array(network), network, (text, some, more) => {
        if (judgeAddress(text, some).allowed) expect(judgeAddress(text, [more, ...some]).allowed).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
