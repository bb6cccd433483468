/** What a balancer says about the client certificate in one element of `X-Forwarded-Client-Cert`, as Envoy writes it. */
export interface ForwardedElement {
  /** SHA-256 of the certificate in hexadecimal. */
  readonly hash: string | null;
  /** PEM, decoded. */
  readonly cert: string | null;
  /** PEM of the certificate and what is above it, decoded. */
  readonly chain: string | null;
  readonly subject: string | null;
  readonly uris: readonly string[];
  readonly dns: readonly string[];
}

const KEY = /([A-Za-z]+)=/y;
const BARE = /[^",;]*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/sy;

/**
 * The last element of an `X-Forwarded-Client-Cert` value: the one that the nearest proxy wrote. Whatever stands in front of it may come from the
 * client, but has to be well-formed all the same, so that no quotation mark in it can swallow a part of what the proxy wrote.
 * Null when the value is not well-formed or says a thing twice that can be only one. Linear in the length of the value.
 */
export function lastForwardedElement(value: string): ForwardedElement | null {
  for (let at = 0; ; ) {
    const element = readElement(value, at);
    if (element === null) return null;
    if (element.end === value.length) return element.read;
    at = element.end + 1;
    while (value[at] === ' ') at++;
  }
}

function readElement(value: string, start: number): { read: ForwardedElement; end: number } | null {
  const single = new Map<string, string>();
  const uris: string[] = [];
  const dns: string[] = [];
  for (let at = start; ; at++) {
    KEY.lastIndex = at;
    const key = KEY.exec(value)?.[1]?.toLowerCase();
    if (key === undefined) return null;
    at = KEY.lastIndex;
    const pattern = value[at] === '"' ? QUOTED : BARE;
    pattern.lastIndex = at;
    const match = pattern.exec(value);
    if (match === null) return null;
    const text = match[1] === undefined ? match[0].trimEnd() : match[1].replace(/\\(.)/gs, '$1');
    at = pattern.lastIndex;
    if (key === 'uri') uris.push(text);
    else if (key === 'dns') dns.push(text);
    else if (single.has(key)) return null;
    else single.set(key, text);
    if (at === value.length || value[at] === ',') return build(single, uris, dns, at);
    if (value[at] !== ';') return null;
  }
}

function build(
  single: ReadonlyMap<string, string>,
  uris: readonly string[],
  dns: readonly string[],
  end: number,
): { read: ForwardedElement; end: number } | null {
  const cert = percentDecoded(single.get('cert'));
  const chain = percentDecoded(single.get('chain'));
  if (cert === undefined || chain === undefined) return null;
  return { read: { hash: single.get('hash') ?? null, cert, chain, subject: single.get('subject') || null, uris: named(uris), dns: named(dns) }, end };
}

/** Envoy writes a key with nothing behind it where the certificate has no such name. */
function named(values: readonly string[]): string[] {
  return values.filter((value) => value !== '');
}

/** Null for what is not there, undefined for what cannot be decoded. */
function percentDecoded(text: string | undefined): string | null | undefined {
  if (text === undefined || text === '') return null;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
