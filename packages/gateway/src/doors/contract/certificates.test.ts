import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Response } from '../../testing/message-reader.test.support.js';
import { problem, stopEverything } from '../../testing/scene.test.support.js';
import { clientAuthority, type Issued, selfSigned } from '../../tls/mutual/client-authority.test.support.js';
import { DAY, rootIssuer } from '../../tls/renewal/issuing.test.support.js';
import { type Contract, contract, stopContracts } from './contract-scene.test.support.js';

let scene: Contract;
beforeEach(async () => {
  scene = await contract();
});
afterEach(async () => {
  await stopContracts();
  await stopEverything();
});

const health = async (identity: Issued | null, options = {}): Promise<number> => {
  const client = await scene.client(identity, options);
  return (await client.request('GET /_ops/health HTTP/1.1', ['Host: s'])).status;
};

describe('the listener', () => {
  test('takes a client certificate of its authority', async () => {
    expect(await health(await scene.clients.issue())).toBe(200);
  });

  test.each<[string, () => Promise<Issued | null>, object]>([
    ['no certificate', async () => null, {}],
    ['a certificate of another authority', async () => (await clientAuthority('Others')).issue(), {}],
    ['a certificate that vouches for itself', () => selfSigned('client'), {}],
    ['a certificate that has expired', () => scene.clients.issue({ from: -2 * DAY, until: -DAY }), {}],
    ['a certificate from tomorrow', () => scene.clients.issue({ from: DAY, until: 2 * DAY }), {}],
    ['TLS 1.2', () => scene.clients.issue(), { maxVersion: 'TLSv1.2' }],
  ])('answers nothing in HTTP to %s', async (_, identity, options) => {
    await expect(health(await identity(), options)).rejects.toThrow(/ended|reset|alert|closed|disconnected/i);
    expect(await scene.recorded(1)).toMatchObject({
      outcome: 'failed',
      error: expect.stringMatching(/^client_(certificate_refused|tls_failed)$/) as unknown,
    });
  });

  test('works without SNI', async () => {
    expect(await health(await scene.clients.issue(), { servername: '', checkServerIdentity: () => undefined })).toBe(200);
  });

  test.each(['cert_file', 'key_file', 'ca_file'])('does not start without the file of server.tls.%s', async (key) => {
    await expect(contract({ keys: { [`server.tls.${key}`]: '/nowhere/to/be/found' } })).rejects.toMatchObject({ code: 'config_invalid' });
  });

  test.each(['cert_file', 'key_file', 'ca_file'])('does not start when server.tls.%s holds something else', async (key) => {
    const file = join(scene.directory, 'nonsense');
    await writeFile(file, 'nonsense');
    await expect(contract({ keys: { [`server.tls.${key}`]: file } })).rejects.toMatchObject({ code: expect.any(String) as unknown });
  });
});

