import { SallyportError } from '@sallyport/sdk';
import { type AuthorizationServer, discoveryRequest, processDiscoveryResponse } from 'oauth4webapi';
import { endpointFailure } from './failures.js';
import { endpoint } from './provider.js';
import { httpOptions } from './token-http.js';

/**
 * What a server says about itself: OpenID Connect Discovery 1.0, otherwise RFC 8414. Errors: `onboarding_invalid` for the address,
 * `onboarding_discovery_failed`.
 */
export async function discover(issuer: string, allowHttp: boolean): Promise<AuthorizationServer> {
  const url = new URL(endpoint('--issuer', issuer, allowHttp));
  try {
    let response = await discoveryRequest(url, { ...httpOptions({ allowHttp }), algorithm: 'oidc' });
    if (response.status === 404) response = await discoveryRequest(url, { ...httpOptions({ allowHttp }), algorithm: 'oauth2' });
    return checked(await processDiscoveryResponse(url, response), allowHttp);
  } catch (error) {
    throw endpointFailure('onboarding_discovery_failed', `The issuer ${url.href}`, error, []);
  }
}

/** What stands in a document of a server is judged as what stands on the command line. */
function checked(server: AuthorizationServer, allowHttp: boolean): AuthorizationServer {
  for (const name of ['authorization_endpoint', 'token_endpoint', 'device_authorization_endpoint'] as const) {
    const value: unknown = server[name];
    if (value === undefined) continue;
    try {
      endpoint(name, typeof value === 'string' ? value : '', allowHttp);
    } catch (error) {
      const detail = error instanceof Error ? error.message : '';
      throw new SallyportError('onboarding_discovery_failed', { detail: `The discovery document of ${server.issuer} cannot be used: ${detail}` });
    }
  }
  return server;
}

/** How the client shows its secret there: in the form, as most take it, unless the server only offers the header. */
export function offeredClientAuth(server: AuthorizationServer): 'post' | 'basic' {
  const offered: readonly unknown[] = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
  return offered.includes('client_secret_post') || !offered.includes('client_secret_basic') ? 'post' : 'basic';
}
