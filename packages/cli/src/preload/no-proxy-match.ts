/**
 * Whether a host is reached directly, by a list as in NO_PROXY: names with their subdomains (with or without `.` or `*.` in front), addresses, each
 * with an optional port, or `*` for everything; separated by commas or spaces.
 */
export function bypasses(noProxy: string, host: string, port: number): boolean {
  const name = host.toLowerCase().replace(/^\[|\]$/g, '');
  return noProxy.split(/[\s,]+/).some((entry) => {
    if (entry === '' || entry === '*') return entry === '*';
    const [, pattern = '', wantedPort] = /^(.*?)(?::([0-9]+))?$/.exec(entry.toLowerCase()) ?? [];
    // In a bare IPv6 address the last colon is not one of a port.
    const [text, limited] = entry.split(':').length > 2 && !entry.startsWith('[') ? [entry.toLowerCase(), undefined] : [pattern, wantedPort];
    if (limited !== undefined && Number(limited) !== port) return false;
    const wanted = text.replace(/^\*?\.|^\[|\]$/g, '');
    return name === wanted || name.endsWith(`.${wanted}`);
  });
}
