import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Credential } from '@sallyport/credentials';
import type { Plugin, TransactionFields } from '@sallyport/sdk';
import { verifyContract, verifyRouter } from '@sallyport/sdk/compliance';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeSource } from '../compile.js';
import { compileProviders } from '../compile-providers.js';
import { parseConfig } from '../config/load.js';
import type { SourceConfig } from '../config/schema.js';
import { removeTemporaryDirectories, temporaryDirectory } from '../testing/temporary-directory.test.support.js';
import { startTokenEndpoint, stopTokenEndpoints, type TokenEndpointScene } from '../testing/token-endpoint.test.support.js';
import { SharedCredentials } from './shared-credentials.js';

const SECRETS = ['the-client-secret', 'the-refresh-token', 'the-successor'];
/** Machines that run tests can be slow, and no check waits that long unless it fails. */
const timeout = 10_000;

let tokens: TokenEndpointScene;
let directory: string;
const releases = new Set<() => void>();
let shared: SharedCredentials;

beforeEach(async () => {
  shared = new SharedCredentials();
  tokens = await startTokenEndpoint();
  tokens.answer = ({ path, form }) => {
    const token = `access-${Buffer.from(`${path} ${form.resource ?? ''}`).toString('hex')}`;
    return { access_token: token, expires_in: 3_600, refresh_token: 'the-successor' };
  };
  directory = await temporaryDirectory();
  await mkdir(join(directory, 'tokens'), { mode: 0o700 });
  // The last one is the tenant of the calls that the kit makes up.
  for (const name of ['contoso.example', 'legacy', 'test-tenant'])
    await writeFile(join(directory, 'tokens', name), 'the-refresh-token', { mode: 0o600 });
  const vendors = { acme: { auth_type: 'bearer', token: 'the-token-of-acme' } };
  await writeFile(join(directory, 'credentials.json'), JSON.stringify({ vendors }), { mode: 0o600 });
});
afterEach(async () => {
  for (const release of releases) release();
  releases.clear();
  await shared.close();
  await stopTokenEndpoints();
  await removeTemporaryDirectories();
});

const configuration = (): string => `
gateway:
  listeners: { sidecar: {} }
  token_stores: { tokens: { type: directory, path: "${directory}/tokens" } }
  mappings: { tenants: [{ match: { marketplace_id: eu }, key: contoso.example }] }
  credentials:
    bound:
      source: { type: static, value: the-value-of-bound }
      bind: [{ hosts: [api.vendor.test], place: { header: X-Bound, format: "Key {secret}" } }]
  forward_targets: { legacy: { url: "https://legacy.test/in" } }
  providers:
    simple: { type: static, headers: { X-Key: the-key, X-Account: account-42 } }
    file: { type: credentials_file, path: "${directory}/credentials.json" }
    token: { type: client_credentials, token_url: "${tokens.origin}/token", client_id: me, client_secret: the-client-secret, insecure: true }
    legacy: { type: refresh_token, token_url: "${tokens.origin}/token", client_id: me, auth: none, store: tokens, insecure: true }
    bound: { type: credential, credential: bound }
    microsoft:
      type: microsoft
      endpoint: ${tokens.origin}
      client_id: me
      client_secret: the-client-secret
      store: tokens
      tenant: { mapping: tenants }
      insecure: true
  routes:
    - { match: { vendor_id: acme }, provider: file }
    - { match: { vendor_id: "token-*" }, provider: token }
    - { match: { vendor_id: "refresh-*" }, provider: legacy }
    - { match: { vendor_id: "bound-*", target_url: api.vendor.test/** }, provider: bound }
    - { match: { vendor_id: "microsoft-*" }, provider: microsoft }
    - { match: { data: { TenantID: test-tenant } }, provider: microsoft }
    - { match: { vendor_id: other-vendor }, provider: token }
    - { match: { vendor_id: test-vendor }, provider: legacy }
    - { match: { vendor_id: "forward-*" }, forward: legacy }
  default: { provider: simple }
`;

async function declared(): Promise<Plugin> {
  const config = parseConfig(configuration(), { path: join(directory, 'sallyport.yaml') }).gateway;
  const ignore = (): void => {};
  const means = { shared, onCredentialFailure: ignore, onCredentialFetch: ignore, onWarning: ignore };
  const bound = new Credential({ name: 'bound', source: makeSource(config.credentials.bound.source as SourceConfig) });
  releases.add(() => bound.close());
  const routes = await compileProviders(config, new Map([['bound', bound]]), means, releases);
  if (routes === null) throw new Error('no plugin was made of the routes');
  return routes.plugin;
}

const vendor = (vendorId: string, more: Partial<TransactionFields> = {}): TransactionFields => ({
  targetUrl: 'https://api.vendor.test/v1/items?page=2',
  vendorId,
  ...more,
});
const data = { Resource: 'https://graph.vendor.test' };

describe('the plugin that the providers of a configuration are made into keeps the contract of plugins', () => {
  test.each<[name: string, TransactionFields]>([
    ['static', vendor('anybody')],
    ['credentials_file', vendor('acme')],
    ['client_credentials', vendor('token-1')],
    ['refresh_token', vendor('refresh-1')],
    ['credential', vendor('bound-1')],
    ['microsoft, which is told the tenant', vendor('microsoft-365', { data: { ...data, TenantID: 'contoso.example' } })],
    ['microsoft, which looks up the tenant', vendor('microsoft-365', { marketplaceId: 'eu', data })],
  ])('where a call gets to the provider %s', async (_name, context) => {
    await verifyContract(await declared(), { contexts: [context, vendor('anybody')], secrets: SECRETS, timeout });
  });

  test('where a call is forwarded', async () => {
    const { routeRequest, forwardReferences } = (await declared()) as Required<Plugin>;
    await verifyRouter({ routeRequest, forwardReferences }, { contexts: [vendor('forward-1'), vendor('acme')], timeout });
  });

  test('where the token endpoint refuses everything', async () => {
    tokens.answer = () => ({ status: 400, error: 'invalid_request' });
    await verifyContract(await declared(), { secrets: SECRETS, timeout });
    expect(new Set(tokens.received.map(({ path }) => path))).toEqual(new Set(['/token', '/test-tenant/oauth2/token']));
  });
});
