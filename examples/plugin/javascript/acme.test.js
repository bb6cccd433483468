import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { verifyContract } from '@sallyport/sdk/compliance';
import acme from './acme.js';

await test('keeps the contract of a plugin', async () => {
  const contexts = [{ targetUrl: 'https://api.acme.example/v1/orders', vendorId: 'acme' }];
  await verifyContract(acme({ api_key: 'acme-key-of-ours' }), { contexts, secrets: ['acme-key-of-ours'] });
});

await test('says at the start what is missing', () => {
  assert.throws(() => acme({}), /api_key is needed/);
});
