import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, rootCertificates } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, openAuthority } from './authority.js';
import { javaTrustStore } from './java-trust-store.js';
import { leafMinter } from './leaf.js';

const run = promisify(execFile);
const hasKeytool = spawnSync('keytool', ['-help']).status === 0;
const compiles = spawnSync('java', ['--list-modules'], { encoding: 'utf8' }).stdout?.includes('jdk.compiler') ?? false;

let dir: string;
let authority: Authority;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sallyport-java-'));
  authority = await openAuthority({ dir: join(dir, 'ca'), create: true });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function store(certificates: readonly string[], password: string): Promise<string> {
  const path = join(dir, 'trust.jks');
  await writeFile(path, javaTrustStore(certificates, password));
  return path;
}

test('the same certificates make the same bytes, each once', () => {
  const made = javaTrustStore([authority.certificatePem], 'changeit');
  expect(javaTrustStore([`${authority.certificatePem}${authority.certificatePem}`, authority.certificatePem], 'changeit')).toEqual(made);
  expect(made.subarray(0, 12).toString('hex')).toBe('feedfeed0000000200000001');
});

describe.skipIf(!hasKeytool)('keytool (skipped when this machine has none)', () => {
  const list = (path: string, password: string): Promise<{ stdout: string }> =>
    run('keytool', ['-J-Duser.language=en', '-list', '-keystore', path, '-storetype', 'JKS', '-storepass', password]);

  test('reads every certificate', async () => {
    const { stdout } = await list(await store([authority.certificatePem, ...rootCertificates], 'changeit'), 'changeit');
    expect(stdout).toContain(`contains ${rootCertificates.length + 1} entries`);
    expect(stdout).toContain(authority.certificate.fingerprint256);
    expect(stdout.match(/trustedCertEntry/g)).toHaveLength(rootCertificates.length + 1);
  });

  test('checks the seal with the password, and refuses another', async () => {
    const path = await store([authority.certificatePem], 'pass-word');
    expect((await list(path, 'pass-word')).stdout).toContain('contains 1 entry');
    await expect(list(path, 'changeit')).rejects.toMatchObject({ stdout: expect.stringMatching(/tampered|incorrect/) });
  });
});

describe.skipIf(!compiles)('Java (skipped when this machine has no JDK)', () => {
  const probe = `
    public class Probe {
      public static void main(String[] args) throws Exception {
        var request = java.net.http.HttpRequest.newBuilder(java.net.URI.create(args[0])).build();
        try {
          var response = java.net.http.HttpClient.newHttpClient().send(request, java.net.http.HttpResponse.BodyHandlers.ofString());
          System.out.println(response.statusCode() + " " + response.body());
        } catch (javax.net.ssl.SSLHandshakeException refused) {
          System.out.println("refused");
        }
      }
    }`;

  test('a program trusts what the authority signed with the store, and not without it', async () => {
    const minter = leafMinter(authority);
    const server = createServer({ key: minter.keyPem, cert: minter.mint('localhost', Date.now()).pem }, (socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `https://localhost:${(server.address() as AddressInfo).port}/`;
    const source = join(dir, 'Probe.java');
    await writeFile(source, probe);
    const path = await store([authority.certificatePem], 'changeit');
    try {
      // Without a password, as a JVM started with these two options alone: the certificates are read all the same.
      const trusting = [`-Djavax.net.ssl.trustStore=${path}`, '-Djavax.net.ssl.trustStoreType=JKS'];
      const [withStore, without] = await Promise.all([run('java', [...trusting, source, url]), run('java', [source, url])]);
      expect(withStore.stdout).toBe('200 ok\n');
      expect(without.stdout).toBe('refused\n');
    } finally {
      server.close();
    }
  });
});
