import { SallyportError } from '@sallyport/sdk';
import { formatIp, parseIp } from '../../policy/ip-address.js';
import { compilePathGlob } from '../../policy/path-glob.js';
import { type CertificateName, type ClientCertificate, canonicalName } from './client-certificate.js';
import { type DistinguishedName, parseDistinguishedName, sameName } from './distinguished-name.js';

/** The certificates of a caller as the configuration writes them. */
export type CertificateConfig =
  | 'any'
  | {
      readonly subject?: string | undefined;
      readonly issuer?: string | undefined;
      readonly san?: readonly string[] | undefined;
      readonly fingerprint?: readonly string[] | undefined;
    };

/** One name to look for among those of a certificate. */
interface NamePattern {
  /** The canonical spelling. */
  readonly text: string;
  readonly exact: boolean;
  fits(name: CertificateName): boolean;
}

/** The certificates of a caller. Everything that is not null has to fit; of the names and of the fingerprints one. */
export interface CertificatePattern {
  readonly subject: DistinguishedName | null;
  readonly issuer: DistinguishedName | null;
  readonly names: readonly NamePattern[] | null;
  readonly fingerprints: readonly string[] | null;
}

/** Larger than the longest name that can be written, so that a condition more always counts more than any number of characters. */
const CONDITION = 2 ** 16;
const EXACT = 2 ** 24;
const FINGERPRINT = 2 ** 25;
const LONGEST_NAME = 2_048;
const KINDS = ['dns', 'uri', 'ip', 'email'] as const;

/** Compiles what the configuration says. Throws `config_invalid`. */
export function compileCertificatePattern(config: CertificateConfig): CertificatePattern {
  const { subject, issuer, san, fingerprint } = config === 'any' ? ({} as Exclude<CertificateConfig, 'any'>) : config;
  return {
    subject: subject === undefined ? null : parseDistinguishedName(subject),
    issuer: issuer === undefined ? null : parseDistinguishedName(issuer),
    names: san?.map(parseNamePattern) ?? null,
    fingerprints: fingerprint?.map(parseFingerprint) ?? null,
  };
}

/**
 * How closely a certificate is named by a pattern, larger being closer; −1 when it does not fit. A fingerprint counts most, then a subject or a
 * name without a star, then the number of conditions, then the characters of the pattern that are not stars.
 */
export function closeness(pattern: CertificatePattern, certificate: ClientCertificate): number {
  const { subject, issuer, names, fingerprints } = pattern;
  let result = 0;
  if (subject !== null) {
    if (certificate.subject === null || !sameName(subject, certificate.subject)) return -1;
    result = EXACT + CONDITION;
  }
  if (issuer !== null) {
    if (certificate.issuer === null || !sameName(issuer, certificate.issuer)) return -1;
    result += CONDITION;
  }
  if (fingerprints !== null) {
    if (certificate.fingerprint === null || !fingerprints.includes(certificate.fingerprint)) return -1;
    result += FINGERPRINT + CONDITION;
  }
  if (names === null) return result;
  let best: NamePattern | null = null;
  for (const name of names) {
    if (certificate.names.some((one) => name.fits(one)) && (best === null || weightOf(name) > weightOf(best))) best = name;
  }
  if (best === null) return -1;
  if (best.exact) return subject === null ? result + EXACT + CONDITION : result + CONDITION;
  return result + CONDITION + weightOf(best);
}

/**
 * What a pattern claims for itself, as texts: two patterns that share one fit some certificate equally well. (Two that share none may still do so, by
 * different names that one certificate happens to carry.)
 */
export function claims({ subject, issuer, names, fingerprints }: CertificatePattern): string[] {
  const whose = [subject, issuer].map((name) => (name === null ? null : [JSON.stringify(name), JSON.stringify([...name].reverse())].sort()[0]));
  return (fingerprints ?? [null]).flatMap((fingerprint) => (names ?? [null]).map((name) => JSON.stringify([...whose, fingerprint, name?.text])));
}

