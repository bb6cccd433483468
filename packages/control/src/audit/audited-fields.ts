import { Secret } from '@sallyport/sdk';
import type { Json } from '../database/canonical-json.js';
import type { Sealer } from '../database/sealer.js';

const LONGEST_MEMBER = 8_192;

/** What of a resource goes into the trail. What is secret comes in a `Secret`, however deep, and leaves as a digest. */
export interface AuditedFields {
  readonly [name: string]: AuditedValue | undefined;
}

type AuditedValue = string | number | boolean | null | Secret | AuditedFields | readonly AuditedValue[];

/**
 * The fields as JSON, each secret as `hmac-sha256:…`. Equal secrets have equal digests, so that one can see whether it changed; without the key of
 * the sealer nobody can try out what it was.
 */
function digestSecrets(value: AuditedValue, sealer: Sealer): Json {
  if (value instanceof Secret) return `hmac-sha256:${sealer.digest(value.reveal(), 'secret in the audit trail')}`;
  if (typeof value !== 'object' || value === null) return value;
  if (isList(value)) return value.map((member) => digestSecrets(member, sealer));
  const fields = Object.entries(value).flatMap(([name, member]) => (member === undefined ? [] : [[name, digestSecrets(member, sealer)]]));
  return Object.fromEntries(fields) as Json;
}

/**
 * The fields as they are stored: as {@link digestSecrets} has them, and a member of more than 8 KiB as its digest and size, because whoever makes
 * changes must not be able to fill the trail.
 */
export function storedFields(fields: AuditedFields, sealer: Sealer): string {
  const members = Object.entries(digestSecrets(fields, sealer) as { readonly [name: string]: Json });
  const bounded = members.map(([name, member]) => {
    const text = JSON.stringify(member);
    return [
      name,
      text.length <= LONGEST_MEMBER ? member : `hmac-sha256:${sealer.digest(text, 'long member in the audit trail')} of ${text.length} characters`,
    ];
  });
  return JSON.stringify(Object.fromEntries(bounded));
}

/** `Array.isArray` does not narrow a list that is readonly. */
function isList(value: AuditedFields | readonly AuditedValue[]): value is readonly AuditedValue[] {
  return Array.isArray(value);
}
