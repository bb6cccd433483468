import { createPublicKey, KeyObject, webcrypto } from 'node:crypto';
import type { Pkcs10CertificateRequest } from '@peculiar/x509';
import { SallyportError } from '@sallyport/sdk';
import { elements } from '../der.js';
import { type AlternativeName, namesIn } from './alternative-names.js';
import { x509Library } from './x509-library.js';

/** What a certificate is asked for. */
export interface RequestedSubject {
  /** 1 to 64 printable characters. */
  readonly commonName: string;
  /** At least one. */
  readonly names: readonly AlternativeName[];
}

/** A new P-256 key with the request for its certificate. The key shows nothing when it is printed. */
export interface CertificateRequest {
  readonly key: KeyObject;
  /** PEM, with a newline at the end. */
  readonly csr: string;
}

/** A certificate request that was read: its signature proves that whoever made it has the key. */
export interface ReadRequest {
  /** The request alone, PEM. */
  readonly csr: string;
  readonly publicKey: KeyObject;
  readonly names: readonly AlternativeName[];
}

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
/** `ub-common-name`, RFC 5280 appendix A.1. */
const COMMON_NAME = /^[^\p{Cc}\p{Cs}]{1,64}$/u;
const LONGEST_REQUEST = 64 * 1024;
const BLOCK = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]*)-----END (?:NEW )?CERTIFICATE REQUEST-----/g;

/** A new key and a PKCS#10 request (RFC 2986) for it. Throws `certificate_name_invalid` when the common name cannot be one. */
export async function makeRequest({ commonName, names }: RequestedSubject): Promise<CertificateRequest> {
  if (!COMMON_NAME.test(commonName)) {
    throw new SallyportError('certificate_name_invalid', {
      detail: `The common name ${JSON.stringify(commonName)} is none.`,
      hint: 'Use 1 to 64 printable characters.',
    });
  }
  const { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } = await x509Library();
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create(
    { name: [{ CN: [commonName] }], keys, signingAlgorithm: P256, extensions: [new SubjectAlternativeNameExtension([...names])] },
    webcrypto,
  );
  return { key: KeyObject.from(keys.privateKey), csr: pemOf(request) };
}

/**
 * Reads one PKCS#10 request from PEM text of at most 64 KiB and verifies its signature. Throws `certificate_request_invalid` when it cannot be
 * read or was not signed with its own key, `certificate_request_nameless` when it asks for no subject alternative name.
 */
export async function readRequest(text: string): Promise<ReadRequest> {
  if (text.length > LONGEST_REQUEST) throw invalid(`It has ${text.length} characters, and ${LONGEST_REQUEST} are the most.`);
  const blocks = [...text.matchAll(BLOCK)];
  if (blocks.length !== 1)
    throw invalid(`It holds ${blocks.length === 0 ? 'no' : blocks.length} PEM blocks with a certificate request; there must be one.`);
  const request = await parsed(blocks[0][1]);
  if (request.names.length === 0) throw new SallyportError('certificate_request_nameless');
  return request;
}

async function parsed(base64: string): Promise<ReadRequest> {
  const { Pkcs10CertificateRequest } = await x509Library();
  let signed: boolean;
  let read: ReadRequest;
  try {
    const der = Buffer.from(base64, 'base64');
    // The library passes over bytes behind the request and a length that is not there, which the signer might not.
    if (elements(der).length !== 1) throw new RangeError('There is more than the request.');
    const request = new Pkcs10CertificateRequest(der);
    signed = await request.verify(webcrypto);
    const publicKey = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: 'der', type: 'spki' });
    read = { csr: pemOf(request), publicKey, names: await namesIn(request) };
  } catch (cause) {
    throw new SallyportError('certificate_request_invalid', { detail: 'The certificate request is damaged, or of a kind that is not known.', cause });
  }
  if (!signed) throw invalid('The certificate request was not signed with the key that it is for.');
  return read;
}

function pemOf(request: Pkcs10CertificateRequest): string {
  return `${request.toString('pem').trimEnd()}\n`;
}

function invalid(detail: string): SallyportError {
  return new SallyportError('certificate_request_invalid', { detail });
}
