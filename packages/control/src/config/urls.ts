import { configValues } from '@sallyport/gateway';

const { text } = configValues;

const LOOPBACK_NAME = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Whether a URL leads to this machine and no further. */
export function isLoopbackUrl(url: URL): boolean {
  return LOOPBACK_NAME.test(url.hostname);
}

/** An http:// or https:// URL without a path: where a service is reached. Answers it without a slash at its end. */
export function originUrl() {
  const expected = 'expected an http:// or https:// URL without a path, such as https://app.example.com';
  return text('an http:// or https:// URL').transform((written, issues) => {
    const url = webUrl(written);
    if (url !== null && url.pathname === '/' && url.search === '' && url.hash === '' && !/[?#]/.test(written)) return url.origin;
    issues.addIssue({ code: 'custom', message: expected });
    return '';
  });
}

/** An absolute URL that credentials may be sent to or keys be fetched from: https, or http on this machine when `loopback` allows it. As written. */
export function secureUrl({ loopback }: { readonly loopback: boolean }) {
  const expected = `expected an https:// URL without user information or a fragment${loopback ? '; http:// only for loopback addresses' : ''}`;
  return text('an https:// URL').refine((written) => {
    const url = webUrl(written);
    if (url === null || url.hash !== '' || written.includes('#')) return false;
    return url.protocol === 'https:' || (loopback && isLoopbackUrl(url));
  }, expected);
}

/** An http or https URL that everybody reads alike; null for anything else, and for one with user information. */
export function webUrl(written: string): URL | null {
  if (!/^https?:\/\/[^/?#@\\]+(?:[/?#]|$)/i.test(written) || !/^[\x21-\x5b\x5d-\x7e]*$/.test(written)) return null;
  const url = URL.parse(written);
  return url === null || url.username !== '' || url.password !== '' ? null : url;
}
