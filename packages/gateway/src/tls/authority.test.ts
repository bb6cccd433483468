import 'reflect-metadata';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import * as x509 from '@peculiar/x509';
import type { SallyportError } from '@sallyport/sdk';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { exportCertificate, openAuthority, regenerateAuthority } from './authority.js';
import { keyIdentifier } from './certificate-fields.js';
import { compileTls } from './compiled-sources.test.support.js';
import { certificatePem } from './pem.js';
import { generateRoot, type Root } from './root-certificate.js';

const HOUR = 3_600_000;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

let base: string;
let dir: string;
let count = 0;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'sallyport-authority-'));
});
beforeEach(() => {
  dir = join(base, `${++count}`, 'ca');
});
afterAll(() => rm(base, { recursive: true, force: true }));

const certificateFile = (): string => join(dir, 'ca.crt');
const keyFile = (): string => join(dir, 'ca.key');
const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

/** What opening throws; fails when it does not. */
async function refusal(create = true): Promise<SallyportError> {
  return openAuthority({ dir, create }).then(
    () => expect.unreachable('the authority was opened'),
    (error: unknown) => error as SallyportError,
  );
}

async function put(certificate: string | undefined, key: string | undefined): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if (certificate !== undefined) await writeFile(certificateFile(), certificate);
  if (key !== undefined) await writeFile(keyFile(), key, { mode: 0o600 });
}

