import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { TransactionContext } from '@sallyport/sdk';
import { contractChecks } from '@sallyport/sdk/compliance';
import acme from './acme.js';

// Acme, as far as the plugin sees it.
const server = createServer((request, response) => {
  const isKnown = request.headers['x-api-key'] === 'acme-key-of-ours';
  response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' });
  response.end(isKnown ? '{"token":"token-of-acme","expires_in":3600}' : '{}');
});

server.listen(0, '127.0.0.1');
await once(server, 'listening');

function plugin(apiKey = 'acme-key-of-ours') {
  return acme({ token_url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`, api_key: apiKey });
}

await test('keeps the contract of a plugin', async (t) => {
  const contexts = [{ targetUrl: 'https://api.acme.example/v1/orders', vendorId: 'acme', subscriptionId: 'S-1' }];
  for (const { name, run } of contractChecks(plugin(), { contexts, secrets: ['acme-key-of-ours'] })) await t.test(name, run);
});

await test('says which status Acme answered', async () => {
  const context = new TransactionContext({ targetUrl: 'https://api.acme.example/', subscriptionId: 'S-1' });
  const call = plugin('wrong').getCredentials?.(context, {} as never, { signal: new AbortController().signal });
  await assert.rejects(async () => call, { code: 'credential_unavailable', message: 'Acme answered 401' });
});

await test('says at the start what is missing', () => {
  assert.throws(() => acme({}), /token_url and api_key/);
});

server.closeAllConnections();
server.close();
