import { readFile } from 'node:fs/promises';
import type { SallyportError } from '@sallyport/sdk';
import type { GatewayConfig } from './config/schema.js';
import type { Logger } from './record/logger.js';
import type { ListenerTls } from './tls/mutual/listener-tls.js';
import { certificateNotAfter, watchExpiry } from './tls/renewal/expiry.js';
import type { KeyPair } from './tls/renewal/rehearsal.js';
import { createRenewal, type Renewal, type RenewalEvent, type RenewalTarget } from './tls/renewal/renewal.js';

/** What the care for a certificate works on. */
export interface CertificateCareOptions {
  readonly config: () => GatewayConfig;
  /** What the sidecar serves at the moment; null without TLS. */
  readonly served: () => ListenerTls | null;
  /** Takes another pair into use for new connections. */
  readonly install: (pair: KeyPair) => void;
  readonly logger: Logger;
  /** Hears of every attempt to install a certificate that was made for the request at hand. */
  readonly onRenewal: (installed: boolean) => void;
}

/** What becomes of the certificate of the sidecar while it is served: the platform may renew it, and the log says when it is about to expire. */
export interface CertificateCare {
  readonly renewal: Renewal;
  /** Reads the authorities that a new certificate has to lead to; to be called whenever a configuration has come into force. */
  reload(): Promise<void>;
  /** When the certificate expires, milliseconds since the epoch; null without one. */
  notAfter(): number | null;
  stop(): void;
}

/** Refusals that say nothing about a certificate. */
const notAttempts: ReadonlySet<string> = new Set(['renewal_disabled', 'renewal_unknown', 'renewal_pending']);

/** Cares for the certificate of the sidecar, from now until `stop`. */
export function careForCertificate({ config, served, install, logger, onRenewal }: CertificateCareOptions): CertificateCare {
  let authorities: string | null = null;
  const target = (): RenewalTarget | null => {
    const tls = config().listeners.sidecar?.tls;
    const current = served();
    if (tls === undefined || current === null || !tls.auto_rotate) return null;
    return { files: { cert: tls.cert, key: tls.key }, certificate: current.cert, trust: authorities };
  };
  const onEvent = (event: RenewalEvent): void => {
    note(logger, event);
    if (event.kind === 'installed') onRenewal(true);
    else if (event.kind === 'refused' && event.call === 'install' && !notAttempts.has(event.error.code)) onRenewal(false);
  };
  const expiry = watchExpiry({
    certificate: () => served()?.cert ?? null,
    warn: ({ daysLeft, expired, notAfter }) => {
      const until = new Date(notAfter).toISOString();
      const text = expired
        ? `The certificate of the sidecar has expired (${until})`
        : `The certificate of the sidecar expires in ${daysLeft} days (${until})`;
      logger.warn({ days_left: daysLeft, not_after: until }, text);
    },
  });
  return {
    renewal: createRenewal({ target, install, onEvent }),
    async reload() {
      const tls = config().listeners.sidecar?.tls;
      const files = tls?.chain_ca ?? tls?.client_ca ?? [];
      authorities = files.length === 0 ? null : (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n');
    },
    notAfter() {
      const current = served();
      return current === null ? null : certificateNotAfter(current.cert);
    },
    stop: () => expiry.stop(),
  };
}

function note(logger: Logger, event: RenewalEvent): void {
  switch (event.kind) {
    case 'prepared':
      logger.info({ until: new Date(event.expiresAt).toISOString() }, 'A certificate request was made for the platform');
      return;
    case 'installed':
      logger.info({ not_after: new Date(event.notAfter).toISOString() }, 'A renewed certificate was stored and taken into use');
      return;
    default:
      logger.warn(refusal(event.error), `A renewal was refused: ${event.error.message}`);
  }
}

function refusal({ code, hint }: SallyportError): { code: string; hint: string } {
  return { code, hint };
}
