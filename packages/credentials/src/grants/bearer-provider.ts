import type { CredentialProvider } from '@sallyport/sdk';
import type { Credential } from '../credential.js';

const REUSE_MS = 60_000;

/**
 * A provider for plugins and routes that gives every call `Authorization: Bearer` with the material of the credential, whatever the context. Errors: those
 * of `Credential.resolve`.
 *
 * `expiresAt` is at most a minute away, even when the token lives longer: the gateway asks the credential again then, which costs nothing, and lets it
 * refresh the token in the background long before the token expires.
 */
export function bearerProvider(credential: Credential): CredentialProvider {
  return {
    async getCredentials(_context, _request, { signal }) {
      const { secret, expiresAt } = await credential.resolve(signal);
      const reuseUntil = Date.now() + REUSE_MS;
      return { headers: { Authorization: `Bearer ${secret.reveal()}` }, expiresAt: Math.min(expiresAt ?? reuseUntil, reuseUntil) };
    },
  };
}
