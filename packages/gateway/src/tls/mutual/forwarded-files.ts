import { parseNetwork } from '../../policy/network.js';
import { FORWARDED_HEADERS, ForwardedCertificates } from './forwarded-certificates.js';
import { readClientTrust } from './listener-tls.js';

/** What the configuration of a listener says about the balancers in front of it. */
export interface ForwardedConfig {
  readonly trusted_proxies?: readonly string[] | undefined;
  readonly forwarded_certificate?:
    | {
        readonly header: (typeof FORWARDED_HEADERS)[number];
        readonly ca?: readonly string[] | undefined;
        readonly crl?: readonly string[] | undefined;
      }
    | undefined;
}

/** Reads the authorities of the clients behind the balancers of a listener; null when it has none. Throws `tls_files_invalid`. */
export async function readForwardedCertificates(config: ForwardedConfig, place: string): Promise<ForwardedCertificates | null> {
  const { trusted_proxies, forwarded_certificate: { header, ca, crl } = { header: FORWARDED_HEADERS[0] } } = config;
  if (trusted_proxies === undefined) return null;
  const under = `${place}.forwarded_certificate`;
  const trust = ca === undefined ? null : await readClientTrust({ ca, crl }, `${under}.ca`, under);
  return new ForwardedCertificates({ proxies: trusted_proxies.map(parseNetwork), header, trust });
}
