import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import type { Secret } from '@sallyport/sdk';

/**
 * Seals short texts that leave this process and come back (cursors), or that lie in the database for a while (stored outcomes). All processes with
 * the same key open what any of them sealed.
 */
export interface Sealer {
  /** AES-256-GCM, as base64url. `context` is authenticated with the text: it opens under the same context only. */
  seal(text: string, context: string): string;
  /** Undefined when it was not sealed with a key of this sealer and this context, or was touched. */
  open(sealed: string, context: string): string | undefined;
  /** HMAC-SHA256 as hex: equal texts have equal digests, and without the key nobody can try texts until one fits. */
  digest(text: string, context: string): string;
}

interface Keys {
  readonly sealing: Buffer;
  readonly digesting: Buffer;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MINIMUM_KEY_BYTES = 16;

/** The first key seals and digests; the others are former ones and only open. Each is at least 16 bytes of UTF-8, taken from a random source. */
export function createSealer(keys: readonly [Secret, ...Secret[]]): Sealer {
  const derived: readonly [Keys, ...Keys[]] = [derive(keys[0]), ...keys.slice(1).map(derive)];
  const [current] = derived;

  function seal(text: string, context: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', current.sealing, nonce).setAAD(Buffer.from(context));
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64url');
  }

  function open(sealed: string, context: string): string | undefined {
    const bytes = Buffer.from(sealed, 'base64url');
    // The decoder skips what is not base64url, so one seal would have many spellings.
    if (bytes.length < NONCE_BYTES + TAG_BYTES || bytes.toString('base64url') !== sealed) return undefined;
    for (const { sealing } of derived) {
      const text = openWith(sealing, bytes, context);
      if (text !== undefined) return text;
    }
    return undefined;
  }

  return {
    seal,
    open,
    digest: (text, context) =>
      createHmac('sha256', current.digesting)
        .update(`${Buffer.byteLength(context)}:${context}`)
        .update(text)
        .digest('hex'),
  };
}

function openWith(key: Buffer, bytes: Buffer, context: string): string | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(context))
    .setAuthTag(bytes.subarray(-TAG_BYTES));
  const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
  try {
    return Buffer.concat([text, decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

/** Two keys of their own from each, so that none serves two purposes. */
function derive(key: Secret): Keys {
  const material = Buffer.from(key.reveal());
  if (material.length < MINIMUM_KEY_BYTES) throw new RangeError(`The key of a sealer has at least ${MINIMUM_KEY_BYTES} bytes.`);
  const part = (purpose: string): Buffer => Buffer.from(hkdfSync('sha256', material, '', `sallyport control ${purpose}`, 32));
  return { sealing: part('seal'), digesting: part('digest') };
}
