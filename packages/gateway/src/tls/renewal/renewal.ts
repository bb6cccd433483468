import { createPublicKey, type KeyObject, randomBytes, timingSafeEqual, X509Certificate } from 'node:crypto';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import { pemCertificates } from '../pem.js';
import { type AlternativeName, namesIn } from './alternative-names.js';
import { type Chain, readChain, requireExpected, requireServerUsage } from './certificate-chain.js';
import { makeRequest } from './certificate-request.js';
import { type PairFiles, persistPair } from './pair-files.js';
import { type KeyPair, rehearse } from './rehearsal.js';
import { x509Library } from './x509-library.js';

/** What is renewed: the certificate that a listener serves at the moment. */
export interface RenewalTarget {
  readonly files: PairFiles;
  /** PEM of the certificate that is served, with or without its chain. */
  readonly certificate: string;
  /** PEM of the authorities that a new certificate has to lead to, roots or not; null when any will do. */
  readonly trust: string | null;
}

/** What became of a call, for the log and the metrics. */
export type RenewalEvent =
  | { readonly kind: 'prepared'; readonly expiresAt: number }
  | { readonly kind: 'installed'; readonly notAfter: number }
  | { readonly kind: 'refused'; readonly call: 'prepare' | 'install'; readonly error: SallyportError };

export interface RenewalOptions {
  /** Asked on every call; null where renewal is switched off or nothing is served over TLS. */
  readonly target: () => RenewalTarget | null;
  /** Takes the pair into use for new connections. Called when it is on disk already; must not fail. */
  readonly install: (pair: KeyPair) => void | Promise<void>;
  readonly onEvent: (event: RenewalEvent) => void;
  /** Milliseconds since the epoch; the clock when left out. */
  readonly now?: () => number;
}

/** The answer to `prepare`, as it goes out. */
export interface PreparedRenewal {
  /** PEM. */
  readonly csr: string;
  /** 64 hexadecimal digits. */
  readonly renewal_id: string;
}

/** What `install` is called with. */
export interface RenewalInstallation {
  readonly renewal_id: string;
  /** PEM, with the chain behind the certificate. */
  readonly certificate: string;
}

/** Renewal that the platform drives: it fetches a request, has it signed, and brings the certificate. The key never leaves this process. */
export interface Renewal {
  /** Throws `renewal_disabled` where there is nothing to renew. */
  requireEnabled(): void;
  /**
   * A request for the names of the certificate that is served, with a new key, good for ten minutes. Throws `renewal_disabled`, `renewal_pending`
   * while there is another one, `renewal_prepare_failed` when the certificate has no names to ask for.
   */
  prepare(): Promise<PreparedRenewal>;
  /**
   * Stores the certificate and takes it into use, in this order. Throws, with everything as it was: `renewal_disabled`, `renewal_unknown`,
   * `renewal_pending` while another call is being worked on, what the checks of certificate-chain.ts and rehearsal.ts throw, and
   * `certificate_not_persisted`. The request stays good after that; the sixth certificate that does not fit it ends it.
   */
  install(installation: RenewalInstallation): Promise<void>;
}

interface Pending {
  readonly id: string;
  readonly key: KeyObject;
  readonly names: readonly AlternativeName[];
  readonly expiresAt: number;
  misfits: number;
}

const LIFETIME = 10 * 60_000;
const MOST_MISFITS = 5;
const DEFAULT_COMMON_NAME = 'sallyport';

