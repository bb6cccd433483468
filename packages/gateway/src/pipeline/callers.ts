import { createHash } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';
import type { Caller } from '../exchange.js';
import { type CertificatePattern, closeness } from '../tls/mutual/certificate-pattern.js';
import type { ClientCertificate } from '../tls/mutual/client-certificate.js';

/** What a caller presents, as it is kept: a digest, never the token. */
export type TokenDigest = string;

/** The digest under which a token is looked up. */
export function digestToken(token: string): TokenDigest {
  return createHash('sha256').update(token).digest('base64');
}

/**
 * The callers of a gateway. Tokens are compared by looking up their SHA-256: how long that takes says nothing about how much of a token was
 * right, because nobody can steer a digest byte by byte.
 */
export class CallerRegistry {
  readonly #byDigest = new Map<TokenDigest, Caller>();
  readonly #further: CallerRegistry | null;
  /** The certificates that a caller has to present besides its token. */
  readonly #besideToken = new Map<TokenDigest, CertificatePattern>();
  readonly #byCertificate: { readonly caller: Caller; readonly pattern: CertificatePattern }[] = [];
  /** Certificates are looked up once for each connection; a registry lives as long as a configuration. */
  readonly #found = new WeakMap<ClientCertificate, Caller | SallyportError>();
  #loopback: Caller | null = null;

  /** `further` is asked for tokens that are not found here. */
  constructor(further: CallerRegistry | null = null) {
    this.#further = further;
  }

  /** Adds a caller by its token, which has to come with one of the certificates where a pattern is given. */
  add(caller: Caller, digest: TokenDigest, certificate: CertificatePattern | null = null): void {
    this.#byDigest.set(digest, caller);
    if (certificate === null) this.#besideToken.delete(digest);
    else this.#besideToken.set(digest, certificate);
  }

  /** Adds a caller that is known by its certificate alone. */
  addCertificate(caller: Caller, certificate: CertificatePattern): void {
    this.#byCertificate.push({ caller, pattern: certificate });
  }

  remove(digest: TokenDigest): void {
    this.#byDigest.delete(digest);
    this.#besideToken.delete(digest);
  }

  find(digest: TokenDigest): Caller | null {
    return this.#byDigest.get(digest) ?? this.#further?.find(digest) ?? null;
  }

  /**
   * Why the token does not do with the certificate that came with it, null for none; null when it does. On a connection with a certificate a token
   * does only for a caller that names certificates, so that nobody turns into somebody else by a token it should not have.
   * Errors: `client_certificate_required`, `client_certificate_unknown`.
   */
  tokenFault(digest: TokenDigest, certificate: ClientCertificate | null): SallyportError | null {
    const wanted = this.#besideToken.size === 0 ? undefined : this.#besideToken.get(digest);
    if (wanted === undefined && certificate === null) return null;
    if (certificate === null)
      return new SallyportError('client_certificate_required', { detail: 'the caller of this token has to present its certificate too' });
    if (wanted !== undefined && closeness(wanted, certificate) >= 0) return null;
    return new SallyportError('client_certificate_unknown', {
      detail: 'the client certificate is not one of those of the caller whose token was sent with it',
      hint: 'Leave the token out, or name the certificate under `certificate` of the caller of the token.',
    });
  }

  /** The caller whose certificate it is, the most closely named one. Errors: `client_certificate_unknown`, `caller_ambiguous`. */
  ofCertificate(certificate: ClientCertificate): Caller | SallyportError {
    let found = this.#found.get(certificate);
    if (found === undefined) {
      found = this.#closest(certificate);
      this.#found.set(certificate, found);
    }
    return found;
  }

  #closest(certificate: ClientCertificate): Caller | SallyportError {
    let best = -1;
    let callers: Caller[] = [];
    for (const { caller, pattern } of this.#byCertificate) {
      const value = closeness(pattern, certificate);
      if (value < 0 || value < best) continue;
      if (value > best) callers = [];
      best = value;
      callers.push(caller);
    }
    if (callers.length === 1) return callers[0];
    if (callers.length === 0) return new SallyportError('client_certificate_unknown');
    return new SallyportError('caller_ambiguous', { members: { candidates: callers.map(({ name }) => name).sort() } });
  }

  /** The caller that a peer on a loopback address is without any token; null when there is none. */
  get loopback(): Caller | null {
    return this.#loopback;
  }

  set loopback(caller: Caller | null) {
    this.#loopback = caller;
  }
}
