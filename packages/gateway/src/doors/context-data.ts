import { SallyportError } from '@sallyport/sdk';

/**
 * Checks a Context-Data value: standard Base64 with padding of a JSON object, or of `null`, or nothing. Errors: `context_data_invalid`, which says
 * whether Base64 or JSON is at fault and never repeats the data.
 */
export function checkContextData(value: string | null): void {
  if (value === null || value === '') return;
  if (value.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(value)) throw invalid('invalid base64 encoding');
  let data: unknown;
  try {
    data = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'base64')));
  } catch {
    throw invalid('invalid JSON');
  }
  if (typeof data !== 'object' || Array.isArray(data)) throw invalid('not a JSON object');
}

function invalid(what: string): SallyportError {
  return new SallyportError('context_data_invalid', { detail: `the context data cannot be used: ${what}` });
}
