/** Fields that frame a message, or end at the next hop (RFC 9110 §7.6.1): the gateway writes them. */
const reserved: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** True for a header field that a plugin may not set. */
export function isReserved(name: string): boolean {
  return reserved.has(name.toLowerCase());
}

/** What is wrong with a header field on the wire (RFC 9110 §5.1, §5.5), without its value; null when it can be sent. */
export function fieldProblem(name: string, value: unknown): string | null {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) return `the header field name ${JSON.stringify(name)} holds a character that a name cannot`;
  if (typeof value !== 'string') return `the value of ${name} is ${value === null ? 'null' : `of type ${typeof value}`}, not a text`;
  if (value === '') return `the value of ${name} is empty`;
  if (/^[ \t]|[ \t]$/.test(value)) return `the value of ${name} begins or ends with white space`;
  if (!/^[\t\x20-\x7e\x80-\xff]+$/.test(value)) return `the value of ${name} holds a line break, a control character or one beyond ISO 8859-1`;
  return null;
}

/** What is wrong with the time when a credential expires; null when it can be kept. */
export function expiryProblem(expiresAt: unknown, now: number): string | null {
  const wanted = 'it is milliseconds since the epoch, as of Date.now(), a little before the real expiry';
  if (expiresAt instanceof Date) return 'expiresAt is a Date; use getTime()';
  if (typeof expiresAt !== 'number') return `expiresAt is ${expiresAt === null ? 'null' : `of type ${typeof expiresAt}`}; ${wanted}`;
  if (!Number.isFinite(expiresAt)) return `expiresAt is ${expiresAt}; ${wanted}`;
  if (expiresAt > now) return null;
  if (expiresAt * 1000 > now) return 'expiresAt lies in the past, and would not if it were seconds; multiply by 1000';
  return expiresAt === 0 ? `expiresAt is 0; ${wanted}` : 'expiresAt lies in the past';
}
