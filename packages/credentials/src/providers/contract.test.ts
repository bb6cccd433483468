import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CredentialProvider, Secret, type TransactionFields } from '@sallyport/sdk';
import { verifyContract, verifyRouter } from '@sallyport/sdk/compliance';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Credential } from '../credential.js';
import { bearerProvider } from '../grants/bearer-provider.js';
import { clientCredentialsGrant } from '../grants/client-credentials.js';
import { microsoftProvider } from '../grants/microsoft.js';
import { refreshTokenGrant } from '../grants/refresh-token.js';
import { type ScriptedEndpoint, scriptedEndpoint } from '../grants/scripted-endpoint.test.support.js';
import { type RefreshCoordinator, refreshCoordinator } from '../refresh/coordinator.js';
import { storeNewToken } from '../refresh/store-new-token.js';
import { asPlugin } from '../routing/as-plugin.js';
import { Mux } from '../routing/mux.js';
import { staticMapping } from '../routing/static-mapping.js';
import type { Source } from '../source.js';
import { memoryTokenStore } from '../stores/memory-token-store.test.support.js';
import type { TokenStore } from '../stores/token-store.js';
import { openCredentialsFile } from './credentials-file.js';
import { staticProvider } from './static.js';

const NEVER = new AbortController().signal;
const TENANT = 'contoso.example';
const SECRETS = ['the-client-secret', 'the-refresh-token', 'the-successor'];
/** Machines that run tests can be slow, and no check waits that long unless it fails. */
const timeout = 10_000;
const authentication = { method: 'post', secret: new Secret('the-client-secret') } as const;

const call = (more: Partial<TransactionFields> = {}): TransactionFields => ({ targetUrl: 'https://api.vendor.test/v1?page=2', ...more });
const vendor = (vendorId: string): TransactionFields => call({ vendorId });
const graph = { Resource: 'https://graph.vendor.test' };

let endpoint: ScriptedEndpoint;
let store: TokenStore;
let coordinator: RefreshCoordinator;
let toClose: { close(): void }[];

beforeEach(async () => {
  toClose = [];
  endpoint = await scriptedEndpoint();
  endpoint.answer(({ path, form }) => {
    // Another token for every client, tenant and resource, as a server would give.
    const token = `access-${Buffer.from(`${path} ${form.resource ?? ''}`).toString('hex')}`;
    return { body: { access_token: token, token_type: 'Bearer', expires_in: 3_600, refresh_token: 'the-successor' } };
  });
  store = memoryTokenStore();
  coordinator = refreshCoordinator({ store });
  // The tenant `test-tenant` is that of the calls which the kit makes up.
  for (const key of [TENANT, 'fabrikam.example', 'test-tenant', 'key']) await storeNewToken(store, key, new Secret('the-refresh-token'), NEVER);
});
afterEach(async () => {
  for (const one of toClose) one.close();
  await coordinator.close();
  await endpoint.close();
});

function bearerOf(source: Source): CredentialProvider {
  const credential = new Credential({ name: 'tested', source });
  toClose.push(credential);
  return bearerProvider(credential);
}

const clientCredentials = (): CredentialProvider =>
  bearerOf(clientCredentialsGrant({ url: endpoint.url, clientId: 'me', authentication, allowHttp: true }));

const refreshToken = (reusable: boolean): CredentialProvider =>
  bearerOf(refreshTokenGrant({ url: endpoint.url, clientId: 'me', authentication, allowHttp: true, coordinator, key: 'key', reusable }));

function microsoft(): CredentialProvider {
  const resolver = staticMapping([{ match: { marketplaceId: 'eu' }, key: TENANT }]);
  const provider = microsoftProvider({
    endpoint: new URL(endpoint.url).origin,
    clientId: 'me',
    authentication,
    allowHttp: true,
    coordinator,
    resolver,
  });
  toClose.push(provider);
  return provider;
}

