import { Secret } from '@sallyport/sdk';
import { tortureStore } from '../refresh/torture.test.support.js';
import { azureKeyVaultTokenStore } from './azure-key-vault.js';
import { CLIENT_ID, CLIENT_SECRET, fakeAzure, RESOURCE, TENANT } from './azure-key-vault-server.test.support.js';
import { controlPlaneTokenStore } from './control-plane.js';
import { fakeControlPlane } from './control-plane-server.test.support.js';
import { vaultTokenStore } from './vault.js';
import { fakeVault, ROOT_TOKEN } from './vault-server.test.support.js';

tortureStore('vault', async () => {
  const { url, close } = await fakeVault();
  return { open: () => vaultTokenStore({ address: url, auth: { method: 'token', token: new Secret(ROOT_TOKEN) } }), close };
});

tortureStore('azure key vault', async () => {
  const { url, close } = await fakeAzure();
  const clientSecret = new Secret(CLIENT_SECRET);
  const identity = { method: 'client_secret', tenantId: TENANT, clientId: CLIENT_ID, clientSecret, authority: url } as const;
  return { open: () => azureKeyVaultTokenStore({ vaultUrl: url, identity, resource: RESOURCE, settleMs: 250 }), close };
});

tortureStore('control plane', async () => {
  const { url, close, token } = await fakeControlPlane();
  return { open: () => controlPlaneTokenStore({ baseUrl: `${url}/v1`, token: new Secret(token) }), close };
});
