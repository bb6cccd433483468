import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { describe, expect, test } from 'vitest';
import {
  type ClientAuthority,
  clientAuthority,
  type Issued,
  SERVER_AUTHENTICATION,
  selfSigned,
  type Wanted,
} from './client-authority.test.support.js';
import { ClientTrust } from './client-trust.js';
import { readRevocationList, revocationListsIn } from './revocation-list.js';

const NOW = Date.now();
const HOUR = 3_600_000;

async function trust(authorities: readonly ClientAuthority[], lists: readonly string[] = []): Promise<ClientTrust> {
  const all = authorities.map((one) => one.x509);
  return new ClientTrust(
    all,
    lists.flatMap((text) => revocationListsIn(Buffer.from(text))).map((der) => readRevocationList(der, all, NOW)),
  );
}

const fault = (under: ClientTrust, leaf: Issued, sent: readonly Issued[] = [], now = NOW): string | null => {
  const verdict = under.verify(
    leaf.x509,
    sent.map((one) => one.x509),
    now,
  );
  return 'fault' in verdict ? verdict.fault : null;
};

describe('a certificate without a handshake', () => {
  test('is good for as long as every part of its chain', async () => {
    const root = await clientAuthority('Root');
    const middle = await root.intermediate('Middle');
    const leaf = await middle.issue({ until: 2 * HOUR });
    expect((await trust([root])).verify(leaf.x509, [middle.x509], NOW)).toEqual({ validUntil: Date.parse(leaf.x509.validTo) });
    const lists = [await root.list([], { until: HOUR }), await middle.list([], { until: HOUR / 2 })];
    const verdict = (await trust([root, middle], lists)).verify(leaf.x509, [], NOW) as { validUntil: number };
    expect(verdict.validUntil).toBeGreaterThan(NOW + HOUR / 2 - 10_000);
    expect(verdict.validUntil).toBeLessThan(NOW + HOUR / 2 + 10_000);
  });

  test.each<[string, RegExp, Wanted]>([
    ['that has expired', /^it has expired/, { from: -2 * HOUR, until: -HOUR }],
    ['that is not valid yet', /^it is not valid yet/, { from: HOUR }],
    ['for servers', /^it is not for client authentication/, { purposes: [SERVER_AUTHENTICATION] }],
    ['whose key may not sign', /^its key usage/, { extensions: [new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyEncipherment, true)] }],
    [
      'with a critical extension that nobody knows',
      /critical extension.*1\.2\.3\.4/,
      { extensions: [new x509.Extension('1.2.3.4', true, new Uint8Array([5, 0]))] },
    ],
  ])('%s is refused', async (_, message, wanted) => {
    const root = await clientAuthority('Root');
    expect(fault(await trust([root]), await root.issue(wanted))).toMatch(message);
  });

  test.each<[string, Wanted]>([
    ['without purposes', { purposes: [] }],
    ['with a key that may sign', { extensions: [new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true)] }],
    ['with an extension that nobody needs to know', { extensions: [new x509.Extension('1.2.3.4', false, new Uint8Array([5, 0]))] }],
  ])('%s is fine', async (_, wanted) => {
    const root = await clientAuthority('Root');
    expect(fault(await trust([root]), await root.issue(wanted))).toBeNull();
  });

  test('of somebody else is refused, also when the names are the same', async () => {
    const [root, other] = await Promise.all([clientAuthority('Root'), clientAuthority('Root')]);
    const under = await trust([root]);
    expect(fault(under, await other.issue())).toMatch(/not signed by an authority/);
    expect(fault(under, await other.issue(), [other])).toMatch(/not signed by an authority/);
    expect(fault(under, await selfSigned('Root'))).toMatch(/not signed by an authority/);
    const middle = await other.intermediate('Middle');
    expect(fault(under, await middle.issue(), [middle, other])).not.toBeNull();
  });

  test('that is signed by a client is refused', async () => {
    const root = await clientAuthority('Root');
    // Anyone can make an authority of the name of a client, but not one that the root has signed.
    const client = await root.issue({ subject: [{ CN: ['Middle'] }] });
    const fake = await clientAuthority('Middle');
    expect(fault(await trust([root]), await fake.issue(), [client, fake])).not.toBeNull();
  });

  test('below a chain that is too long for one of its authorities is refused', async () => {
    const root = await clientAuthority('Root');
    const upper = await root.intermediate('Upper', 0);
    const lower = await upper.intermediate('Lower');
    const under = await trust([root]);
    expect(fault(under, await upper.issue(), [upper])).toBeNull();
    expect(fault(under, await lower.issue(), [upper, lower])).toMatch(/longer/);
  });

  test('is judged in bounded time however many authorities of one name there are', async () => {
    const root = await clientAuthority('Root');
    const rings = await Promise.all(Array.from({ length: 16 }, () => clientAuthority('Ring')));
    expect(fault(await trust([root]), await rings[0].issue(), rings)).not.toBeNull();
  });
});

