import { execFileSync, spawnSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { removeTemporaryDirectories, temporaryDirectory } from '../../testing/temporary-directory.test.support.js';
import { readRequest } from './certificate-request.js';
import { type DevelopmentOptions, makeDevelopmentCertificates } from './development-certificates.js';
import { type EnrollOptions, enroll } from './enroll.js';

const withoutOpenssl = spawnSync('openssl', ['version']).status !== 0;

let directory: string;
beforeEach(async () => {
  directory = join(await temporaryDirectory(), 'new', 'certs');
});
afterAll(removeTemporaryDirectories);

const at = (name: string): string => join(directory, name);
const read = (name: string): Promise<string> => readFile(at(name), 'utf8');
const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('enroll', () => {
  const make = (options: Partial<EnrollOptions> = {}) =>
    enroll({ domains: ['proxy.example.com', ' 10.1.2.3 '], commonName: 'sallyport', directory, force: false, ...options });

  test('makes a key and a request for it, for nobody else to read', async () => {
    expect(await make()).toEqual({
      keyPath: at('server.key'),
      csrPath: at('server.csr'),
      csr: await read('server.csr'),
      names: ['dns:proxy.example.com', 'ip:10.1.2.3'],
    });
    expect(await readdir(directory)).toEqual(['server.csr', 'server.key']);
    expect(await Promise.all([directory, at('server.key'), at('server.csr')].map(mode))).toEqual([0o750, 0o600, 0o600]);
    const key = await read('server.key');
    expect(key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect((await readRequest(await read('server.csr'))).publicKey.equals(createPublicKey(createPrivateKey(key)))).toBe(true);
  });

  test.skipIf(withoutOpenssl)('makes what openssl takes', async () => {
    const { csrPath, keyPath } = await make();
    const said = spawnSync('openssl', ['req', '-in', csrPath, '-verify', '-noout', '-subject', '-pubkey'], { encoding: 'utf8' });
    expect(said.status).toBe(0);
    expect(said.stdout).toContain('CN = sallyport');
    expect(said.stdout).toContain(execFileSync('openssl', ['pkey', '-in', keyPath, '-pubout'], { encoding: 'utf8' }).trim());
  });

  test.each(['server.key', 'server.csr'])('writes nothing where %s is', async (name) => {
    await mkdir(directory, { recursive: true });
    await writeFile(at(name), 'mine');
    await expect(make()).rejects.toMatchObject({ code: 'certificate_files_exist', message: expect.stringContaining(name) });
    expect(await readdir(directory)).toEqual([name]);
    expect(await read(name)).toBe('mine');
  });

  test('replaces both when that is meant', async () => {
    const first = await make();
    await chmod(at('server.key'), 0o644);
    const second = await make({ force: true });
    expect(second.csr).not.toBe(first.csr);
    expect(await read('server.csr')).toBe(second.csr);
    expect(await mode(at('server.key'))).toBe(0o600);
    expect((await readRequest(second.csr)).publicKey.equals(createPublicKey(createPrivateKey(await read('server.key'))))).toBe(true);
    expect(await readdir(directory)).toEqual(['server.csr', 'server.key']);
  });

  test('two at once end with one pair that fits', async () => {
    const outcomes = await Promise.allSettled([make(), make(), make()]);
    const lost = outcomes.filter(({ status }) => status === 'rejected');
    expect(lost.map((outcome) => (outcome as PromiseRejectedResult).reason as unknown)).toEqual(
      lost.map(() => expect.objectContaining({ code: 'certificate_files_exist' }) as unknown),
    );
    expect(lost).toHaveLength(2);
    expect((await readRequest(await read('server.csr'))).publicKey.equals(createPublicKey(createPrivateKey(await read('server.key'))))).toBe(true);
    expect(await readdir(directory)).toEqual(['server.csr', 'server.key']);
  });

  test('says which file cannot be written', async () => {
    await mkdir(join(directory, '..'), { recursive: true });
    await writeFile(directory, 'a file');
    await expect(make()).rejects.toMatchObject({
      code: 'certificate_files_failed',
      message: expect.stringContaining(`${directory} cannot be written`),
    });
  });

  test.each([[[]], [['*.example.com']]])('makes nothing for the names %j', async (domains) => {
    await expect(make({ domains })).rejects.toMatchObject({ code: 'certificate_name_invalid' });
    await expect(stat(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('certificates for trying it out', () => {
  const make = (options: Partial<DevelopmentOptions> = {}) =>
    makeDevelopmentCertificates({ directory, domains: ['proxy.test'], force: false, keepAuthorityKey: false, ...options });

  test('are an authority whose key is gone, a server and a client, each of its own name', async () => {
    const { names } = await make();
    expect(names).toEqual(['dns:localhost', 'ip:127.0.0.1', 'ip:::1', 'dns:proxy.test']);
    expect(await readdir(directory)).toEqual(['ca.crt', 'client.crt', 'client.key', 'server.crt', 'server.key']);
    for (const name of await readdir(directory)) expect(await mode(at(name))).toBe(0o600);
    const [ca, server, client] = (await Promise.all(['ca.crt', 'server.crt', 'client.crt'].map(read))).map((pem) => new X509Certificate(pem));
    expect(new Set([ca.subject, server.subject, client.subject]).size).toBe(3);
    expect(new Set([ca.serialNumber, server.serialNumber, client.serialNumber]).size).toBe(3);
    expect([ca.ca, server.ca, client.ca]).toEqual([true, false, false]);
    for (const each of [server, client]) expect(each.checkIssued(ca) && each.verify(ca.publicKey)).toBe(true);
    expect(server.checkPrivateKey(createPrivateKey(await read('server.key')))).toBe(true);
    expect(client.checkPrivateKey(createPrivateKey(await read('client.key')))).toBe(true);
    expect(server.checkHost('proxy.test')).toBe('proxy.test');
    expect(server.checkIP('::1')).toBe('::1');
  });

  test('speak mutual TLS 1.3 with each other, and with nobody else', async () => {
    await make();
    const ca = await read('ca.crt');
    const server = createServer(
      { ca, cert: await read('server.crt'), key: await read('server.key'), requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
      (socket) => socket.end(String(socket.getPeerCertificate().subject.CN)),
    );
    onTestFinished(() => void server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const attempt = (options: { cert?: string; key?: string }) =>
      new Promise<string>((resolve, reject) => {
        const client = connect({ port, ca, servername: 'localhost', ...options });
        client.once('data', (bytes: Buffer) => {
          client.destroy();
          resolve(bytes.toString());
        });
        client.once('error', reject);
        client.once('close', () => reject(new Error('closed')));
      });
    expect(await attempt({ cert: await read('client.crt'), key: await read('client.key') })).toBe('test-client');
    await expect(attempt({})).rejects.toThrow(/alert|reset|closed/i);
    await expect(attempt({ cert: await read('server.crt'), key: await read('server.key') })).rejects.toThrow(/alert|reset|closed/i);
  });

  test.skipIf(withoutOpenssl)('are accepted by openssl in strict mode', async () => {
    await make();
    for (const [purpose, name] of [
      ['sslserver', 'server.crt'],
      ['sslclient', 'client.crt'],
    ]) {
      const line = ['verify', '-x509_strict', '-no-CApath', '-no-CAstore', '-purpose', purpose, '-CAfile', at('ca.crt'), at(name)];
      expect(execFileSync('openssl', line, { encoding: 'utf8' })).toContain(': OK');
    }
  });

  test('keep the key of the authority only when that is asked for', async () => {
    await make({ keepAuthorityKey: true });
    const ca = new X509Certificate(await read('ca.crt'));
    expect(ca.checkPrivateKey(createPrivateKey(await read('ca.key')))).toBe(true);
    expect(await mode(at('ca.key'))).toBe(0o600);
  });

  test('replace nothing unless that is meant, and then everything', async () => {
    await make({ keepAuthorityKey: true });
    const before = await Promise.all((await readdir(directory)).map(read));
    await expect(make()).rejects.toMatchObject({ code: 'certificate_files_exist' });
    expect(await Promise.all((await readdir(directory)).map(read))).toEqual(before);
    await make({ force: true });
    // The old authority's key would no longer be that of ca.crt.
    expect(await readdir(directory)).toEqual(['ca.crt', 'client.crt', 'client.key', 'server.crt', 'server.key']);
    const ca = new X509Certificate(await read('ca.crt'));
    expect(new X509Certificate(await read('client.crt')).verify(ca.publicKey)).toBe(true);
  });
});
