import { SallyportError } from '@sallyport/sdk';

/** What If-Match asks for: any version, or one of these. */
export type VersionCondition = '*' | readonly number[];

/** The strong ETag of a row (RFC 9110 §8.8.3): its version, in quotes. */
export function entityTag(row: { readonly version: number }): string {
  return `"${row.version}"`;
}

const TAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/;

/**
 * Reads an If-Match field (RFC 9110 §13.1.1): undefined when there is none. Weak tags and tags that we never gave out match nothing; what is no tag
 * at all is refused with `precondition_invalid`.
 */
export function parseIfMatch(field: string | undefined): VersionCondition | undefined {
  if (field === undefined) return undefined;
  const text = field.trim();
  if (text === '*') return '*';
  // A comma may stand inside a tag by the grammar. In ours none does, so one that has is not ours, and the pieces are no tags.
  const tags = text.split(',').map((tag) => tag.trim());
  if (tags.some((tag) => !TAG.test(tag))) throw new SallyportError('precondition_invalid');
  return tags.flatMap((tag) => (/^"[1-9]\d{0,14}"$/.test(tag) ? [Number(tag.slice(1, -1))] : []));
}

/** Throws `precondition_failed` unless the row has a version that the condition names. Call it inside the transaction that changes the row. */
export function checkVersion(row: { readonly version: number }, condition: VersionCondition | undefined): void {
  if (condition === undefined || condition === '*' || condition.includes(row.version)) return;
  throw new SallyportError('precondition_failed', { members: { etag: entityTag(row) } });
}
