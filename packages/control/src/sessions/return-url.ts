import { SallyportError } from '@sallyport/sdk';

/** Where a browser may be sent back to. */
export interface ReturnUrls {
  /** The URL in the one spelling that everybody reads alike. Fails with `return_url_not_allowed`. */
  require(text: string): string;
  allows(text: string): boolean;
}

interface Entry {
  readonly origin: string;
  /** Ends in a slash when everything below it is meant. */
  readonly path: string;
}

const LONGEST = 2048;

/**
 * The list of places: each an https or http URL without query, whose origin has to be met exactly; `https://app.example.com/market` allows that path
 * and what lies below it, `https://app.example.com` all paths. Fails with `config_invalid` for an entry that is none.
 */
export function returnUrls(entries: readonly string[]): ReturnUrls {
  const allowed = entries.map(readEntry);
  const read = (text: string): URL | undefined => {
    const url = readPlainUrl(text);
    return url !== undefined && !url.searchParams.has('auth_token') && allowed.some((entry) => isBelow(entry, url)) ? url : undefined;
  };
  return {
    require(text) {
      const url = read(text);
      if (url === undefined) throw new SallyportError('return_url_not_allowed');
      return url.href;
    },
    allows: (text) => read(text) !== undefined,
  };
}

/**
 * A URL that browsers, proxies and servers cannot read in two ways: absolute, no user information, no backslash, blank or control character anywhere,
 * and no encoded slash or backslash in the path, which a server may decode and then walk up from.
 */
function readPlainUrl(text: string): URL | undefined {
  if (text.length > LONGEST || !/^https?:\/\/[^/?#@]+(?:[/?#]|$)/i.test(text) || !/^[\x21-\x5b\x5d-\x7e]*$/.test(text)) return undefined;
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '' || /%(?:2f|5c)/i.test(url.pathname)) return undefined;
  return url;
}

function readEntry(text: string): Entry {
  const url = readPlainUrl(text);
  // A pattern would be taken for the name of a host, which no browser ever comes from.
  if (url === undefined || url.search !== '' || url.hash !== '' || text.includes('*')) {
    throw new SallyportError('config_invalid', { detail: `\`${text}\` is not a URL that browsers can be sent back to` });
  }
  return { origin: url.origin, path: url.pathname };
}

// A segment is a border: `/market` does not reach `/marketing`.
function isBelow({ origin, path }: Entry, url: URL): boolean {
  const folder = path.endsWith('/') ? path : `${path}/`;
  return url.origin === origin && (url.pathname === path || url.pathname.startsWith(folder));
}
