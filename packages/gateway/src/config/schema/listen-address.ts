import { isIP } from 'node:net';
import { integer, text } from './values.js';

const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

/** The address that a listener is on: this machine alone when left out. */
export function listenHost(meaning: string) {
  return text('an IP address or a host name')
    .refine((host) => isIP(host) !== 0 || HOST_NAME.test(host), 'expected an IP address (IPv6 without brackets) or a host name')
    .prefault('127.0.0.1')
    .describe(meaning);
}

/** The port that a listener is on. */
export function listenPort(port: number) {
  return integer(0, 65_535).prefault(port).describe('Port to listen on; 0 takes any free one.');
}

/** Whether nobody but this machine reaches a listener on this host. */
export function isLoopback(host: string): boolean {
  return host === '::1' || host.toLowerCase() === 'localhost' || /^127(\.[0-9]+){3}$/.test(host);
}

/** Whether two listeners on these hosts and one port would be in each other's way. */
export function overlap(left: string, right: string): boolean {
  if (isWildcard(left) || isWildcard(right)) return true;
  if (left.toLowerCase() === right.toLowerCase()) return true;
  const named = [left, right].map((host) => host.toLowerCase() === 'localhost');
  return named.some(Boolean) && ['127.0.0.1', '::1', 'localhost'].some((host) => host === (named[0] ? right : left).toLowerCase());
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
