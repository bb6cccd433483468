import { type CallOptions, type MutableRequest, Secret, TransactionContext } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RefreshCoordinator, refreshCoordinator } from '../refresh/coordinator.js';
import { gate } from '../refresh/gate.test.support.js';
import { storeNewToken } from '../refresh/store-new-token.js';
import { tokensOf } from '../refresh/stored-record.test.support.js';
import { memoryTokenStore } from '../stores/memory-token-store.test.support.js';
import type { TokenStore } from '../stores/token-store.js';
import { type MicrosoftOptions, type MicrosoftProvider, microsoftProvider } from './microsoft.js';
import { type ScriptedEndpoint, scriptedEndpoint } from './scripted-endpoint.test.support.js';

const NEVER = new AbortController().signal;
const call: CallOptions = { signal: NEVER };
const request: MutableRequest = {
  method: 'GET',
  url: new URL('https://graph.microsoft.com/v1.0/me'),
  headers: new Headers(),
  body: { bytes: async () => new Uint8Array(), replace: () => {} },
};
let endpoint: ScriptedEndpoint;
let store: TokenStore;
let coordinator: RefreshCoordinator;
const providers: MicrosoftProvider[] = [];

beforeEach(async () => {
  endpoint = await scriptedEndpoint();
  store = memoryTokenStore();
  coordinator = refreshCoordinator({ store });
});
afterEach(async () => {
  for (const provider of providers.splice(0)) provider.close();
  await coordinator.close();
  await endpoint.close();
});

function make(more: Partial<MicrosoftOptions> = {}): MicrosoftProvider {
  const authentication = { method: 'post', secret: new Secret('app-secret') } as const;
  const origin = endpoint.url.replace(/\/token$/, '');
  const provider = microsoftProvider({ endpoint: origin, clientId: 'app', authentication, coordinator, allowHttp: true, ...more });
  providers.push(provider);
  return provider;
}

function context(data: Record<string, unknown>): TransactionContext {
  return new TransactionContext({ targetUrl: request.url.href, data });
}

async function ask(provider: MicrosoftProvider, TenantID: unknown, Resource: unknown): Promise<string | undefined> {
  const data = Object.fromEntries(Object.entries({ TenantID, Resource }).filter(([, value]) => value !== undefined));
  return (await provider.getCredentials(context(data), request, call))?.headers.Authorization;
}

test('the v1 endpoint of the tenant, with the resource and the refresh token of the tenant', async () => {
  await storeNewToken(store, 'contoso.example', new Secret('rt'), NEVER);
  endpoint.answer({ body: { access_token: 'at', token_type: 'Bearer', expires_in: '3599', resource: 'r', refresh_token: 'rt2' } });
  const provider = make({ endpoint: `${endpoint.url.replace(/\/token$/, '')}/` });
  expect(await ask(provider, 'contoso.example', 'https://graph.microsoft.com')).toBe('Bearer at');
  expect(endpoint.received).toMatchObject([
    {
      path: '/contoso.example/oauth2/token',
      form: {
        grant_type: 'refresh_token',
        refresh_token: 'rt',
        resource: 'https://graph.microsoft.com',
        client_id: 'app',
        client_secret: 'app-secret',
      },
    },
  ]);
  expect((await store.read('contoso.example', NEVER)).record.refreshToken.reveal()).toBe('rt2');
  // From the pool.
  expect(await ask(provider, 'contoso.example', 'https://graph.microsoft.com')).toBe('Bearer at');
  expect(endpoint.received).toHaveLength(1);
});

test('one fetch at a time for each tenant and resource; different resources in parallel; no successor is lost', async () => {
  await storeNewToken(store, 'a', new Secret('rt'), NEVER);
  const bothThere = gate();
  endpoint.answer(async ({ form }) => {
    if (endpoint.received.length === 2) bothThere.open();
    // Neither is answered before the other has arrived: this would never end if they took turns.
    await bothThere.opened;
    return { body: { access_token: `at ${form.resource}`.replace(' ', '-'), expires_in: 3_600, refresh_token: `rt-of-${form.resource}` } };
  });
  const provider = make();
  const answers = await Promise.all(['one', 'two', 'one', 'two'].map((resource) => ask(provider, 'a', resource)));
  expect(answers).toEqual(['Bearer at-one', 'Bearer at-two', 'Bearer at-one', 'Bearer at-two']);
  expect(endpoint.received).toHaveLength(2);
  const { record } = await store.read('a', NEVER);
  expect(tokensOf(record).sort()).toEqual(['rt', 'rt-of-one', 'rt-of-two']);
  expect(record).toMatchObject({ lease: null, unknownSince: null });
});

