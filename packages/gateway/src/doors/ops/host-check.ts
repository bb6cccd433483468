/** The name or address in a Host header; IPv6 addresses stand in brackets (RFC 9110 §7.2). */
const HOST = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::\d*)?$/i;

/** True for the addresses that only this machine can reach, as sockets print them. */
export function isLoopbackAddress(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./.test(address);
}

/**
 * Whether a request with this Host header may be answered on a listener that only this machine can reach. A web page can make a browser ask us
 * under a name of its own that it has pointed at 127.0.0.1 (DNS rebinding), and could then read the answer; it cannot do so under our names.
 */
export function namesThisMachine(header: string | undefined, configuredHost: string): boolean {
  const host = HOST.exec(header ?? '')?.[1]?.toLowerCase();
  if (host === undefined) return false;
  return (
    host === 'localhost' ||
    host === '127.0.0.1' ||
    host === '[::1]' ||
    host === configuredHost.toLowerCase() ||
    host === `[${configuredHost.toLowerCase()}]`
  );
}
