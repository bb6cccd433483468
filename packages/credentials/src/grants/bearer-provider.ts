import type { CredentialProvider } from '@sallyport/sdk';
import type { Credential } from '../credential.js';
import type { Material } from '../material.js';

/** Told of every `Authorization` value that is handed out, and of what it was made: whoever sees it refused can `invalidate` that. Must not throw. */
export type OnIssued = (authorization: string, credential: Credential, material: Material) => void;

/** Who hears of what a provider hands out. */
export interface BearerProviderOptions {
  readonly onIssued?: OnIssued;
}

const REUSE_MS = 60_000;

/**
 * A provider for plugins and routes that gives every call `Authorization: Bearer` with the material of the credential, whatever the context. Errors: those
 * of `Credential.resolve`.
 *
 * `expiresAt` is at most a minute away, even when the token lives longer: the gateway asks the credential again then, which costs nothing, and lets it
 * refresh the token in the background long before the token expires.
 */
export function bearerProvider(credential: Credential, { onIssued }: BearerProviderOptions = {}): CredentialProvider {
  return {
    async getCredentials(_context, _request, { signal }) {
      const material = await credential.resolve(signal);
      const reuseUntil = Date.now() + REUSE_MS;
      const authorization = `Bearer ${material.secret.reveal()}`;
      onIssued?.(authorization, credential, material);
      return { headers: { Authorization: authorization }, expiresAt: Math.min(material.expiresAt ?? reuseUntil, reuseUntil) };
    },
  };
}
