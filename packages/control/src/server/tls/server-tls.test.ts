import { createPrivateKey, X509Certificate } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { makeSelfSigned } from './self-signed-certificate.js';
import type { KeyPair } from './served-certificate.js';
import { openServerTls, type ServerTlsConfig } from './server-tls.js';
import { ask, endScene, handshake, openTls, renewed, serve, shown, temporaryFolder } from './tls-scene.test.support.js';

const DAY = 24 * 3_600_000;
let folder: string;
let files: { cert: string; key: string };

beforeEach(async () => {
  folder = await temporaryFolder();
  files = { cert: join(folder, 'server.crt'), key: join(folder, 'server.key') };
});
afterEach(endScene);

async function put({ cert, key }: KeyPair): Promise<void> {
  for (const [path, text] of [
    [files.key, key],
    [files.cert, cert],
  ] as const) {
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  }
}

const pairFor = (...names: string[]): Promise<KeyPair> => makeSelfSigned(names, 90 * DAY);
const fingerprint = ({ cert }: KeyPair): string => new X509Certificate(cert).fingerprint256;

describe('files', () => {
  test('are served in handshakes that clients verify', async () => {
    const pair = await pairFor('api.example.com');
    await put(pair);
    const { tls, troubles } = await openTls(files);
    const port = await serve(tls);
    const socket = await handshake(port, { servername: 'api.example.com', ca: pair.cert });
    expect(await ask(socket)).toBe('hello');
    expect((await shown(port)).fingerprint256).toBe(fingerprint(pair));
    expect(tls.challengeHandler).toBeNull();
    expect(troubles).toEqual([]);
  });

  test('that were replaced are in use for new connections, and open ones go on', async () => {
    const [before, after] = [await pairFor('api.example.com'), await pairFor('api.example.com')];
    await put(before);
    const { tls } = await openTls(files);
    const port = await serve(tls);
    const open = await handshake(port, { servername: 'api.example.com', ca: before.cert });
    expect(await ask(open)).toBe('hello');
    const taken = renewed(tls);
    await put(after);
    await taken;
    expect((await shown(port, { servername: 'api.example.com', ca: after.cert })).fingerprint256).toBe(fingerprint(after));
    // Those that ask for no name have it from setSecureContext.
    expect((await shown(port)).fingerprint256).toBe(fingerprint(after));
    expect(await ask(open)).toBe('hello');
  });

  test('that do not fit together any more leave the old pair in use, and are told', async () => {
    const [before, after] = [await pairFor('a.example.com'), await pairFor('a.example.com')];
    await put(before);
    const { tls, troubles } = await openTls(files);
    const port = await serve(tls);
    await writeFile(files.cert, after.cert);
    await vi.waitFor(() => expect(troubles).toMatchObject([{ code: 'tls_files_invalid' }]), 10_000);
    expect(troubles[0]?.message).toContain(files.key);
    expect((await shown(port)).fingerprint256).toBe(fingerprint(before));
    const taken = renewed(tls);
    await writeFile(files.key, after.key);
    await taken;
    expect((await shown(port)).fingerprint256).toBe(fingerprint(after));
  });

  test.each([
    ['gone', async () => rm(files.cert)],
    ['empty', async () => writeFile(files.cert, '')],
    ['damaged', async () => writeFile(files.cert, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')],
  ])('of which one is %s leave the old pair in use, and are told', async (_how, breakIt) => {
    const pair = await pairFor('a.example.com');
    await put(pair);
    const { tls, troubles } = await openTls(files);
    const port = await serve(tls);
    await breakIt();
    await vi.waitFor(() => expect(troubles.length).toBeGreaterThan(0), 10_000);
    expect(troubles[0]).toMatchObject({ code: 'tls_files_invalid', message: expect.stringContaining(files.cert) as string });
    expect((await shown(port)).fingerprint256).toBe(fingerprint(pair));
  });

  test('that expire soon are told at the start', async () => {
    await put(await makeSelfSigned(['a.example.com'], 3 * DAY));
    const { troubles } = await openTls(files);
    expect(troubles).toMatchObject([{ code: 'server_certificate_expires', message: expect.stringContaining('in 2 days') as string }]);
  });

  test('are not looked at any more after the end', async () => {
    await put(await pairFor('a.example.com'));
    const stop = new AbortController();
    const events: string[] = [];
    const tls = await openServerTls(files, { onTrouble: ({ code }) => events.push(code), signal: stop.signal });
    tls.onRenewed(() => events.push('renewed'));
    stop.abort();
    await put(await pairFor('a.example.com'));
    await tls.close();
    const { tls: other } = await openTls(files);
    const taken = renewed(other);
    await put(await pairFor('a.example.com'));
    await taken;
    expect(events).toEqual([]);
  });
});

describe('a start fails', () => {
  const message = async (config: ServerTlsConfig): Promise<string> => {
    const error: unknown = await openTls(config).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(Error);
    expect(inspect(error)).not.toContain('PRIVATE KEY-----\n');
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  };

  test('with half a configuration', async () => {
    await put(await pairFor('a.example.com'));
    expect(await message({ cert: files.cert })).toBe(`server_tls_invalid: There is \`cert\` (${files.cert}) without \`key\`.`);
    expect(await message({ key: files.key })).toBe(`server_tls_invalid: There is \`key\` (${files.key}) without \`cert\`.`);
    expect(await message({})).toMatch(/^server_tls_invalid/);
    expect(await message({ ...files, self_signed: { dir: folder } })).toMatch(/^server_tls_invalid: There is self_signed beside cert and key/);
  });

  test('with files that do not fit together, and names the one', async () => {
    await put({ cert: (await pairFor('a.example.com')).cert, key: (await pairFor('a.example.com')).key });
    expect(await message(files)).toBe(`tls_files_invalid: The file ${files.key} is not the key of the certificate in ${files.cert}.`);
    await rm(files.key);
    expect(await message(files)).toBe(`tls_files_invalid: The file ${files.key} cannot be read (ENOENT).`);
    await writeFile(files.key, 'no key');
    expect(await message(files)).toContain(`${files.key} holds no private key in PEM form`);
  });

  test('with a key that is encrypted', async () => {
    const { cert, key } = await pairFor('a.example.com');
    const encrypted = createPrivateKey(key).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString();
    await put({ cert, key: encrypted });
    expect(await message(files)).toContain(`${files.key} is encrypted`);
  });

  test('with a certificate that has expired', async () => {
    await put(await makeSelfSigned(['a.example.com'], -60_000));
    expect(await message(files)).toContain(`${files.cert} has expired`);
  });
});
