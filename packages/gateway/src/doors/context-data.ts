import { SallyportError } from '@sallyport/sdk';

/**
 * What a Context-Data value says: standard Base64 with padding of a JSON object; null for `null`, or for nothing. Errors: `context_data_invalid`, which says
 * whether Base64 or JSON is at fault and never repeats the data.
 */
export function readContextData(value: string | null): Readonly<Record<string, unknown>> | null {
  if (value === null || value === '') return null;
  if (value.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(value)) throw invalid('invalid base64 encoding');
  let data: unknown;
  try {
    data = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'base64')));
  } catch {
    throw invalid('invalid JSON');
  }
  if (typeof data !== 'object' || Array.isArray(data)) throw invalid('not a JSON object');
  return data as Record<string, unknown> | null;
}

function invalid(what: string): SallyportError {
  return new SallyportError('context_data_invalid', { detail: `the context data cannot be used: ${what}` });
}
