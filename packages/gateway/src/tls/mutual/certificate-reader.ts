import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import type { LRUCache } from 'lru-cache';
import { fieldId } from '../../wire/field-names.js';
import type { ServerConnection } from '../../wire/server-connection.js';
import type { PresentedCertificate } from './client-certificate.js';
import type { ClientTrust } from './client-trust.js';
import { FORWARDED_FIELDS, type ForwardedCertificates } from './forwarded-certificates.js';
import { PeerCertificate } from './peer-certificate.js';

/**
 * Answers the certificate that the request which is open on the connection was sent with, the same object for as long as it is the same one; null on
 * a listener that asks for none. Never throws. Errors: `proxy_untrusted`, `client_certificate_required`, `client_certificate_malformed`,
 * `client_certificate_unacceptable`.
 */
export type CertificateReader = (connection: ServerConnection) => PresentedCertificate | SallyportError | null;

/** What a listener asks of its clients at the moment. */
interface CertificateDemands {
  readonly trust: ClientTrust | null;
  readonly forwarded: ForwardedCertificates | null;
  readonly intermediates: Intermediates;
}

/**
 * Authorities that clients sent along in their handshakes, by fingerprint. A session that is resumed brings back the certificate of its client but
 * not what was sent with it. They are candidates for a chain and prove nothing by being here.
 */
export type Intermediates = LRUCache<string, X509Certificate>;

const MOST_SENT = 10;
const [ENVOY, CLIENT_CERT, CHAIN] = FORWARDED_FIELDS.map(fieldId);

/**
 * The reader for one connection. `verifiedUnder` are the authorities that its handshake is known to have used, null when that is not certain: then
 * the certificate is verified once more before the first request.
 */
export function certificateReader(socket: Socket, demands: CertificateDemands, verifiedUnder: ClientTrust | null): CertificateReader {
  const address = socket.remoteAddress ?? '';
  let peer: PeerCertificate | null = null;
  return (connection) => {
    const { trust, forwarded } = demands;
    if (trust === null && forwarded === null) return null;
    try {
      if (trust !== null) {
        peer ??= peerCertificate(socket, demands, verifiedUnder);
        const refusal = peer.refusal();
        // Nothing more can come of a connection that was made with this certificate.
        if (refusal !== null) connection.persistent = false;
        if (refusal !== null || forwarded === null) return refusal ?? peer;
      }
      return forwarded === null ? null : readForwarded(connection, forwarded, address);
    } catch (error) {
      return asSallyportError(error);
    }
  };
}

function peerCertificate(socket: Socket, demands: CertificateDemands, verifiedUnder: ClientTrust | null): PeerCertificate {
  // Once for each connection: Node gives the chain away with the first answer and has none for the next.
  const leaf = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  // The handshake does not finish without one.
  if (leaf === undefined) throw new SallyportError('client_certificate_required');
  const sent: X509Certificate[] = [];
  for (let one = leaf.issuerCertificate; one !== undefined && sent.length < MOST_SENT; one = one.issuerCertificate) sent.push(one);
  const { intermediates } = demands;
  for (const one of sent) intermediates.set(one.fingerprint256, one);
  return new PeerCertificate(leaf, sent.length > 0 ? sent : remembered(leaf, intermediates), () => demands.trust, verifiedUnder);
}

/** What is known of the chain above a certificate that came alone. */
function remembered(leaf: X509Certificate, intermediates: Intermediates): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let last = leaf; chain.length < MOST_SENT; ) {
    const issuer = [...intermediates.values()].find((one) => last.checkIssued(one));
    if (issuer === undefined || chain.includes(issuer)) break;
    intermediates.get(issuer.fingerprint256);
    chain.push(issuer);
    last = issuer;
  }
  return chain;
}

function readForwarded({ head }: ServerConnection, forwarded: ForwardedCertificates, address: string): PresentedCertificate {
  if (!forwarded.trusts(address)) {
    throw new SallyportError('proxy_untrusted', { detail: `this listener serves only its balancers, and ${address} is none of them` });
  }
  const wanted = forwarded.header === 'Client-Cert' ? CLIENT_CERT : ENVOY;
  const lines: string[] = [];
  const chain: string[] = [];
  for (let i = 0; i < head.count; i++) {
    const id = head.id[i];
    if (id !== ENVOY && id !== CLIENT_CERT && id !== CHAIN) continue;
    // None of them is for an upstream.
    head.cut[i] = 1;
    if (id === wanted) lines.push(head.valueAt(i));
    else if (id === CHAIN) chain.push(head.valueAt(i));
  }
  return forwarded.read(lines, chain);
}