describe('a new authority', () => {
  test('is made when both files are missing, for the owner only', async () => {
    const authority = await openAuthority({ dir, create: true });
    expect(await readdir(dir)).toEqual(['ca.crt', 'ca.key']);
    expect(await mode(dir)).toBe(0o700);
    expect(await mode(keyFile())).toBe(0o600);
    expect(authority.certificatePath).toBe(certificateFile());
    expect(await readFile(certificateFile(), 'utf8')).toBe(authority.certificatePem);
    expect(await readFile(keyFile(), 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  });

  test('is a root for ten years that signs leaves only', async () => {
    const before = Date.now();
    const { certificate, notBefore, notAfter, key } = await openAuthority({ dir, create: true });
    const after = Date.now();
    const parsed = new x509.X509Certificate(certificate.raw);
    const keyId = keyIdentifier(key).toString('hex');

    expect(parsed.subject).toBe(`O=Sallyport, CN=Sallyport CA ${keyId.slice(0, 8)}`);
    expect(parsed.issuer).toBe(parsed.subject);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(parsed.serialNumber).toMatch(/^[4-7][0-9a-f]{31}$/);
    expect(notBefore).toBeGreaterThan(before - HOUR - 1000);
    expect(notBefore).toBeLessThanOrEqual(after - HOUR);
    expect(notAfter - notBefore).toBe(3650 * 24 * HOUR + HOUR);

    const constraints = parsed.getExtension(x509.BasicConstraintsExtension);
    expect(constraints).toMatchObject({ ca: true, pathLength: 0, critical: true });
    const usage = parsed.getExtension(x509.KeyUsagesExtension);
    expect(usage).toMatchObject({ critical: true, usages: x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign });
    expect(parsed.getExtension(x509.SubjectKeyIdentifierExtension)).toMatchObject({ critical: false, keyId });
    expect(key.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
  });

  test('is opened again as it is', async () => {
    const first = await openAuthority({ dir, create: true });
    const second = await openAuthority({ dir, create: false });
    expect(second.certificatePem).toBe(first.certificatePem);
    expect(second.key.equals(first.key)).toBe(true);
  });

  test('shows no key when printed', async () => {
    const authority = await openAuthority({ dir, create: true });
    const secret = (await readFile(keyFile(), 'utf8')).split('\n')[1];
    expect(`${inspect(authority, { depth: 9, showHidden: true })}${JSON.stringify(authority)}`).not.toContain(secret);
  });

  test('is not made unless asked for', async () => {
    expect(await refusal(false)).toMatchObject({ code: 'authority_invalid', message: `There is no certificate authority in ${dir}.` });
    await mkdir(dir, { recursive: true, mode: 0o700 });
    expect(await refusal(false)).toMatchObject({ code: 'authority_invalid' });
    expect(await readdir(dir)).toEqual([]);
  });

  test.skipIf(spawnSync('openssl', ['version']).status !== 0)('is accepted by openssl in strict mode', async () => {
    const { certificatePath } = await openAuthority({ dir, create: true });
    const output = execFileSync('openssl', ['verify', '-x509_strict', '-no-CApath', '-no-CAstore', '-CAfile', certificatePath, certificatePath], {
      encoding: 'utf8',
    });
    expect(output).toContain('OK');
  });
});

describe('half of an authority', () => {
  test.each([
    ['ca.crt', 'ca.key'],
    ['ca.key', 'ca.crt'],
  ])('%s missing is said, and nothing is made', async (missing, other) => {
    await openAuthority({ dir, create: true });
    const kept = await readFile(join(dir, other), 'utf8');
    await rm(join(dir, missing));
    const error = await refusal();
    expect(error.code).toBe('authority_invalid');
    expect(error.message).toBe(`${join(dir, other)} is there, but ${join(dir, missing)} is missing.`);
    expect(error.hint).toContain('sallyport ca regenerate --confirm');
    expect(await readdir(dir)).toEqual([other]);
    expect(await readFile(join(dir, other), 'utf8')).toBe(kept);
  });
});

describe('an authority that cannot be used', () => {
  let good: Root;
  beforeAll(async () => {
    good = await generateRoot();
  });

  /** A certificate and its key with one thing different from what is asked of a root. */
  async function made(change: { notBefore?: Date; notAfter?: Date; ca?: boolean; issuedBy?: webcrypto.CryptoKeyPair }): Promise<[string, string]> {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.create(
      {
        subject: 'CN=odd',
        issuer: change.issuedBy === undefined ? 'CN=odd' : 'CN=above',
        publicKey: keys.publicKey,
        signingKey: (change.issuedBy ?? keys).privateKey,
        signingAlgorithm: ALGORITHM,
        notBefore: change.notBefore ?? new Date(Date.now() - HOUR),
        notAfter: change.notAfter ?? new Date(Date.now() + HOUR),
        extensions: [new x509.BasicConstraintsExtension(change.ca ?? true, undefined, true)],
      },
      webcrypto,
    );
    const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
    return [certificatePem(Buffer.from(certificate.rawData)), `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`];
  }

  test('nothing is wrong with the way these are made', async () => {
    await put(...(await made({})));
    expect((await openAuthority({ dir, create: false })).certificate.subject).toBe('CN=odd');
  });

  test.each<[string, RegExp, () => Promise<[string, string]>]>([
    ['expired', /ca\.crt expired on/, () => made({ notAfter: new Date(Date.now() - 60_000) })],
    ['not yet valid', /ca\.crt is not valid before/, () => made({ notBefore: new Date(Date.now() + 60_000) })],
    ['no authority', /ca\.crt is not one of an authority/, () => made({ ca: false })],
    ['not a root', /ca\.crt is not a root/, async () => made({ issuedBy: await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) })],
    ['an empty certificate', /ca\.crt must hold exactly one PEM certificate; it holds 0/, async () => ['', good.keyPem]],
    ['two certificates', /it holds 2/, async () => [good.certificatePem + good.certificatePem, good.keyPem]],
    ['damaged Base64', /ca\.crt cannot be read: it is damaged/, async () => [good.certificatePem.replace('MII', 'AAA'), good.keyPem]],
    ['an empty key', /ca\.key holds no private key/, async () => [good.certificatePem, '']],
    ['a damaged key', /ca\.key holds no private key/, async () => [good.certificatePem, good.keyPem.replace('MI', 'AA')]],
    ['an encrypted key', /must be an unencrypted PEM key/, async () => [good.certificatePem, encryptedKey()]],
    ['the key of another', /ca\.key is not the key of the certificate/, async () => [good.certificatePem, (await generateRoot()).keyPem]],
    ['an RSA key', /not an EC key on the curve P-256/, async () => [good.certificatePem, rsaKey()]],
  ])('%s', async (_, sentence, files) => {
    const [certificate, key] = await files();
    await put(certificate, key);
    const error = await refusal();
    expect(error.code).toBe('authority_invalid');
    expect(error.message).toMatch(sentence);
    expect(error.message).toContain(dir);
    expect(inspect(error)).not.toContain(key.split('\n')[1] || 'nothing to find');
    expect(await readFile(certificateFile(), 'utf8')).toBe(certificate);
    expect(await readFile(keyFile(), 'utf8')).toBe(key);
  });

  test('a directory that is a file', async () => {
    await mkdir(join(dir, '..'), { recursive: true });
    await writeFile(dir, '');
    expect(await refusal()).toMatchObject({ code: 'authority_invalid', message: expect.stringContaining(dir) });
    expect(await refusal(false)).toMatchObject({ code: 'authority_invalid', message: `${dir} is not a directory.` });
  });

  test('a key that is a directory', async () => {
    await put(good.certificatePem, undefined);
    await mkdir(keyFile(), { mode: 0o700 });
    expect(await refusal()).toMatchObject({ code: 'authority_invalid', message: `${keyFile()} cannot be read (EISDIR).` });
  });

  function encryptedKey(): string {
    return generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
    }).privateKey;
  }

  function rsaKey(): string {
    return generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    }).privateKey;
  }
});