const simple = (): CredentialProvider => staticProvider({ headers: { 'X-Key': new Secret('the-key'), 'X-Account': new Secret('account-42') } });

async function credentialsFile(): Promise<CredentialProvider> {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-contract-'));
  toClose.push({ close: () => rmSync(directory, { recursive: true }) });
  const path = join(directory, 'credentials.json');
  const vendors = {
    acme: { auth_type: 'bearer', token: 'the-token-of-acme' },
    globex: { auth_type: 'api_key', header_name: 'X-Api-Key', token: 'the-token-of-globex' },
    initech: { auth_type: 'basic', token: 'me:the-token-of-initech' },
  };
  writeFileSync(path, JSON.stringify({ vendors }), { mode: 0o600 });
  const provider = await openCredentialsFile({ path });
  toClose.unshift(provider);
  return provider;
}

const tenants: readonly TransactionFields[] = [
  call({ data: { TenantID: TENANT, ...graph } }),
  call({ data: { TenantID: 'fabrikam.example', ...graph } }),
  call({ data: { TenantID: TENANT, Resource: 'https://other.vendor.test' } }),
  call({ marketplaceId: 'eu', data: graph }),
];

async function mux(): Promise<Mux> {
  const made = new Mux();
  made.handle({ vendorId: 'microsoft-*' }, microsoft());
  made.handle({ targetUrl: 'api.vendor.test/v1', vendorId: 'acme' }, await credentialsFile());
  made.handle({ vendorId: 'token-*' }, clientCredentials());
  made.handleForward({ vendorId: 'legacy-*' }, 'legacy');
  made.handleForward({ vendorId: 'legacy-eu', data: { Region: 'eu' } }, 'legacy-eu');
  made.default(simple());
  return made;
}

const routed = [vendor('acme'), vendor('token-1'), vendor('anybody'), call({ vendorId: 'microsoft-365', data: { TenantID: TENANT, ...graph } })];

describe('keeps the contract of plugins:', () => {
  test.each<[name: string, make: () => CredentialProvider | Promise<CredentialProvider>, contexts: readonly TransactionFields[]]>([
    ['header fields that are given', simple, [call(), vendor('acme')]],
    ['a credentials file', credentialsFile, [vendor('acme'), vendor('globex'), vendor('initech')]],
    ['client credentials', clientCredentials, [call(), vendor('acme')]],
    ['a refresh token that is taken once', () => refreshToken(false), [call(), vendor('acme')]],
    ['a refresh token that is taken again and again', () => refreshToken(true), [call(), vendor('acme')]],
    ['Microsoft', microsoft, tenants],
    ['a mux of these', mux, routed],
    ['a provider as a plugin', async () => asPlugin(await credentialsFile()), [vendor('acme'), vendor('globex'), vendor('initech')]],
    ['a mux as a provider as a plugin', async () => asPlugin(await mux()), routed],
  ])('%s', async (_name, make, contexts) => {
    await verifyContract(await make(), { contexts, secrets: SECRETS, timeout });
  });

  test('a mux, where it forwards', async () => {
    const legacy = vendor('legacy-1');
    const router = await mux();
    expect(endpoint.received).toEqual([]);
    await verifyRouter(router, { contexts: [legacy, call({ vendorId: 'legacy-eu', data: { Region: 'eu' } }), vendor('acme')], timeout });
    expect(endpoint.received).toEqual([]);
  });

  test.each<[name: string, make: () => CredentialProvider]>([
    ['client credentials', clientCredentials],
    ['a refresh token', () => refreshToken(false)],
    ['Microsoft', microsoft],
  ])('%s, also when the token endpoint refuses everything and repeats what it was sent', async (_name, make) => {
    endpoint.answer(({ form }) => ({ status: 400, body: { error: 'invalid_request', error_description: JSON.stringify(form) } }));
    await verifyContract(make(), { secrets: SECRETS, timeout });
    expect(endpoint.received.length).toBeGreaterThan(0);
  });
});
