import type { IncomingMessage } from 'node:http';
import { type CertificateSigner, SallyportError } from '@sallyport/sdk';
import { signRequest } from './signing.js';

const LONGEST_BODY = 64 * 1024;

/** What the endpoint works with. */
export interface SigningServices {
  /** The plugin's; null when no plugin signs. */
  readonly signer: CertificateSigner | null;
  /** Milliseconds that the signer has. */
  readonly timeout: number;
}

/**
 * `POST /_ops/certs/sign` of the ops listener: a certificate request as PEM in the body, at most 64 KiB; the answer is the certificate with its
 * chain as PEM. Throws what `signRequest` throws, and `certificate_request_invalid` for a body that is too long or a request that a web page made.
 */
export async function signOverHttp(request: IncomingMessage, { signer, timeout }: SigningServices): Promise<{ type: string; body: string }> {
  // The listener asks nobody for a token, and a page in a browser on this machine could post to it; browsers say so in this field.
  if (request.headers.origin !== undefined) {
    throw new SallyportError('certificate_request_invalid', { detail: 'It comes from a web page.', hint: 'Send it from the command line.' });
  }
  const csr = await bodyOf(request);
  const { pem } = await signRequest({ csr, signer, signal: AbortSignal.timeout(timeout) });
  return { type: 'application/pem-certificate-chain', body: pem };
}

function bodyOf(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= LONGEST_BODY) chunks.push(chunk);
      // The rest stays unread: ending the stream here would end the connection that the refusal goes out on.
      else reject(new SallyportError('certificate_request_invalid', { detail: `The body has more than ${LONGEST_BODY} bytes.` }));
      if (size > LONGEST_BODY) request.pause();
    });
    request.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.once('close', () => reject(new SallyportError('client_aborted')));
  });
}
