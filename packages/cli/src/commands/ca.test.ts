import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { cleanUp, workplace } from '../command-line.test.support.js';

afterEach(cleanUp);

test('the directory is the one that was given, that of the configuration, or the usual one', async () => {
  const place = workplace();
  const path = async (...args: string[]): Promise<string> => (await place.run(['ca', 'path', ...args])).stdout.trim();
  expect(await path()).toBe(join(place.home, '.sallyport', 'ca'));
  place.file('sallyport.yaml', 'gateway: { listeners: { forward: {} }, authority: { dir: ./here } }');
  expect(await path()).toBe(join(place.directory, 'here'));
  expect(await path('--file')).toBe(join(place.directory, 'here', 'ca.crt'));
  expect(await path('--ca-dir', 'there')).toBe(join(place.directory, 'there'));
});

test('the certificate comes out in every form, and the key in none', async () => {
  const place = workplace();
  const ca = ['--ca-dir', 'ca'];
  expect((await place.run(['ca', 'export', ...ca])).code).toBe(5);
  expect((await place.run(['ca', 'regenerate', '--confirm', ...ca])).stdout.trim()).toBe(join(place.directory, 'ca', 'ca.crt'));
  const certificate = new X509Certificate(readFileSync(join(place.directory, 'ca/ca.crt')));
  const { stdout: pem } = await place.run(['ca', 'export', ...ca]);
  expect(pem).not.toContain('PRIVATE');
  expect(new X509Certificate(pem).fingerprint256).toBe(certificate.fingerprint256);
  const { stdout: base64 } = await place.run(['ca', 'export', ...ca, '--format', 'der-base64']);
  expect(Buffer.from(base64, 'base64')).toEqual(certificate.raw);
  await place.run(['ca', 'export', ...ca, '--format', 'der', '--out', 'ca.der']);
  expect(readFileSync(join(place.directory, 'ca.der'))).toEqual(certificate.raw);
  expect((await place.run(['ca', 'export', ...ca, '--out', 'no/such/directory'])).stderr).toContain('ENOENT');
});

test('it is replaced only by who says that this is meant', async () => {
  const place = workplace();
  const regenerate = (...args: string[]) => place.run(['ca', 'regenerate', '--ca-dir', 'ca', ...args]);
  await regenerate('--confirm');
  const before = readFileSync(join(place.directory, 'ca/ca.crt'), 'utf8');
  expect((await regenerate()).code).toBe(1);
  expect(readFileSync(join(place.directory, 'ca/ca.crt'), 'utf8')).toBe(before);
  expect((await regenerate('--confirm')).code).toBe(0);
  expect(readFileSync(join(place.directory, 'ca/ca.crt'), 'utf8')).not.toBe(before);
});
