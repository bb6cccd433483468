import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { compileCertificateStorage } from './compiled-sources.test.support.js';
import { keepSelfSigned, selfSignedPaths } from './self-signed.js';
import { makeSelfSigned } from './self-signed-certificate.js';
import { loadCertificate, storeCertificate } from './stored-certificate.js';
import { ask, endScene, handshake, openTls, renewed, serve, shown, temporaryFolder } from './tls-scene.test.support.js';

const DAY = 24 * 3_600_000;
let dir: string;

beforeEach(async () => {
  dir = join(await temporaryFolder(), 'tls');
});
afterEach(async () => {
  vi.useRealTimers();
  await endScene();
});

const unexpected = ({ message }: Error): void => expect.fail(message);
const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('a certificate for development', () => {
  test('is made once, kept, and trusted by whoever has its public half', async () => {
    const { tls } = await openTls({ self_signed: { dir, domain: 'dev.example.com' } });
    const port = await serve(tls);
    const paths = selfSignedPaths(dir);
    const ca = await readFile(paths.certificate, 'utf8');
    expect(ca).not.toContain('PRIVATE');
    for (const servername of ['localhost', 'dev.example.com', '']) expect(await ask(await handshake(port, { servername, ca }))).toBe('hello');
    const { subjectaltname, asn1Curve } = await shown(port);
    expect(subjectaltname).toBe('DNS:dev.example.com, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1');
    expect(asn1Curve).toBe('prime256v1');
    expect([await mode(dir), await mode(paths.pair), await mode(paths.certificate)]).toEqual([0o700, 0o600, 0o644]);

    const { tls: again } = await openTls({ self_signed: { dir, domain: 'dev.example.com' } });
    expect((await shown(await serve(again))).fingerprint256).toBe(new X509Certificate(ca).fingerprint256);
  });

  test('has a subject and a serial number of its own', async () => {
    const [one, other] = (await Promise.all([makeSelfSigned(['localhost'], DAY), makeSelfSigned(['localhost'], DAY)])).map(
      ({ cert }) => new X509Certificate(cert),
    );
    expect(one?.subject).not.toBe(other?.subject);
    expect(one?.serialNumber).not.toBe(other?.serialNumber);
    expect(one?.ca).toBe(false);
  });

  test('is the same for processes that start at once', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => keepSelfSigned(dir, undefined, unexpected)));
    expect(new Set(all.map(({ leaf }) => leaf.fingerprint256)).size).toBe(1);
    expect((await readdir(dir)).sort()).toEqual(['self-signed.crt', 'self-signed.pem']);
  });

  test('is renewed before it ends, by a running service too', async () => {
    const { tls, troubles } = await openTls({ self_signed: { dir } });
    const port = await serve(tls);
    const before = await shown(port);
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.setSystemTime(Date.now() + 340 * DAY);
    const taken = renewed(tls);
    // Another service on the same folder finds that it is time.
    const sibling = await keepSelfSigned(dir, undefined, unexpected);
    await taken;
    const after = await shown(port);
    expect(after.fingerprint256).toBe(sibling.leaf.fingerprint256);
    expect(after.fingerprint256).not.toBe(before.fingerprint256);
    expect(troubles).toEqual([]);
  });

  test('is renewed by the daily look', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    const { tls } = await openTls({ self_signed: { dir } });
    const before = tls.context().cert;
    const taken = renewed(tls);
    vi.setSystemTime(Date.now() + 340 * DAY);
    vi.advanceTimersByTime(DAY);
    await taken;
    expect(tls.context().cert).not.toBe(before);
  });

  test('is made anew when it lacks a name, and when it is damaged', async () => {
    const paths = selfSignedPaths(dir);
    const first = await keepSelfSigned(dir, undefined, unexpected);
    const second = await keepSelfSigned(dir, 'dev.example.com', unexpected);
    expect(second.leaf.checkHost('dev.example.com')).toBe('dev.example.com');
    expect(second.leaf.fingerprint256).not.toBe(first.leaf.fingerprint256);
    await writeFile(paths.pair, 'damaged');
    const troubles: string[] = [];
    const third = await keepSelfSigned(dir, 'dev.example.com', ({ message }) => troubles.push(message));
    expect(troubles).toEqual([`The file ${paths.pair} holds no private key in PEM form (PKCS#8).`]);
    await chmod(paths.pair, 0o644);
    const fourth = await keepSelfSigned(dir, 'dev.example.com', ({ message }) => troubles.push(message));
    expect(troubles[1]).toContain('can be used by others');
    expect(fourth.leaf.fingerprint256).not.toBe(third.leaf.fingerprint256);
    expect(await readFile(paths.certificate, 'utf8')).toBe(fourth.pair.cert);
  });

  test.each(['', 'a b', 'https://a.example.com', '*.example.com', '1.2.3'])('is not made for the domain %j', async (domain) => {
    await expect(openTls({ self_signed: { dir, domain } })).rejects.toMatchObject({ code: 'server_tls_invalid' });
  });

  test('is not kept where others could exchange it', async () => {
    await mkdir(dir, { mode: 0o777 });
    await chmod(dir, 0o777);
    await expect(openTls({ self_signed: { dir } })).rejects.toMatchObject({ code: 'certificate_files_failed', hint: `Run: chmod 700 ${dir}` });
  });
});