describe('revocation', () => {
  test('of a client or of an intermediate counts, and every authority in the chain needs a list', async () => {
    const root = await clientAuthority('Root');
    const middle = await root.intermediate('Middle');
    const [good, bad] = await Promise.all([middle.issue(), middle.issue()]);
    const under = await trust([root, middle], [await root.list(), await middle.list([bad])]);
    expect(fault(under, good)).toBeNull();
    expect(fault(under, bad)).toBe('it is revoked');
    expect(fault(under, good, [], NOW + 3 * HOUR)).toMatch(/expired/);
    const without = await trust([root, middle], [await root.list()]);
    expect(fault(without, good)).toMatch(/no revocation list/);
    const above = await trust([root, middle], [await root.list([middle]), await middle.list()]);
    expect(fault(above, good)).toBe('it is revoked');
  });

  test('lists are read from PEM with several of them, and from DER', async () => {
    const root = await clientAuthority('Root');
    const [one, two] = await Promise.all([root.issue(), root.issue()]);
    const pem = `${await root.list([one])}text between\n${await root.list([two])}`;
    const lists = revocationListsIn(Buffer.from(pem));
    expect(lists).toHaveLength(2);
    expect(revocationListsIn(lists[0])).toEqual([lists[0]]);
    expect(revocationListsIn(Buffer.from('nothing'))).toEqual([]);
    const read = readRevocationList(lists[0], [root.x509], NOW);
    expect([...read.revoked]).toEqual([one.serial]);
    expect(revocationListsIn(Buffer.from(read.pem))).toEqual([lists[0]]);
  });

  test.each<[string, RegExp, (root: ClientAuthority) => Promise<Buffer>]>([
    ['signed by somebody else', /none of the authorities/, async () => der(await (await clientAuthority('Root')).list())],
    ['that has expired', /has expired/, async (root) => der(await root.list([], { from: -2 * HOUR, until: -HOUR }))],
    ['that is not in force yet', /not in force before/, async (root) => der(await root.list([], { from: HOUR, until: 2 * HOUR }))],
    [
      'that is partial',
      /partial or indirect/,
      async (root) => der(await root.list([], { extensions: [new x509.Extension('2.5.29.27', true, new Uint8Array([2, 1, 1]))] })),
    ],
    ['that is cut short', /damaged/, async (root) => der(await root.list()).subarray(0, 50)],
    ['with something behind it', /damaged/, async (root) => Buffer.concat([der(await root.list()), Buffer.of(5, 0)])],
    ['that is something else', /damaged/, async (root) => root.x509.raw.subarray(0, 4)],
  ])('a list %s is refused', async (_, message, make) => {
    const root = await clientAuthority('Root');
    const list = await make(root);
    expect(() => readRevocationList(list, [root.x509], NOW)).toThrow(message);
  });

  test('a list with any bit changed is refused', async () => {
    const root = await clientAuthority('Root');
    const list = der(await root.list([await root.issue()]));
    for (let at = 0; at < list.length; at++) {
      const changed = Buffer.from(list);
      changed[at] ^= 1 << (at % 8);
      let read: ReadonlySet<string> | null = null;
      try {
        read = readRevocationList(changed, [root.x509], NOW).revoked;
      } catch (error) {
        expect((error as Error).message).toMatch(/^holds a /);
      }
      // Only the unused-bits octet and the form of the signature are outside of what is signed.
      if (read !== null) expect(read).toEqual(readRevocationList(list, [root.x509], NOW).revoked);
    }
  });
});

function der(pem: string): Buffer {
  return revocationListsIn(Buffer.from(pem))[0];
}
