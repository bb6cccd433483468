import { Secret } from '@sallyport/sdk';

/** What a source hands out: a secret ready to be placed, with the moment from which it may no longer be used. Immutable. */
export interface Material {
  /** The main value, without one trailing line break. Never blank. */
  readonly secret: Secret;
  /** Further named parts, for example `AccessKeyId`, `SecretAccessKey`, `SessionToken`; empty when there is only the main value. */
  readonly fields: ReadonlyMap<string, Secret>;
  /** Milliseconds since the epoch; null when it does not expire. */
  readonly expiresAt: number | null;
}

const NO_FIELDS: ReadonlyMap<string, Secret> = new Map();

/** The text as material with one trailing LF or CRLF removed; null when it holds nothing but white space. */
export function plainMaterial(text: string, expiresAt: number | null): Material | null {
  if (text.trim() === '') return null;
  return { secret: new Secret(text.replace(/\r?\n$/, '')), fields: NO_FIELDS, expiresAt };
}

/** Strict UTF-8, a byte order mark removed; null when the bytes are anything else, since a lenient decoder would alter the secret silently. */
export function decodeText(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
