import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDevelopmentCertificates } from '@sallyport/gateway';
import { afterEach, expect, test } from 'vitest';
import { ask as askOver, endScene, handshake, shown } from '../server/tls/tls-scene.test.support.js';
import { until } from '../tasks/tasks.test.support.js';
import { ask, configOn, folder, type Served, served } from './running.test.support.js';

afterEach(endScene);

const sqlite = () => ({ provider: 'sqlite' as const, path: join(folder(), 'sallyport.db') });

/** A certificate with its key and the authority of it. */
async function certificate(): Promise<{ readonly cert: string; readonly key: string; readonly ca: string }> {
  const { paths } = await makeDevelopmentCertificates({ directory: join(folder(), 'made'), domains: [], force: false, keepAuthorityKey: false });
  return { cert: paths.serverCert, key: paths.serverKey, ca: readFileSync(paths.ca, 'utf8') };
}

const portOf = ({ ports }: Served): number => ports['admin-api'] ?? 0;

test('a certificate of its own is made once, and kept', async () => {
  const tls = { self_signed: { dir: join(folder(), 'tls') } };
  const options = sqlite();
  const first = await served(configOn(options, { services: { admin_api: { tls, health_port: 0 } } }), ['admin-api']);
  const { fingerprint256 } = await shown(portOf(first), { servername: 'localhost' });
  // The health is told without TLS.
  expect((await ask(`${first.healthUrl('admin-api')}/ping`, { token: null })).status).toBe(200);
  await expect(ask(`${first.url('admin-api')}/ping`, { token: null })).rejects.toThrow('fetch failed');
  await first.stop();
  const second = await served(configOn(options, { services: { admin_api: { tls } } }), ['admin-api']);
  expect((await shown(portOf(second), { servername: 'localhost' })).fingerprint256).toBe(fingerprint256);
});

test('files that are renewed are served to new connections, and open ones go on', async () => {
  const [before, after] = [await certificate(), await certificate()];
  const place = folder();
  const [cert, key] = [join(place, 'cert.pem'), join(place, 'key.pem')];
  const install = (made: typeof before): void => {
    copyFileSync(made.key, key);
    copyFileSync(made.cert, cert);
  };
  install(before);
  const control = await served(configOn(sqlite(), { services: { admin_api: { tls: { cert, key } } } }), ['admin-api']);
  const open = await handshake(portOf(control), { servername: 'localhost', ca: before.ca });
  const old = (await shown(portOf(control), { servername: 'localhost' })).fingerprint256;
  install(after);
  await until(async () => (await shown(portOf(control), { servername: 'localhost' })).fingerprint256 !== old);
  // Also for clients that name nobody.
  await until(async () => (await shown(portOf(control))).fingerprint256 !== old);
  await handshake(portOf(control), { servername: 'localhost', ca: after.ca });
  expect(await askOver(open)).toContain('"code":"not_found"');
  await control.stop();
});

test('waiting connections over TLS do not hold up the end', async () => {
  const tls = { self_signed: { dir: join(folder(), 'tls') } };
  const control = await served(configOn(sqlite(), { shutdown: { drain: '1h' }, services: { admin_api: { tls } } }), ['admin-api']);
  const idle = await handshake(portOf(control), { servername: 'localhost' });
  await control.stop();
  await until(() => idle.readyState !== 'open');
});
