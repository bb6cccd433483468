import { createHash } from 'node:crypto';
import { SallyportError, type TransactionContext } from '@sallyport/sdk';

const DEEPEST = 64;
const LONGEST = 1_048_576;

/**
 * What credentials are kept under: SHA-256, in lower-case hex, over the caller and everything that the context says, but for the trace id. Data
 * that is absent, null or empty counts as the same; the order of its keys does not matter. Every part is written with its kind and its length, so
 * that no content of one can be taken for another. Errors: `context_data_invalid` for data nested more than 64 deep or larger than 1 MiB.
 */
export function contextHash(context: TransactionContext, caller: string | null): string {
  const { targetUrl, environmentId, marketplaceId, vendorId, productId, subscriptionId, data } = context;
  const parts = [targetUrl, environmentId, marketplaceId, vendorId, productId, subscriptionId].map(text);
  const encoded = `${caller === null ? 'n' : text(caller)}${parts.join('')}${data === null ? members({}, 0) : value(data, 0)}`;
  // Two bytes for each unit: UTF-8 would make one and the same of all lone surrogates.
  return createHash('sha256').update(encoded, 'utf16le').digest('hex');
}

/**
 * The key of a request on the hot path: caller and header values as they came, each with its length. Requests with the same key have the same
 * context; the reverse need not hold, as JSON can be written in more than one way. No hash, no decoding.
 */
export function rawContextKey(caller: string | null, values: readonly (string | null)[]): string {
  let key = caller === null ? '-' : `${caller.length}:${caller}`;
  for (const one of values) key += one === null ? '-' : `${one.length}:${one}`;
  return key;
}

function value(part: unknown, depth: number): string {
  if (depth > DEEPEST) throw unusable(`is nested more than ${DEEPEST} deep`);
  if (part === null || part === undefined) return 'n';
  switch (typeof part) {
    case 'string':
      return text(part);
    case 'number':
      return tagged('d', String(part));
    case 'boolean':
      return part ? 't' : 'f';
    case 'object':
      return Array.isArray(part) ? items(part, depth) : members(part as Readonly<Record<string, unknown>>, depth);
    default:
      throw unusable(`holds a ${typeof part}`);
  }
}

function text(part: string): string {
  return tagged('s', part);
}

function tagged(kind: string, part: string): string {
  return `${kind}${part.length}:${part}`;
}

function items(list: readonly unknown[], depth: number): string {
  return bounded(`a${list.length}:`, list, (item) => value(item, depth + 1));
}

function members(object: Readonly<Record<string, unknown>>, depth: number): string {
  const keys = Object.keys(object).sort((a, b) => (a < b ? -1 : 1));
  return bounded(`o${keys.length}:`, keys, (key) => text(key) + value(object[key], depth + 1));
}

function bounded<T>(beginning: string, parts: readonly T[], encode: (part: T) => string): string {
  let encoded = beginning;
  for (const part of parts) {
    encoded += encode(part);
    if (encoded.length > LONGEST) throw unusable(`is larger than ${LONGEST} characters`);
  }
  return encoded;
}

function unusable(what: string): SallyportError {
  return new SallyportError('context_data_invalid', { detail: `the context data cannot be used: it ${what}` });
}