describe('a process that is killed while it stores a certificate', () => {
  const steps = ['writeFile', 'sync', 'rename', 'folder'] as const;

  test.each(steps)('at the step %s leaves the old one or the new one, and no waste for ever', async (step) => {
    const build = await temporaryFolder();
    await compileCertificateStorage(build);
    await keepSelfSigned(dir, undefined, unexpected);
    const { pair: path } = selfSignedPaths(dir);
    const before = await loadCertificate(path);
    const after = await makeSelfSigned(['localhost'], DAY);
    await writeFile(join(build, 'after.json'), JSON.stringify(after));
    // Patched before the sources bind the functions.
    const script = `
      import fs from 'node:fs/promises';
      import { syncBuiltinESMExports } from 'node:module';
      import { readFileSync } from 'node:fs';
      const die = () => { process.kill(process.pid, 'SIGKILL'); return new Promise(() => {}); };
      const step = ${JSON.stringify(step)};
      const { open, rename } = fs;
      fs.rename = (...names) => (step === 'rename' ? die() : rename(...names));
      fs.open = async (path, ...rest) => {
        const file = await open(path, ...rest);
        if (step === 'folder' && path === ${JSON.stringify(dir)}) return die();
        if (String(path).startsWith(${JSON.stringify(path)}) && (step === 'writeFile' || step === 'sync')) file[step] = die;
        return file;
      };
      syncBuiltinESMExports();
      const { storeCertificate } = await import('./tls/stored-certificate.js');
      await storeCertificate(${JSON.stringify(path)}, JSON.parse(readFileSync('after.json', 'utf8')), { replace: true });
      console.log('stored');
    `;
    await writeFile(join(build, 'child.js'), script);
    const child: ChildProcess = spawn(process.execPath, ['child.js'], { cwd: build, stdio: 'inherit' });
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
    expect(signal).toBe('SIGKILL');

    const found = await loadCertificate(path);
    expect(found?.leaf.fingerprint256).toBe(step === 'folder' ? new X509Certificate(after.cert).fingerprint256 : before?.leaf.fingerprint256);
    const left = (await readdir(dir)).filter((name) => !['self-signed.crt', 'self-signed.pem'].includes(name));
    expect(left.length).toBe(step === 'folder' ? 0 : 1);
    // The next writer gets through, and what was left goes when it is old.
    await storeCertificate(path, after, { replace: true });
    const old = new Date(Date.now() - 2 * 3_600_000);
    for (const name of left) await utimes(join(dir, name), old, old);
    const kept = await keepSelfSigned(dir, undefined, unexpected);
    expect((await readdir(dir)).sort()).toEqual(['self-signed.crt', 'self-signed.pem']);
    expect(await readFile(selfSignedPaths(dir).certificate, 'utf8')).toBe(kept.pair.cert);
  });
});