test('tenants have nothing to do with each other, and the pool forgets the one that was not used for longest', async () => {
  for (const tenant of ['a', 'b', 'c']) await storeNewToken(store, tenant, new Secret(`rt-${tenant}`), NEVER);
  endpoint.answer(({ form }) => ({ body: { access_token: `at-${form.refresh_token}`, expires_in: 3_600 } }));
  const provider = make({ maxTenants: 2 });
  for (const tenant of ['a', 'b', 'a', 'c', 'a']) expect(await ask(provider, tenant, 'r')).toBe(`Bearer at-rt-${tenant}`);
  expect(endpoint.received.map(({ path }) => path[1])).toEqual(['a', 'b', 'c']);
  await ask(provider, 'b', 'r');
  expect(endpoint.received).toHaveLength(4);
});

test('what a sibling stored is adopted when the token is refused', async () => {
  await storeNewToken(store, 'a', new Secret('old'), NEVER);
  endpoint.answer(async ({ form }) => {
    if (form.refresh_token === 'new') return { body: { access_token: 'at', expires_in: 3_600 } };
    await storeNewToken(store, 'a', new Secret('new'), NEVER);
    return { status: 400, body: { error: 'invalid_grant' } };
  });
  expect(await ask(make(), 'a', 'r')).toBe('Bearer at');
  expect(endpoint.received.map(({ form }) => form.refresh_token)).toEqual(['old', 'new']);
});

test('failures are reported, with the code of the endpoint', async () => {
  await storeNewToken(store, 'a', new Secret('old'), NEVER);
  endpoint.answer({ status: 400, body: { error: 'invalid_grant' } });
  const codes: string[] = [];
  await expect(ask(make({ onFailure: ({ code }) => codes.push(code) }), 'a', 'r')).rejects.toMatchObject({ code: 'refresh_token_refused' });
  expect(codes).toEqual(['refresh_token_refused']);
  expect(endpoint.received).toHaveLength(1);
});

describe('tenant and resource of a call', () => {
  test('the resolver is asked only when the platform said nothing', async () => {
    for (const tenant of ['sent', 'mapped']) await storeNewToken(store, tenant, new Secret(`rt-${tenant}`), NEVER);
    const provider = make({ resolver: { resolveKey: async () => 'mapped' } });
    await ask(provider, 'sent', 'r');
    await ask(provider, undefined, 'r');
    expect(endpoint.received.map(({ path }) => path)).toEqual(['/sent/oauth2/token', '/mapped/oauth2/token']);
  });

  test.each<[string, unknown, unknown, string]>([
    ['no tenant', undefined, 'r', 'context_data_missing'],
    ['an empty tenant', '', 'r', 'context_data_field_invalid'],
    ['a tenant that is no text', 7, 'r', 'context_data_field_invalid'],
    ['a tenant with a path', 'a/../b', 'r', 'context_data_field_invalid'],
    ['a tenant with a dot in front', '..', 'r', 'context_data_field_invalid'],
    ['a tenant with a line break', 'a\n', 'r', 'context_data_field_invalid'],
    ['a long tenant', 'a'.repeat(129), 'r', 'context_data_field_invalid'],
    ['no resource', 'a', undefined, 'context_data_missing'],
    ['an empty resource', 'a', '', 'context_data_field_invalid'],
    ['a resource with a space', 'a', 'a b', 'context_data_field_invalid'],
  ])('%s', async (_name, tenant, resource, code) => {
    await expect(ask(make(), tenant, resource)).rejects.toMatchObject({ code });
    expect(endpoint.received).toEqual([]);
  });

  test('what a resolver answers is judged as well', async () => {
    const provider = make({ resolver: { resolveKey: () => '../etc' } });
    await expect(ask(provider, undefined, 'r')).rejects.toMatchObject({ code: 'context_data_field_invalid' });
  });
});

test('an endpoint that cannot be used is known at the start', () => {
  expect(() => make({ endpoint: 'http://login.example' })).toThrow(expect.objectContaining({ code: 'config_invalid' }));
});
