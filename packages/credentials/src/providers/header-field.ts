/** Fields that frame the message or belong to the connection: a credential that sets one breaks the request. */
const RESERVED = /^(?:connection|content-length|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i;

/** Why this cannot be the name of the header field that carries a credential (RFC 9110 §5.1); null when it can. */
export function nameProblem(name: string): string | null {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/.test(name)) return 'is not the name of a header field';
  return RESERVED.test(name) ? 'belongs to the connection and cannot carry a credential' : null;
}

/** Why this cannot be the value of a header field (RFC 9110 §5.5); null when it can. Quotes nothing of it. */
export function valueProblem(value: string): string | null {
  if (value === '') return 'is empty';
  if (value.trim() !== value) return 'begins or ends with white space';
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value) ? null : 'holds characters that a header field cannot carry';
}
