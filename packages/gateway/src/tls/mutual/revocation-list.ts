import { verify, type X509Certificate } from 'node:crypto';
import { contextConstructed, elements, TAG } from '../der.js';
import { certificateFields, readExtensions } from './client-certificate.js';
import { dotted } from './distinguished-name.js';

/** A certificate revocation list (RFC 5280 §5) whose signature was verified. */
export interface RevocationList {
  /** PEM, for OpenSSL. */
  readonly pem: string;
  /** SHA-256 of the certificate of the authority that signed it, as Node writes it. */
  readonly issuer: string;
  /** When it stops being good, milliseconds since the epoch. */
  readonly nextUpdate: number;
  /** Content of the serial numbers as hexadecimal digits. */
  readonly revoked: ReadonlySet<string>;
}

const CRL_EXTENSIONS = contextConstructed(0);

/** The hash of each signature algorithm that a list may be signed with; null where the algorithm brings its own. */
const ALGORITHMS: Readonly<Record<string, string | null>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': null,
  '1.3.101.113': null,
};

/** The lists in a file, PEM or DER, each in DER form. None when the file holds neither. */
export function revocationListsIn(file: Buffer): Buffer[] {
  if (file[0] === TAG.sequence) return [file];
  const blocks = file.toString('latin1').match(/-----BEGIN (?:X509 )?CRL-----[A-Za-z0-9+/=\s]*-----END (?:X509 )?CRL-----/g) ?? [];
  return blocks.map((block) => Buffer.from(block.replace(/-----[A-Z0-9 ]+-----/g, ''), 'base64'));
}

/**
 * Reads a list and verifies that one of the authorities signed it and that it is in force at `now`. Throws an Error whose message completes the
 * sentence «the file …»: a list that cannot be relied on in full is not used in part.
 */
export function readRevocationList(der: Buffer, authorities: readonly X509Certificate[], now: number): RevocationList {
  try {
    return readSigned(der, authorities, now);
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) throw new Error('holds a damaged revocation list', { cause: error });
    throw error;
  }
}

function readSigned(der: Buffer, authorities: readonly X509Certificate[], now: number): RevocationList {
  const [list, ...surplus] = elements(der);
  if (surplus.length > 0) throw new RangeError('Something follows the list.');
  const [tbs, algorithm, signature] = elements(list.content);
  const fields = elements(tbs.content);
  let at = fields[0].tag === TAG.integer ? 1 : 0;
  const inner = fields[at++];
  const issuerName = fields[at++];
  const thisUpdate = readTime(fields[at].tag, fields[at++].content);
  const isTime = at < fields.length && (fields[at].tag === TAG.utcTime || fields[at].tag === TAG.generalizedTime);
  if (!isTime) throw new Error('holds a revocation list that does not say until when it is good (nextUpdate)');
  const nextUpdate = readTime(fields[at].tag, fields[at++].content);
  const entries = fields[at]?.tag === TAG.sequence ? elements(fields[at++].content) : [];
  const found = fields.find(({ tag }) => tag === CRL_EXTENSIONS);
  if (found !== undefined && [...readExtensions(found.content).values()].some(({ critical }) => critical)) {
    throw new Error('holds a partial or indirect revocation list; name the full list of each authority');
  }
  if (!inner.raw.equals(algorithm.raw)) throw new RangeError('Two signature algorithms.');
  const oid = dotted(elements(algorithm.content)[0].content);
  if (!Object.hasOwn(ALGORITHMS, oid)) throw new Error(`holds a revocation list with a signature algorithm that is not supported (${oid})`);
  const bits = signature.content.subarray(1);
  const issuer = authorities.find(
    (one) => one.ca && certificateFields(one).subject.equals(issuerName.raw) && isSigned(ALGORITHMS[oid], tbs.raw, one, bits),
  );
  if (issuer === undefined) throw new Error('holds a revocation list that none of the authorities of client_ca has signed');
  if (thisUpdate > now) throw new Error(`holds a revocation list that is not in force before ${new Date(thisUpdate).toISOString()}`);
  if (nextUpdate <= now) throw new Error(`holds a revocation list that has expired (${new Date(nextUpdate).toISOString()})`);
  const base64 = (der.toString('base64').match(/.{1,64}/g) ?? []).join('\n');
  return {
    pem: `-----BEGIN X509 CRL-----\n${base64}\n-----END X509 CRL-----\n`,
    issuer: issuer.fingerprint256,
    nextUpdate,
    revoked: new Set(entries.map(({ content }) => elements(content)[0].content.toString('hex'))),
  };
}

function isSigned(hash: string | null, data: Buffer, { publicKey }: X509Certificate, signature: Buffer): boolean {
  try {
    return verify(hash, data, publicKey, signature);
  } catch {
    // A key of another kind than the algorithm.
    return false;
  }
}

/** Milliseconds since the epoch from a UTCTime or GeneralizedTime as RFC 5280 §4.1.2.5 profiles them. */
function readTime(tag: number, content: Buffer): number {
  const text = content.toString('latin1');
  const full = tag === TAG.utcTime ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text;
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(full) ?? [];
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(time)) throw new RangeError('A time that cannot be read.');
  return time;
}
