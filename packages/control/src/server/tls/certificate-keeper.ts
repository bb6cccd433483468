import type { SallyportError } from '@sallyport/sdk';
import type { ChallengeHandler } from './acme/challenge-answers.js';
import type { ServedCertificate } from './served-certificate.js';

/** The certificates of one kind of configuration, kept fresh until `close`. */
export interface CertificateKeeper {
  /** The certificate for a name; for the empty one the certificate of clients that ask for none. Null when there is none, or not yet. */
  find(servername: string): ServedCertificate | null;
  /** Answers challenges of ACME on a plain HTTP listener of the server's own; null where there are none. */
  readonly challengeHandler: ChallengeHandler | null;
  /** Resolves once no more files are watched and nothing more is asked for. */
  close(): Promise<void>;
}

/** What a keeper reports to. */
export interface KeeperEvents {
  /** Hears of everything that goes wrong after the start, and of certificates that are about to expire. */
  readonly onTrouble: (error: SallyportError) => void;
  /** Called whenever another certificate has come into use. */
  readonly onChange: () => void;
  /** Ends what a keeper does. */
  readonly signal: AbortSignal;
}