describe('permissions', () => {
  test.each([0o640, 0o604, 0o620, 0o602, 0o644, 0o666])('a key with mode %o is refused', async (bits) => {
    await openAuthority({ dir, create: true });
    await chmod(keyFile(), bits);
    const error = await refusal();
    expect(error.code).toBe('authority_permissions');
    expect(error.message).toContain(`${keyFile()} (mode 0${bits.toString(8)})`);
    expect(error.hint).toContain(`chmod 600 ${keyFile()}`);
  });

  test.each([0o770, 0o720, 0o702, 0o777])('a directory with mode %o is refused, also before anything is made in it', async (bits) => {
    await mkdir(dir, { recursive: true });
    await chmod(dir, bits);
    expect(await refusal()).toMatchObject({ code: 'authority_permissions', hint: `Run: chmod 700 ${dir}` });
    expect(await readdir(dir)).toEqual([]);
    await expect(regenerateAuthority(dir)).rejects.toMatchObject({ code: 'authority_permissions' });
  });

  test.each([0o700, 0o500, 0o755, 0o750])('a directory with mode %o is fine', async (bits) => {
    const { certificatePem: expected } = await openAuthority({ dir, create: true });
    await chmod(dir, bits);
    await chmod(keyFile(), 0o400);
    expect((await openAuthority({ dir, create: true })).certificatePem).toBe(expected);
    await chmod(dir, 0o700);
  });
});

describe('regenerating', () => {
  test('replaces both halves', async () => {
    const old = await openAuthority({ dir, create: true });
    const fresh = await regenerateAuthority(dir);
    expect(fresh.certificate.subject).not.toBe(old.certificate.subject);
    expect(fresh.key.equals(old.key)).toBe(false);
    expect((await openAuthority({ dir, create: false })).certificatePem).toBe(fresh.certificatePem);
    expect(await readdir(dir)).toEqual(['ca.crt', 'ca.key']);
    expect(await mode(keyFile())).toBe(0o600);
  });

  test.each(['ca.crt', 'ca.key', 'neither'])('works where only one half or nothing is left: without %s', async (missing) => {
    await openAuthority({ dir, create: true });
    await rm(join(dir, missing), { force: true });
    if (missing === 'neither') await rm(dir, { recursive: true });
    const fresh = await regenerateAuthority(dir);
    expect((await openAuthority({ dir, create: false })).certificatePem).toBe(fresh.certificatePem);
  });
});

describe('a publication that was interrupted', () => {
  let root: Root;
  beforeEach(async () => {
    root = await generateRoot();
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await writeFile(`${certificateFile()}.${root.keyId}`, root.certificatePem);
  });

  test('before the key was there leaves nothing, and a new one is made', async () => {
    expect((await openAuthority({ dir, create: true })).certificatePem).not.toBe(root.certificatePem);
  });

  test.each([true, false])('after the key was there is finished by the next one to look (create: %s)', async (create) => {
    await put(undefined, root.keyPem);
    expect((await openAuthority({ dir, create })).certificatePem).toBe(root.certificatePem);
    expect(await readdir(dir)).toEqual(['ca.crt', 'ca.key']);
  });

  test('of a replacement before the new key was there leaves the old pair', async () => {
    const old = await generateRoot();
    await put(old.certificatePem, old.keyPem);
    expect((await openAuthority({ dir, create: false })).certificatePem).toBe(old.certificatePem);
  });

  test('of a replacement after the new key was there ends with the new pair', async () => {
    await put((await generateRoot()).certificatePem, root.keyPem);
    expect((await openAuthority({ dir, create: false })).certificatePem).toBe(root.certificatePem);
  });

  test('is not finished with a certificate of another key', async () => {
    const other = await generateRoot();
    await put(undefined, other.keyPem);
    expect(await refusal()).toMatchObject({ code: 'authority_invalid', message: expect.stringContaining('ca.crt is missing') });
    await rename(`${certificateFile()}.${root.keyId}`, `${certificateFile()}.${other.keyId}`);
    expect(await refusal()).toMatchObject({ code: 'authority_invalid', message: expect.stringContaining('is not the key of the certificate') });
  });
});

