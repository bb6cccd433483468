import { type CertificateSigner, SallyportError } from '@sallyport/sdk';
import { type Chain, readChain, requireExpected } from './certificate-chain.js';
import { readRequest } from './certificate-request.js';

export interface SigningOptions {
  /** PEM of the request. */
  readonly csr: string;
  /** The plugin's; null when no plugin signs. */
  readonly signer: CertificateSigner | null;
  /** Ends the wait, whatever the signer does. */
  readonly signal: AbortSignal;
}

/**
 * Has a certificate request signed, and answers the certificate with its chain once it has been found to be what was asked for: for the key of the
 * request, for exactly its names, valid now, no authority, the chain in its order. Throws `signing_not_configured`, `certificate_request_invalid`,
 * `certificate_request_nameless`, `plugin_timeout` when `signal` is aborted first, `plugin_failed`, and `plugin_result_invalid` with the code of the
 * failed check as `reason`.
 */
export async function signRequest({ csr, signer, signal }: SigningOptions): Promise<Chain> {
  if (signer === null) throw new SallyportError('signing_not_configured', { members: { error: 'certificate signing not configured' } });
  const request = await readRequest(csr);
  const answer: unknown = await ask(signer, request.csr, signal);
  if (typeof answer !== 'string') throw new SallyportError('plugin_result_invalid', { detail: '`signCsr` answered no text.' });
  try {
    const chain = readChain(answer);
    await requireExpected(chain, { publicKey: request.publicKey, names: request.names, furtherNames: false, now: Date.now() });
    return chain;
  } catch (cause) {
    if (!(cause instanceof SallyportError)) throw cause;
    throw new SallyportError('plugin_result_invalid', {
      detail: `\`signCsr\` answered a certificate that is not used: ${cause.message}`,
      hint: cause.hint,
      members: { reason: cause.code },
      cause,
    });
  }
}

async function ask(signer: CertificateSigner, csr: string, signal: AbortSignal): Promise<unknown> {
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = (): void => reject(new SallyportError('plugin_timeout', { detail: '`signCsr` did not answer in time.' }));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    // In a promise of its own, so that what it throws at once is told from our own errors too.
    return await Promise.race([aborted, Promise.resolve().then(() => signer.signCsr(csr, { signal }))]);
  } catch (cause) {
    if (cause instanceof SallyportError) throw cause;
    throw new SallyportError('plugin_failed', { detail: '`signCsr` failed.', cause });
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
