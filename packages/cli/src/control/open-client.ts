import { type ApiClient, openApiClient } from './api-client.js';
import { type ClientOptions, clientSettings } from './client-settings.js';
import { openSigner } from './key-asking.js';
import type { Service } from './services.js';

/**
 * Opens a client of a service with what command line, environment and client configuration say, has `work` do its work with it, and closes it. Errors:
 * those of settings, key and client.
 */
export async function withApiClient<T>(options: ClientOptions, service: Service, work: (client: ApiClient) => Promise<T>): Promise<T> {
  const settings = await clientSettings(options);
  const address = settings.addressOf(service);
  const authorities = await settings.readAuthorities();
  const signer = await openSigner(settings);
  const client = await openApiClient({ address, authorities, token: () => signer.tokenFor(service) });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