/** A renewal of what `target` answers. State is kept in memory: after a restart the platform begins anew. */
export function createRenewal({ target, install, onEvent, now = Date.now }: RenewalOptions): Renewal {
  let pending: Pending | null = null;
  /** One call at a time: both wait for keys and files in between. */
  let busy = false;

  const requireTarget = (): RenewalTarget => {
    const found = target();
    if (found === null)
      throw new SallyportError('renewal_disabled', { members: { error: 'certificate management is external; renewal is disabled' } });
    return found;
  };

  async function prepare(): Promise<PreparedRenewal> {
    const { certificate } = requireTarget();
    if (busy) throw new SallyportError('renewal_pending', { detail: 'Another call is being worked on.' });
    if (pending !== null && now() < pending.expiresAt) {
      const left = Math.ceil((pending.expiresAt - now()) / 1000);
      throw new SallyportError('renewal_pending', { detail: `It runs out in ${left} seconds.`, members: { retry_after: left } });
    }
    busy = true;
    try {
      const { commonName, names } = await subjectOf(certificate);
      const { key, csr } = await makeRequest({ commonName, names });
      const id = randomBytes(32).toString('hex');
      pending = { id, key, names, expiresAt: now() + LIFETIME, misfits: 0 };
      onEvent({ kind: 'prepared', expiresAt: pending.expiresAt });
      return { csr, renewal_id: id };
    } catch (error) {
      throw prepareFailed(error);
    } finally {
      busy = false;
    }
  }

  async function installOne({ renewal_id, certificate }: RenewalInstallation): Promise<void> {
    const { files, trust } = requireTarget();
    if (busy) throw new SallyportError('renewal_pending', { detail: 'Another call is being worked on.' });
    if (pending !== null && now() >= pending.expiresAt) {
      pending = null;
      throw new SallyportError('renewal_unknown', { detail: 'The renewal has run out.' });
    }
    // An id that is wrong does not count as a misfit: nobody guesses 256 bits, and a platform that retries an older renewal must not end this one.
    if (pending === null || !sameId(renewal_id, pending.id)) throw new SallyportError('renewal_unknown');
    busy = true;
    try {
      const { chain, pair } = await fitting(pending, certificate, trust);
      await persistPair(files, pair);
      pending = null;
      await install(pair);
      onEvent({ kind: 'installed', notAfter: chain.notAfter });
    } finally {
      busy = false;
    }
  }

  async function fitting(current: Pending, certificate: string, trust: string | null): Promise<{ chain: Chain; pair: KeyPair }> {
    try {
      const chain = readChain(certificate);
      await requireExpected(chain, { publicKey: createPublicKey(current.key), names: current.names, furtherNames: true, now: now() });
      await requireServerUsage(chain);
      const pair = { cert: chain.pem, key: current.key.export({ type: 'pkcs8', format: 'pem' }).toString() };
      await rehearse(pair, trust);
      return { chain, pair };
    } catch (error) {
      if (++current.misfits > MOST_MISFITS) pending = null;
      throw error;
    }
  }

  const reported = async <T>(call: 'prepare' | 'install', work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      onEvent({ kind: 'refused', call, error: asSallyportError(error) });
      throw error;
    }
  };

  return {
    requireEnabled: () => void requireTarget(),
    prepare: () => reported('prepare', prepare),
    install: (installation) => reported('install', () => installOne(installation)),
  };
}

/** The common name and the names of a certificate. Throws when it has no names: a request without any is one that authorities refuse. */
async function subjectOf(certificate: string): Promise<{ commonName: string; names: readonly AlternativeName[] }> {
  const { X509Certificate: ParsedCertificate } = await x509Library();
  const parsed = new ParsedCertificate(new X509Certificate(pemCertificates(certificate)[0] ?? '').raw);
  const names = await namesIn(parsed);
  if (names.length === 0)
    throw new SallyportError('renewal_prepare_failed', { detail: 'The certificate that is served has no subject alternative names.' });
  const [commonName = DEFAULT_COMMON_NAME] = parsed.subjectName.getField('CN');
  return { commonName, names };
}

function prepareFailed(error: unknown): SallyportError {
  const detail = error instanceof SallyportError ? error.message : 'The certificate that is served cannot be read.';
  return new SallyportError('renewal_prepare_failed', { detail, members: { error: 'prepare failed' }, cause: error });
}

/** Takes the same time wherever they differ. */
function sameId(presented: string, expected: string): boolean {
  const [a, b] = [Buffer.from(presented), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
