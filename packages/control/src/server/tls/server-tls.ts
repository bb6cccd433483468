import type { SecureContext, SecureContextOptions } from 'node:tls';
import { SallyportError } from '@sallyport/sdk';
import { type AcmeConfig, keepAcmeCertificates } from './acme/acme-certificates.js';
import type { ChallengeHandler } from './acme/challenge-answers.js';
import { bothFiles, type CertificateFiles, readCertificateFiles } from './certificate-files.js';
import type { CertificateKeeper, KeeperEvents } from './certificate-keeper.js';
import { keepSelfSigned, selfSignedPaths } from './self-signed.js';
import { MIN_TLS_VERSION, type ServedCertificate } from './served-certificate.js';
import { keepWatched } from './watched-certificate.js';

/** How a service of the control plane comes to its certificate; exactly one of the three. */
export type ServerTlsConfig =
  /** Files that somebody else renews. */
  | CertificateFiles
  /** A certificate for development, made once and kept in `dir`, for `localhost`, the loopback addresses and `domain`. */
  | { readonly self_signed: { readonly dir: string; readonly domain?: string | undefined } }
  /** Certificates from an authority that speaks ACME (RFC 8555). */
  | { readonly acme: AcmeConfig };

/** What `openServerTls` works with. */
export interface ServerTlsOptions {
  /** Hears of everything that goes wrong after the start, and of certificates that are about to expire. */
  readonly onTrouble: (error: SallyportError) => void;
  /** Ends the care for the certificates as `close` does. */
  readonly signal: AbortSignal;
}

/** Chooses the certificate for the name that a client asks for. */
type SniCallback = (servername: string, done: (error: Error | null, context?: SecureContext) => void) => void;

/** The certificates of a service, from now until `close`. */
export interface ServerTls {
  /**
   * Options for `https.createServer`, and for `setSecureContext` when `onRenewed` says that they have changed: clients that ask for no name get what
   * they hold. Clients that ask for one get the newest certificate without that. There is no certificate in them before ACME has brought one.
   */
  context(): SecureContextOptions & { readonly SNICallback: SniCallback };
  /** Answers challenges of ACME on a plain HTTP listener of the server's own; null where there are none. */
  readonly challengeHandler: ChallengeHandler | null;
  /** Calls the listener whenever another certificate has come into use. The function that is returned ends that. */
  onRenewed(listener: () => void): () => void;
  /** Resolves once no more files are watched and nothing more is asked for. Connections are not touched. */
  close(): Promise<void>;
}

const DAY = 24 * 3_600_000;
const WARN_BEFORE = 14 * DAY;

/**
 * The certificates that are configured, and everything that keeps them fresh. Throws `server_tls_invalid`, `tls_files_invalid` or
 * `certificate_files_failed` when the service could not speak TLS with them; that an ACME server cannot be reached is told to `onTrouble`.
 */
export async function openServerTls(config: ServerTlsConfig, { onTrouble, signal }: ServerTlsOptions): Promise<ServerTls> {
  signal.throwIfAborted();
  const listeners = new Set<() => void>();
  const ended = new AbortController();
  const events: KeeperEvents = {
    signal: AbortSignal.any([signal, ended.signal]),
    onTrouble: (error) => {
      if (!ended.signal.aborted) onTrouble(error);
    },
    onChange: () => {
      if (!ended.signal.aborted) for (const listener of [...listeners]) listener();
    },
  };
  const keeper = await openKeeper(config, events);
  const SNICallback: SniCallback = (servername, done) => {
    const found = keeper.find(servername.toLowerCase());
    // Without a context Node would take the default one, which is for another name.
    if (found === null)
      done(new SallyportError('server_name_unknown', { detail: `There is no certificate for ${JSON.stringify(servername)} here.` }));
    else done(null, found.secureContext);
  };

  async function close(): Promise<void> {
    ended.abort();
    signal.removeEventListener('abort', onAbort);
    listeners.clear();
    await keeper.close();
  }
  function onAbort(): void {
    void close();
  }
  if (signal.aborted) {
    await close();
    signal.throwIfAborted();
  }
  signal.addEventListener('abort', onAbort, { once: true });

  return {
    context: () => ({ ...keeper.find('')?.pair, minVersion: MIN_TLS_VERSION, SNICallback }),
    challengeHandler: keeper.challengeHandler,
    onRenewed(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close,
  };
}

function openKeeper(config: ServerTlsConfig, events: KeeperEvents): Promise<CertificateKeeper> {
  const given = [
    'acme' in config ? 'acme' : null,
    'self_signed' in config ? 'self_signed' : null,
    'cert' in config || 'key' in config ? 'cert and key' : null,
  ].filter((each) => each !== null);
  if (given.length !== 1) {
    throw new SallyportError('server_tls_invalid', { detail: given.length === 0 ? 'It is empty.' : `There is ${given.join(' beside ')}.` });
  }
  if ('acme' in config) return keepAcmeCertificates(config.acme, events);
  if ('self_signed' in config) {
    const { dir, domain } = config.self_signed;
    return keepWatched([selfSignedPaths(dir).pair], () => keepSelfSigned(dir, domain, events.onTrouble), events);
  }
  const files = bothFiles(config);
  const read = async (): Promise<ServedCertificate> => {
    const certificate = await readCertificateFiles(files);
    warnOfExpiry(certificate, files.cert, events);
    return certificate;
  };
  return keepWatched([files.cert, files.key], read, events);
}

function warnOfExpiry({ notAfter }: ServedCertificate, path: string, { onTrouble }: KeeperEvents): void {
  const left = notAfter - Date.now();
  if (left >= WARN_BEFORE) return;
  const detail = `The certificate in ${path} expires in ${Math.floor(left / DAY)} days (${new Date(notAfter).toISOString()}).`;
  onTrouble(new SallyportError('server_certificate_expires', { detail }));
}
