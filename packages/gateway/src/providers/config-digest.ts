import { createHash } from 'node:crypto';
import { Secret } from '@sallyport/sdk';

/** A digest of a part of a configuration: the same for two parts that mean the same, whatever the order of their keys. Holds no secret. */
export function configDigest(part: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(canonical(part)))
    .digest('base64');
}

function canonical(part: unknown): unknown {
  if (part instanceof Secret) return { secret: createHash('sha256').update(part.reveal()).digest('base64') };
  if (Array.isArray(part)) return part.map(canonical);
  if (typeof part !== 'object' || part === null) return part;
  const entries = Object.entries(part).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [key, canonical(value)]));
}