/**
 * Reads `dns:`, `uri:`, `ip:` or `email:` and a name. A star is a whole label of a DNS name in front of two others (`dns:*.clients.example.com`);
 * in the path of a URI it stays inside a segment, and `**` spans segments (`uri:spiffe://acme.example/agents/*`). Throws `config_invalid`.
 */
export function parseNamePattern(text: string): NamePattern {
  const colon = text.indexOf(':');
  const kind = KINDS.find((one) => one === text.slice(0, colon));
  if (kind === undefined) throw invalid('expected dns:, uri:, ip: or email: and a name, as in dns:platform.example.com');
  const value = text.slice(colon + 1);
  if (value.length > LONGEST_NAME) throw invalid(`a name is at most ${LONGEST_NAME} characters long`);
  if (kind === 'ip') {
    const bytes = parseIp(value);
    if (bytes === null) throw invalid('after ip: comes one IP address');
    return exactly({ kind, value: formatIp(bytes) });
  }
  if (kind === 'dns' && value.includes('*')) return labelPattern(value.toLowerCase());
  if (kind === 'uri' && value.includes('*')) return uriPattern(value);
  const name = canonicalName(kind, value);
  if (name === null) throw invalid(`after ${kind}: comes one ${{ dns: 'DNS name', uri: 'URI', email: 'mail address' }[kind]} in ASCII`);
  return exactly(name);
}

/** Reads a SHA-256 fingerprint: 64 hexadecimal digits, with or without colons and `sha256:`. Throws `config_invalid`. */
export function parseFingerprint(text: string): string {
  const digits = text.replace(/^sha256:/i, '');
  const plain = /^[0-9a-f]{2}(:[0-9a-f]{2}){31}$/i.test(digits) ? digits.replaceAll(':', '') : digits;
  if (!/^[0-9a-f]{64}$/i.test(plain)) throw invalid('expected the SHA-256 of the certificate: 64 hexadecimal digits, with or without colons');
  return plain.toLowerCase();
}

function exactly({ kind, value }: CertificateName): NamePattern {
  return { text: `${kind}:${value}`, exact: true, fits: (name) => name.kind === kind && name.value === value };
}

function labelPattern(value: string): NamePattern {
  const labels = value.split('.');
  const stars = labels.filter((label) => label === '*').length;
  const plain = canonicalName('dns', value.replaceAll('*', 'x'));
  if (plain === null || labels.some((label) => label !== '*' && label.includes('*')) || labels.slice(-2).includes('*') || labels.length === stars) {
    throw invalid('a "*" stands for one whole label, and two labels without one come at the end, as in dns:*.clients.example.com');
  }
  return {
    text: `dns:${value}`,
    exact: false,
    fits(name) {
      if (name.kind !== 'dns') return false;
      const own = name.value.split('.');
      return own.length === labels.length && labels.every((label, index) => (label === '*' ? own[index] !== '' : label === own[index]));
    },
  };
}

function uriPattern(value: string): NamePattern {
  const [, origin = '', path = ''] = /^([a-z][a-z0-9+.-]*:\/\/[^/*?#]+)(\/[^?#]*)$/i.exec(value) ?? [];
  if (canonicalName('uri', origin) === null) {
    throw invalid('a "*" can stand only in the path of a URI, as in uri:spiffe://acme.example/ns/*/sa/web');
  }
  const fits = compilePathGlob(path);
  return {
    text: `uri:${value}`,
    exact: false,
    fits({ kind, value: uri }) {
      // A query or fragment is no segment: a star does not reach over its border.
      return kind === 'uri' && uri.startsWith(`${origin}/`) && !/[?#]/.test(uri) && fits(uri.slice(origin.length));
    },
  };
}

function weightOf({ exact, text }: NamePattern): number {
  return exact ? EXACT : text.replaceAll('*', '').length;
}

function invalid(what: string): SallyportError {
  return new SallyportError('config_invalid', { detail: what });
}
