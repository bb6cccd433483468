import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { capture, type Printed } from '../onboard/captured-output.test.support.js';
import { startTokenServer, type TokenServer } from '../onboard/token-server.test.support.js';
import { checkConfig } from './config-check.js';

let directory: string;
let server: TokenServer;
let printed: Printed;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-check-'));
  mkdirSync(join(directory, 'tokens'), { mode: 0o700 });
  for (const key of ['legacy', 'contoso.example']) writeFileSync(join(directory, 'tokens', key), 'the-refresh-token', { mode: 0o600 });
  server = await startTokenServer([[200, { access_token: 'the-access-token', token_type: 'Bearer', expires_in: 3_600 }]]);
  printed = capture();
});
afterEach(async () => {
  printed.restore();
  await server.close();
  rmSync(directory, { recursive: true });
});

const client = (origin: string): object => ({ token_url: `${origin}/token`, client_id: 'me', client_secret: 'the-client-secret', insecure: true });

const bind = [{ hosts: ['api.vendor.example'], place: { header: 'Authorization', format: 'Bearer {secret}' } }];

async function check(gateway: object, output: 'text' | 'json' = 'json'): Promise<number> {
  const path = join(directory, 'sallyport.yaml');
  const token_stores = { tokens: { type: 'directory', path: join(directory, 'tokens') } };
  writeFileSync(path, JSON.stringify({ gateway: { listeners: { sidecar: { port: 0 } }, token_stores, ...gateway } }));
  const code = await checkConfig(path, { sources: true, output });
  expect(printed.stdout()).not.toMatch(/the-(access|refresh)-token|the-client-secret/);
  return code;
}

const found = (): unknown => (JSON.parse(printed.stdout()) as { sources: unknown }).sources;

const microsoft = (): object => ({
  mappings: { tenants: ['contoso.example', 'fabrikam.example', 'contoso.example'].map((key) => ({ match: { vendor_id: key }, key })) },
  providers: {
    partners: {
      type: 'microsoft',
      endpoint: server.origin,
      client_id: 'me',
      client_secret: 'the-client-secret',
      store: 'tokens',
      tenant: { mapping: 'tenants' },
      insecure: true,
    },
  },
});

describe('config check --sources', () => {
  test('fetches by client credentials, for credentials and for providers', async () => {
    const grant = { type: 'client_credentials', ...client(server.origin) };
    expect(await check({ credentials: { acme: { grant, bind } }, providers: { globex: grant } })).toBe(0);
    const where = `client credentials at ${server.origin}`;
    expect(found()).toEqual([
      { credential: 'acme', source: expect.stringContaining(where), tried: 'fetch', ok: true },
      { provider: 'globex', source: expect.stringContaining(where), tried: 'fetch', ok: true },
    ]);
    expect(server.asked.map(({ form }) => form.get('grant_type'))).toEqual(['client_credentials', 'client_credentials']);
  });

  test('says what a token endpoint has against the client', async () => {
    const refusing = await startTokenServer([[401, { error: 'invalid_client' }]]);
    try {
      expect(await check({ providers: { globex: { type: 'client_credentials', ...client(refusing.origin) } } })).toBe(4);
    } finally {
      await refusing.close();
    }
    expect(found()).toMatchObject([{ provider: 'globex', ok: false, code: 'client_credentials_refused', detail: expect.stringContaining('globex') }]);
  });

  test('looks refresh tokens up, under their key or their name, and presents none', async () => {
    const grant = { type: 'refresh_token', ...client(server.origin), store: 'tokens' };
    const code = await check({ credentials: { acme: { grant: { ...grant, key: 'legacy' }, bind } }, providers: { legacy: grant, nobody: grant } });
    expect(code).toBe(4);
    expect(found()).toMatchObject([
      { credential: 'acme', source: expect.stringContaining('refresh token "legacy" in '), tried: 'store', ok: true },
      { provider: 'legacy', tried: 'store', ok: true },
      { provider: 'nobody', tried: 'store', ok: false, code: 'token_not_found', hint: expect.stringContaining('onboard') },
    ]);
    expect(server.asked).toEqual([]);
    expect(readdirSync(join(directory, 'tokens')).sort()).toEqual(['contoso.example', 'legacy']);
    expect(readFileSync(join(directory, 'tokens', 'legacy'), 'utf8')).toBe('the-refresh-token');
  });

  test('looks up every tenant that a mapping names, each once', async () => {
    expect(await check(microsoft())).toBe(4);
    expect(found()).toMatchObject([
      { provider: 'partners', source: expect.stringContaining('"contoso.example"'), ok: true },
      { provider: 'partners', source: expect.stringContaining('"fabrikam.example"'), ok: false, code: 'token_not_found' },
    ]);
    expect(server.asked).toEqual([]);
  });

  test('asks a store that does not work for one tenant only', async () => {
    rmSync(join(directory, 'tokens'), { recursive: true });
    writeFileSync(join(directory, 'tokens'), 'no directory', { mode: 0o600 });
    expect(await check(microsoft())).toBe(4);
    expect(found()).toMatchObject([{ provider: 'partners', ok: false, code: 'token_store_failed' }]);
  });

  test('tries nothing where nothing is fetched', async () => {
    expect(await check({ providers: { simple: { type: 'static', headers: { 'X-Key': 'the-client-secret' } } } })).toBe(0);
    expect(found()).toEqual([]);
  });

  test('says so to people', async () => {
    const grant = { type: 'refresh_token', ...client(server.origin), store: 'tokens' };
    const env = { source: { type: 'env', var: 'SALLYPORT_TEST_NOT_SET' }, bind };
    expect(await check({ credentials: { demo: env }, providers: { legacy: grant } }, 'text')).toBe(4);
    expect(printed.stdout()).toMatch(/^ {2}demo +env SALLYPORT_TEST_NOT_SET +failed$/m);
    expect(printed.stdout()).toMatch(/^ {2}provider legacy +refresh token "legacy" in .* +ok \(found in the store, and not presented\)$/m);
  });
});
