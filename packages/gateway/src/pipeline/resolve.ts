import type { Credential, Material } from '@sallyport/credentials';

/** The fresh material of a credential: at once when it is at hand, otherwise a promise that settles when it is, fails, or is given up. */
export function resolve(credential: Credential, signal: () => AbortSignal): Material | Promise<Material> {
  return credential.current() ?? credential.resolve(signal());
}
