import type { Credential, Material } from '@sallyport/credentials';

/** The fresh material of a credential that is not at hand: settles when it is there, fails, or is given up. */
export async function resolve(credential: Credential, signal: AbortSignal): Promise<Material> {
  return await credential.resolve(signal);
}
