import type { KeyObject } from 'node:crypto';
import { ciphertextInvalid, openBytes, sealBytes } from './aes-gcm.js';

/** Where a ciphertext belongs. It opens at exactly this place and nowhere else. */
export interface CiphertextPlace {
  readonly table: string;
  readonly column: string;
  /** The id of the row. */
  readonly row: string;
  /** The namespace of the row; its key encrypts, unless the place says otherwise. */
  readonly namespace: string;
  /** For credentials: the hosts that the secret may be sent to. Order, case and repetition do not matter. */
  readonly hosts?: readonly string[] | undefined;
}

/** An envelope taken apart. */
export interface Envelope {
  readonly keyVersion: string;
  readonly sealed: Buffer;
}

/** What every stored ciphertext begins with; the id of the key version follows. */
const ENVELOPE_START = '{"id":"';
const ENVELOPE = /^\{"id":"(ekv_[0-9A-Za-z-]{8,64})","d":"/;
const ENVELOPE_END = '"}';
const AAD_LABEL = 'sallyport ciphertext 1';
/** More than any column holds; what is longer is refused before anything is copied. */
const ENVELOPE_LIMIT = 32 * 1024 * 1024;

/**
 * The stored form of a secret: `{"id":"ekv_…","d":"…"}`, always in exactly this spelling, where `d` is the base64 of nonce ‖ ciphertext ‖ tag.
 * The caller answers for the number of messages per key.
 */
export function sealEnvelope(keyVersion: string, key: KeyObject, place: CiphertextPlace, plaintext: Uint8Array): string {
  const sealed = sealBytes(key, plaintext, associatedData(keyVersion, place));
  return `${ENVELOPE_START}${keyVersion}","d":"${sealed.toString('base64')}"}`;
}

/** The plaintext of an envelope at its place; `ciphertext_invalid` when it was changed, cut, or moved here from elsewhere. */
export function openEnvelope(envelope: Envelope, key: KeyObject, place: CiphertextPlace): Buffer {
  return openBytes(key, envelope.sealed, associatedData(envelope.keyVersion, place));
}

/** Takes an envelope apart. `ciphertext_invalid` for any other spelling: one ciphertext has one text. */
export function parseEnvelope(text: string): Envelope {
  const [start = '', keyVersion = ''] = (text.length > ENVELOPE_LIMIT ? null : ENVELOPE.exec(text)) ?? [];
  const data = text.slice(start.length, -ENVELOPE_END.length);
  const sealed = Buffer.from(data, 'base64');
  // The decoder passes over what is not base64, which then does not come back: with that, all of the text has been looked at.
  if (start === '' || !text.endsWith(ENVELOPE_END) || sealed.toString('base64') !== data)
    throw ciphertextInvalid('It is not of the form {"id":"ekv_…","d":"…"}.');
  return { keyVersion, sealed };
}

/** Which version of a key made this ciphertext. Throws `ciphertext_invalid`. */
export function keyVersionOf(text: string): string {
  return parseEnvelope(text).keyVersion;
}

/**
 * The additional data: every part with its length in front, and the number of hosts in front of the hosts, so that no two places have the same
 * bytes. No hosts and an empty list of hosts are two different things: the second secret may be sent nowhere.
 */
export function associatedData(keyVersion: string, { table, column, row, namespace, hosts }: CiphertextPlace): Buffer {
  const canonical = hosts === undefined ? [] : [...new Set(hosts.map((host) => host.toLowerCase()))].sort();
  const count = hosts === undefined ? 'any' : String(canonical.length);
  const parts: Buffer[] = [];
  for (const part of [AAD_LABEL, keyVersion, table, column, row, namespace, count, ...canonical]) {
    // A lone surrogate would turn into U+FFFD, and so one place into another.
    if (!part.isWellFormed()) throw ciphertextInvalid('Its place is named by something that is not text.');
    const bytes = Buffer.from(part, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    parts.push(length, bytes);
  }
  return Buffer.concat(parts);
}
