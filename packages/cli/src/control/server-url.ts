/**
 * The address of a server out of text: http or https, no name or password, no query, no fragment, and no slash at its end. Otherwise what is wrong with
 * it, as a clause.
 */
export function parseServerUrl(text: string): { readonly url: URL } | { readonly problem: string } {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) return { problem: 'is not an address such as https://sallyport.example.com' };
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return { problem: 'begins with neither https:// nor http://' };
  if (url.username !== '' || url.password !== '') return { problem: 'may not hold a name or a password' };
  if (url.search !== '' || url.hash !== '') return { problem: 'may not have a query or a fragment' };
  url.pathname = url.pathname.replace(/\/+$/, '');
  return { url };
}

/** The path of the address without the slash at its end: empty for a server that has no folder of its own. */
export function basePath(url: URL): string {
  return url.pathname === '/' ? '' : url.pathname;
}

/** Whether what is sent there stays on this machine: `localhost` and the loopback addresses. */
export function isLoopback({ hostname }: URL): boolean {
  return isLoopbackHost(hostname);
}

/** The same for the name of a host, an IPv6 address in its brackets. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.[0-9]{1,3}){3}$/.test(hostname);
}
