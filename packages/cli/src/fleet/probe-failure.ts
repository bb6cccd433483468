import { addressOf, type Endpoint } from './instance.js';

/** An answer that is not that of an instance; its message is for people. */
export class UnexpectedAnswer extends Error {}

const certificateCodes: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not signed by a trusted authority; register it with --ca',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not signed by a trusted authority; register it with --ca',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not signed by a trusted authority; register it with --ca',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not signed by a trusted authority; register it with --ca',
};

/** Why an instance cannot be reached and what may be behind it, on one line. Nothing that the instance sent is in it. */
export function probeFailure(endpoint: Pick<Endpoint, 'url'>, error: unknown, timeout: number): string {
  const address = addressOf(endpoint);
  if (error instanceof UnexpectedAnswer) return error.message;
  const code = codeOf(error);
  if (certificateCodes[code] !== undefined) return certificateCodes[code];
  switch (code) {
    case 'ECONNREFUSED':
      return `connection refused: nothing listens on ${address}; it may be down, or bound to localhost on its own machine`;
    case 'TimeoutError':
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return `no answer within ${timeout / 1000} s: a firewall may be in between, or it may be bound to localhost on its own machine`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name ${address.slice(0, address.lastIndexOf(':'))} does not resolve`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no route to it';
    case 'ECONNRESET':
    case 'UND_ERR_SOCKET':
      return `the connection was closed without an answer: the port may speak ${endpoint.url.startsWith('https:') ? 'http' : 'https'}`;
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return 'the TLS handshake failed: the port may speak http';
    case 'ENOENT':
    case 'EACCES':
      return 'the file with its authority or its token cannot be read';
    default:
      return `it cannot be reached (${code})`;
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason';
  if ('code' in error && typeof error.code === 'string') return error.code;
  // Of several addresses that were tried, the first says enough.
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  return error.name;
}
