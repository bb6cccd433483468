// What it costs to encrypt and decrypt through the keyring, next to AES-256-GCM of node:crypto with the same key, nonce and additional data. Prints one
// line of JSON.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { Secret } from '@sallyport/sdk';
import { migrate } from '../../packages/control/dist/database/migrate.js';
import { openDatabase } from '../../packages/control/dist/database/open-database.js';
import { associatedData } from '../../packages/control/dist/keys/envelope.js';
import { ensureGlobalKey } from '../../packages/control/dist/keys/global-key.js';
import { openKeyring } from '../../packages/control/dist/keys/keyring.js';
import { parseProviderConfig } from '../../packages/control/dist/keys/provider-config.js';
import { effort, nanosecondsOf, nanosecondsOfAsync } from './cpu-time.mjs';

const { short } = JSON.parse(process.argv[2] ?? '');
const database = openDatabase({ provider: 'sqlite', path: ':memory:' });
await migrate(database);
const keyring = openKeyring({ database, globalKey: { current: parseProviderConfig({ value: 'the material of the global key' }) }, env: {} });
await ensureGlobalKey(database, keyring);
const place = {
  table: 'connections',
  column: 'credentials',
  row: 'cxn_0198f1c2-0000-7000-8000-000000000000',
  namespace: 'root.t1',
  hosts: ['api.example.com'],
};
const version = await keyring.activeVersion(null);
const key = await keyring.dataKey(version.id);

const found = [];
for (const [size, bytes] of /** @type {const} */ ([
  ['100 bytes', 100],
  ['4 KB', 4096],
  ['64 KB', 65_536],
])) {
  const text = 'x'.repeat(bytes);
  const secret = new Secret(text);
  const envelope = await keyring.encrypt(place, secret, null);
  const plain = Buffer.from(text);
  const associated = associatedData(version.id, place);
  const sealed = seal(plain, associated);
  if ((await keyring.decrypt(place, envelope)).reveal() !== text || !open(sealed, associated).equals(plain)) throw new Error('it does not open');
  found.push({
    title: `encrypt ${size}`,
    nanoseconds: await nanosecondsOfAsync(() => keyring.encrypt(place, secret, null), effort(short)),
    peer: nanosecondsOf(() => void seal(plain, associated), effort(short)),
  });
  found.push({
    title: `decrypt ${size}`,
    nanoseconds: await nanosecondsOfAsync(() => keyring.decrypt(place, envelope), effort(short)),
    peer: nanosecondsOf(() => void open(sealed, associated), effort(short)),
  });
}
await database.close();
console.log(JSON.stringify(found));

/** @param {Buffer} plain @param {Buffer} associated */
function seal(plain, associated) {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(associated);
  return { nonce, body: Buffer.concat([cipher.update(plain), cipher.final()]), tag: cipher.getAuthTag() };
}

/** @param {ReturnType<typeof seal>} sealed @param {Buffer} associated */
function open({ nonce, body, tag }, associated) {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAAD(associated).setAuthTag(tag);
  return Buffer.concat([decipher.update(body), decipher.final()]);
}
