import type { Client } from '@sallyport/client';
import { withClient } from './api-client.js';
import { type ClientOptions, clientSettings } from './client-settings.js';
import { openSigner } from './key-asking.js';
import type { Service } from './services.js';

/**
 * Opens a client of a service with what command line, environment and client configuration say, has `work` do its work with it, and closes it. Errors:
 * those of settings, key and client. `alsoFor` are further services that the token is to be for: what is made with it can be for no other.
 */
export async function withApiClient<T>(
  options: ClientOptions,
  service: Service,
  work: (client: Client) => Promise<T>,
  alsoFor: readonly Service[] = [],
): Promise<T> {
  const settings = await clientSettings(options);
  const address = settings.addressOf(service);
  const authorities = await settings.readAuthorities();
  const signer = await openSigner(settings);
  return withClient({ address, authorities, token: () => signer.tokenFor(service, ...alsoFor) }, work);
}