describe('export', () => {
  test('pem, der and der-base64 are the same certificate', async () => {
    const authority = await openAuthority({ dir, create: true });
    const [pem, der, base64] = (['pem', 'der', 'der-base64'] as const).map((format) => exportCertificate(authority, format));
    expect(pem.toString()).toBe(await readFile(certificateFile(), 'utf8'));
    expect(new X509Certificate(der).fingerprint256).toBe(authority.certificate.fingerprint256);
    expect(base64.toString()).toMatch(/^[A-Za-z0-9+/]+={0,2}\n$/);
    expect(Buffer.from(base64.toString(), 'base64').equals(der)).toBe(true);
  });
});

describe('several at once', () => {
  let build: string;

  beforeAll(async () => {
    build = join(base, 'build');
    await compileTls(build);
  });

  /** Runs `body` in a process that says `ready` first; it may use the two functions, `dir`, and `go`, kept once the process is sent a line. */
  async function start(body: string): Promise<{ process: ChildProcess; lines: AsyncIterator<string> }> {
    const program = `
      const { openAuthority, regenerateAuthority } = await import(${JSON.stringify(pathToFileURL(join(build, 'tls/authority.js')))});
      const dir = ${JSON.stringify(dir)};
      const go = new Promise((resolve) => process.stdin.once('data', resolve));
      console.log('ready');
      ${body}
      process.exit(0);`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    expect(await lines.next()).toMatchObject({ value: 'ready' });
    return { process: child, lines };
  }

  test('processes that start at once end with one authority', async () => {
    const body = 'await go; console.log((await openAuthority({ dir, create: true })).certificate.fingerprint256);';
    const children = await Promise.all([start(body), start(body), start(body)]);
    const exits = children.map((child) => once(child.process, 'exit'));
    for (const child of children) child.process.stdin?.write('go\n');
    const fingerprints = await Promise.all(children.map(async ({ lines }) => (await lines.next()).value as unknown));
    await Promise.all(exits);
    const { certificate } = await openAuthority({ dir, create: false });
    expect(fingerprints).toEqual(children.map(() => certificate.fingerprint256));
    expect(await readdir(dir)).toEqual(['ca.crt', 'ca.key']);
  });

  test('a process that is killed while it regenerates leaves a whole authority', async () => {
    await openAuthority({ dir, create: true });
    for (let round = 1; round <= 4; round++) {
      const child = await start('for (;;) { await regenerateAuthority(dir); console.log("done"); }');
      // It is somewhere in a later replacement, a different one each time, when the line arrives here.
      for (let i = 0; i < round; i++) await child.lines.next();
      child.process.kill('SIGKILL');
      await once(child.process, 'exit');
      const { certificate, key } = await openAuthority({ dir, create: false });
      expect(certificate.checkPrivateKey(key)).toBe(true);
    }
  });

  test('many that open a new one see the same', async () => {
    const opened = await Promise.all(Array.from({ length: 12 }, () => openAuthority({ dir, create: true })));
    expect(new Set(opened.map(({ certificate }) => certificate.fingerprint256)).size).toBe(1);
    expect(await readdir(dir)).toEqual(['ca.crt', 'ca.key']);
  });

  test('those that open it while it is replaced see the old one or the new one', async () => {
    const old = await openAuthority({ dir, create: true });
    let replaced = false;
    const replacement = regenerateAuthority(dir).finally(() => {
      replaced = true;
    });
    const seen = new Set<string>();
    while (!replaced) seen.add((await openAuthority({ dir, create: false })).certificatePem);
    const known = [old.certificatePem, (await replacement).certificatePem];
    expect(seen.size).toBeGreaterThan(0);
    expect([...seen].filter((pem) => !known.includes(pem))).toEqual([]);
  });
});
