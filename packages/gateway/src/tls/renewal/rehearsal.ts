import { duplexPair } from 'node:stream';
import { connect, createSecureContext, TLSSocket } from 'node:tls';
import { SallyportError } from '@sallyport/sdk';

/** A certificate with its chain, and its private key, both PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/**
 * A whole TLS 1.3 handshake in memory: a server with this pair, and a client that trusts `trust` alone (PEM certificates, roots or not; null: the
 * certificate itself). So what goes into use has been verified by the code that clients verify with: path, purposes, constraints, and that the key
 * can be used. Names are not looked at. Throws `certificate_untrusted` with OpenSSL's reason, `certificate_unreadable` when the pair is no pair.
 */
export async function rehearse(pair: KeyPair, trust: string | null): Promise<void> {
  const secureContext = contextOf(pair);
  const [near, far] = duplexPair();
  const server = new TLSSocket(near, { isServer: true, secureContext });
  // The client says what went wrong; this side only hears that it did.
  server.on('error', () => {});
  const client = connect({
    socket: far,
    ca: trust ?? pair.cert,
    allowPartialTrustChain: true,
    // The environment can turn this off for a whole process.
    rejectUnauthorized: true,
    checkServerIdentity: () => undefined,
    minVersion: 'TLSv1.3',
  });
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('secureConnect', resolve);
      client.once('error', (error: NodeJS.ErrnoException) => reject(untrusted(error.code ?? 'unknown reason', error)));
      client.once('close', () => reject(untrusted('the handshake was not finished')));
    });
  } finally {
    client.destroy();
    server.destroy();
  }
}

function contextOf(pair: KeyPair): ReturnType<typeof createSecureContext> {
  try {
    return createSecureContext(pair);
  } catch (cause) {
    throw new SallyportError('certificate_unreadable', { detail: 'TLS does not take the certificate together with its key.', cause });
  }
}

function untrusted(reason: string, cause?: unknown): SallyportError {
  return new SallyportError('certificate_untrusted', { detail: `A client that trusts the configured authority would refuse it (${reason}).`, cause });
}
