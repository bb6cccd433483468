import type { Placement } from './placement.js';

/** Sets a query parameter to the material, percent-encoded (RFC 3986 §2.1). */
export function queryPlacement(name: string): Placement {
  return {
    fields: [],
    render(material) {
      const raw = material.secret.reveal();
      const value = encodeURIComponent(raw.toWellFormed());
      return { lines: '', parameter: { name, value }, values: value === raw ? [raw] : [value, raw] };
    },
  };
}

/**
 * The query with the parameter set: what the client sent under that name is taken out, everything else stays byte for byte and in its order.
 * `query` includes its `?`, or is empty.
 */
export function setParameter(query: string, name: string, value: string): string {
  const pairs = query.length > 1 ? query.slice(1).split('&') : [];
  const kept = pairs.filter((pair) => decodeName(pair) !== name);
  kept.push(`${encodeURIComponent(name)}=${value}`);
  return `?${kept.join('&')}`;
}

/** The name of a pair as a form decoder reads it; the raw text where it cannot be decoded. */
function decodeName(pair: string): string {
  const equals = pair.indexOf('=');
  const raw = (equals < 0 ? pair : pair.slice(0, equals)).replaceAll('+', ' ');
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}
