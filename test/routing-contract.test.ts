import { expect, test } from 'vitest';
import { asPlugin } from '../packages/credentials/src/routing/as-plugin.js';
import { Mux } from '../packages/credentials/src/routing/mux.js';
import { muxFromConfig } from '../packages/credentials/src/routing/mux-from-config.js';
import { contractChecks, verifyContract } from '../packages/sdk/src/compliance/index.js';

const provider = {
  getCredentials: () => ({ headers: { Authorization: 'Bearer token-of-acme' }, expiresAt: Date.now() + 3_600_000 }),
};
const contexts = [
  { targetUrl: 'https://api.acme.test/v1/orders', vendorId: 'acme' },
  { targetUrl: 'https://api.acme.test/v1/orders', vendorId: 'acme', data: { TenantID: 'T-1' } },
];

test('a mux keeps the contract of a plugin', async () => {
  const mux = new Mux();
  mux.handle({ vendorId: 'acme', targetUrl: '*.acme.test/**' }, provider);
  mux.handle({ vendorId: 'nobody' }, null);
  mux.handleForward({ vendorId: 'no-such-*' }, 'legacy');
  await verifyContract(mux, { contexts });
  mux.responseModifier = { modifyResponse: () => ({ skipErrorNormalization: true }) };
  mux.signer = { signCsr: () => Promise.reject(new Error('not today')) };
  await verifyContract(mux, { contexts });
  expect(contractChecks(mux).map(({ name }) => name)).toContain('forwardReferences lists the forward targets');
});

test('so does one that is made of data, and one without routes', async () => {
  const config = {
    routes: [
      { match: { vendor_id: 'acme' }, provider: 'acme' },
      { match: { data: { TenantID: '*' } }, forward: 'legacy' },
    ],
  };
  await verifyContract(muxFromConfig(config, new Map([['acme', provider]])), { contexts: contexts.slice(0, 1) });
  await verifyContract(new Mux());
});

test('a provider keeps it as a plugin', async () => {
  await verifyContract(asPlugin(provider), { contexts });
});
