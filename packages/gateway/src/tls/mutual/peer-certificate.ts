import type { X509Certificate } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';
import { type ClientCertificate, clientCertificate, type PresentedCertificate } from './client-certificate.js';
import type { ClientTrust } from './client-trust.js';

/**
 * A certificate that was good when it came, and is asked about at every request since: that costs two comparisons until the authorities change or
 * something expires, and then one verification. Used for the certificate of a TLS connection and for those that a balancer tells of.
 */
export class PeerCertificate implements PresentedCertificate {
  readonly certificate: ClientCertificate;
  readonly #leaf: X509Certificate;
  readonly #sent: readonly X509Certificate[];
  readonly #current: () => ClientTrust | null;
  #verifiedUnder: ClientTrust | null;
  #validUntil: number;

  /**
   * `current` answers the authorities of the moment, null when there are none to verify against. `verifiedUnder` are those that the certificate has
   * been verified against already; null when it has to be done.
   */
  constructor(leaf: X509Certificate, sent: readonly X509Certificate[], current: () => ClientTrust | null, verifiedUnder: ClientTrust | null) {
    this.certificate = clientCertificate(leaf);
    this.#leaf = leaf;
    this.#sent = sent;
    this.#current = current;
    this.#verifiedUnder = verifiedUnder;
    this.#validUntil = Math.min(Date.parse(leaf.validTo), verifiedUnder?.listsValidUntil ?? Number.POSITIVE_INFINITY);
  }

  refusal(): SallyportError | null {
    const trust = this.#current();
    const now = Date.now();
    if (trust === this.#verifiedUnder && now < this.#validUntil) return null;
    const verdict = trust === null ? { fault: 'it has expired' } : trust.verify(this.#leaf, this.#sent, now);
    if ('fault' in verdict) {
      return new SallyportError('client_certificate_unacceptable', { detail: `the client certificate is not acceptable: ${verdict.fault}` });
    }
    this.#verifiedUnder = trust;
    this.#validUntil = verdict.validUntil;
    return null;
  }
}
