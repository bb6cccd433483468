import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { removeTemporaryDirectories, temporaryDirectory } from '../../testing/temporary-directory.test.support.js';
import { clientAuthority } from './client-authority.test.support.js';
import { readListenerTls, type TlsFiles } from './listener-tls.js';

afterEach(removeTemporaryDirectories);

const PLACE = 'gateway.listeners.sidecar.tls';
const HOUR = 3_600_000;

/** Files that are fine, and the way to write more. */
async function files() {
  const directory = await temporaryDirectory();
  const authority = await clientAuthority('Clients');
  const own = await authority.issue({ subject: [{ CN: ['gateway'] }] });
  const write = async (name: string, content: string | Uint8Array): Promise<string> => {
    await writeFile(join(directory, name), content);
    return join(directory, name);
  };
  const good: TlsFiles = { cert: await write('server.crt', own.cert), key: await write('server.key', own.key) };
  return { authority, own, write, good, ca: await write('ca.crt', authority.cert) };
}

test('reads what fits together', async () => {
  const { authority, own, good, ca, write } = await files();
  expect(await readListenerTls(good, PLACE)).toEqual({ cert: own.cert, key: own.key, trust: null });
  const other = await clientAuthority('Others');
  const mutual = await readListenerTls({ ...good, client_ca: [ca, await write('other.crt', other.cert)] }, PLACE);
  expect(mutual.trust?.ca).toHaveLength(2);
  expect(mutual.trust?.crl).toEqual([]);
  const list = await write('a.crl', (await authority.list()) + (await authority.list()));
  expect((await readListenerTls({ ...good, client_ca: [ca], crl: [list] }, PLACE)).trust?.crl).toHaveLength(2);
});

type Files = Awaited<ReturnType<typeof files>>;

test.each<[string, RegExp, (have: Files) => Promise<TlsFiles>]>([
  ['a file that is not there', /tls\.cert` cannot be read \(ENOENT\)/, async ({ good }) => ({ ...good, cert: '/nowhere/x' })],
  ['a file that is too large', /is larger than 1 MiB/, async ({ good, write }) => ({ ...good, key: await write('x', Buffer.alloc(1_048_577)) })],
  ['no certificate', /tls\.cert` holds no PEM certificate/, async ({ good }) => ({ ...good, cert: good.key })],
  [
    'a damaged one',
    /holds a damaged certificate, number 2/,
    async ({ good, own, write }) => ({
      ...good,
      cert: await write('x', `${own.cert}-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n`),
    }),
  ],
  ['no key', /tls\.key` holds no private key/, async ({ good }) => ({ ...good, key: good.cert })],
  [
    'an encrypted key',
    /is encrypted/,
    async ({ good, write }) => ({
      ...good,
      key: await write('x', '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n'),
    }),
  ],
  [
    'the key of another',
    /is not the key of the certificate in/,
    async ({ good, authority, write }) => ({ ...good, key: await write('x', (await authority.issue()).key) }),
  ],
  [
    'a certificate that has expired',
    /has expired \(20/,
    async ({ authority, write }) => {
      const { cert, key } = await authority.issue({ from: -2 * HOUR, until: -HOUR });
      return { cert: await write('c', cert), key: await write('k', key) };
    },
  ],
  [
    'a certificate that is not valid yet',
    /is not valid before 20/,
    async ({ authority, write }) => {
      const { cert, key } = await authority.issue({ from: HOUR });
      return { cert: await write('c', cert), key: await write('k', key) };
    },
  ],
  [
    'a client in place of an authority',
    /client_ca` holds a certificate that is no authority, number 1/,
    async ({ good }) => ({ ...good, client_ca: [good.cert] }),
  ],
  [
    'an intermediate alone',
    /holds no root/,
    async ({ good, authority, write }) => ({ ...good, client_ca: [await write('m', (await authority.intermediate('Middle')).cert)] }),
  ],
  ['no list', /crl` holds no revocation list/, async ({ good, ca }) => ({ ...good, client_ca: [ca], crl: [ca] })],
  [
    'an authority without a list',
    /holds no revocation list of the authority with the fingerprint/,
    async ({ good, ca, authority, write }) => ({
      ...good,
      client_ca: [ca, await write('o', (await clientAuthority('Others')).cert)],
      crl: [await write('l', await authority.list())],
    }),
  ],
])('refuses %s, and says which file', async (_, message, make) => {
  const have = await files();
  const failure = await readListenerTls(await make(have), PLACE).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'tls_files_invalid', message: expect.stringMatching(message) });
  expect(`${(failure as Error).message}${String((failure as Error).cause)}`).not.toContain(have.own.key.split('\n')[1]);
});