describe('renewal', () => {
  const post = async (which: 'prepare' | 'install', body?: object | string): Promise<Response> => {
    const client = await scene.client(await scene.clients.issue());
    const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    return client.request(`POST /_ops/renew/${which} HTTP/1.1`, ['Host: s', `Content-Length: ${text.length}`], text);
  };
  const prepared = async (): Promise<{ csr: string; renewal_id: string }> => {
    const response = await post('prepare');
    expect(response.status).toBe(200);
    return problem(response) as { csr: string; renewal_id: string };
  };
  const files = async (): Promise<string[]> =>
    Promise.all(['server.crt', 'server.key'].map((name) => readFile(join(scene.directory, name), 'utf8').catch(() => 'gone')));
  const served = async (): Promise<string> => {
    const { socket } = await scene.client(await scene.clients.issue(), { rejectUnauthorized: false });
    return createHash('sha256')
      .update((socket as TLSSocket).getPeerCertificate().raw)
      .digest('hex');
  };

  test('prepare answers a CSR with the names of the certificate, and an id of 64 hexadecimal digits', async () => {
    const { csr, renewal_id } = await prepared();
    expect(csr).toMatch(/^-----BEGIN CERTIFICATE REQUEST-----/);
    expect(renewal_id).toMatch(/^[0-9a-f]{64}$/);
  });

  test('prepare is 409 while another is pending', async () => {
    await prepared();
    expect((await post('prepare')).status).toBe(409);
  });

  test('install is 202 and empty, is on disk, and is served to new connections while old ones go on', async () => {
    const before = await files();
    const old = await scene.client(await scene.clients.issue());
    const { csr, renewal_id } = await prepared();
    const root = await rootIssuer();
    const certificate = await root.sign(csr);
    // The platform is the authority: what it signs is checked against the bundle that the clients are checked against.
    await writeFile(join(scene.directory, 'ca.crt'), `${scene.clients.cert}${root.pem}`);
    await scene.gateway.reload(scene.config);
    const response = await post('install', { renewal_id, certificate });
    expect([response.status, response.body.length]).toEqual([202, 0]);
    const after = await files();
    expect(after[0]).toContain(certificate.trim());
    expect(after[1]).not.toBe(before[1]);
    const raw = Buffer.from(certificate.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    expect(await served()).toBe(createHash('sha256').update(raw).digest('hex'));
    expect((await old.request('GET /_ops/health HTTP/1.1', ['Host: s'])).status).toBe(200);
  });

  test.each<[string, string | object, string]>([
    ['no JSON', '{', 'invalid request body'],
    ['no members', {}, 'renewal_id and certificate are required'],
    ['an empty certificate', { renewal_id: 'a', certificate: '' }, 'renewal_id and certificate are required'],
    ['more than 64 KiB', { renewal_id: 'a', certificate: 'x'.repeat(65_536) }, 'invalid request body'],
  ])('install is 400 for %s', async (_, body, error) => {
    const response = await post('install', body);
    expect([response.status, problem(response).error]).toEqual([400, error]);
  });

  test('install is 409 without a pending one, and for another id, which leaves it pending', async () => {
    expect((await post('install', { renewal_id: 'a'.repeat(64), certificate: 'x' })).status).toBe(409);
    await prepared();
    expect((await post('install', { renewal_id: 'a'.repeat(64), certificate: 'x' })).status).toBe(409);
    expect((await post('prepare')).status).toBe(409);
  });

  test.each<[string, (csr: string) => Promise<string>]>([
    ['a foreign key', async () => (await scene.servers.issue()).cert],
    ['no certificate at all', async () => 'nonsense'],
    // It is taken there: only the key is compared.
    [
      'a certificate that has expired',
      async (csr) => (await rootIssuer()).sign(csr, { notBefore: Date.now() - 2 * DAY, notAfter: Date.now() - DAY }),
    ],
    ['a certificate for other names', async (csr) => (await rootIssuer()).sign(csr, { names: [{ type: 'dns', value: 'another.test' }] })],
    ['a certificate of an authority that nobody knows', async (csr) => (await rootIssuer()).sign(csr)],
  ])('install is 422 for %s, and nothing changes', async (_, sign) => {
    const [before, hash] = [await files(), await served()];
    const { csr, renewal_id } = await prepared();
    const response = await post('install', { renewal_id, certificate: await sign(csr) });
    expect(response.status).toBe(422);
    expect([await files(), await served()]).toEqual([before, hash]);
  });

  test('prepare and install are 501 where the file turns it off, and where there is no TLS', async () => {
    for (const keys of [{ 'server.tls.auto_rotate': false }, { 'server.tls': { enabled: false } }]) {
      await scene.stop();
      scene = await contract({ keys });
      for (const at of ['/_ops/renew/prepare', '/_ops/renew/install']) {
        const response = await scene.call(null, { method: 'POST', at, body: '{}' });
        expect([response.status, problem(response).error]).toEqual([501, 'certificate management is external; renewal is disabled']);
      }
    }
  });

  test('prepare is 500 prepare failed when the certificate has no names', async () => {
    const bare = await scene.servers.issue({ purposes: ['1.3.6.1.5.5.7.3.1'] });
    await Promise.all([writeFile(join(scene.directory, 'server.crt'), bare.cert), writeFile(join(scene.directory, 'server.key'), bare.key)]);
    await scene.gateway.reload(scene.config);
    const client = await scene.client(await scene.clients.issue(), { checkServerIdentity: () => undefined });
    const response = await client.request('POST /_ops/renew/prepare HTTP/1.1', ['Host: s', 'Content-Length: 0']);
    expect([response.status, problem(response).error]).toEqual([500, 'prepare failed']);
  });

  test('install refuses before the swap when it cannot persist; there the new certificate is in use, and the old one may be gone from disk', async () => {
    const hash = await served();
    const { csr, renewal_id } = await prepared();
    const root = await rootIssuer();
    await writeFile(join(scene.directory, 'ca.crt'), `${scene.clients.cert}${root.pem}`);
    await scene.gateway.reload(scene.config);
    const { directory } = scene;
    await rm(directory, { recursive: true });
    const response = await post('install', { renewal_id, certificate: await root.sign(csr) });
    expect([response.status, problem(response)]).toMatchObject([500, { code: 'certificate_not_persisted' }]);
    expect(await served()).toBe(hash);
  });
});
