import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { makeDevelopmentCertificates, placeFiles, signRequest } from '@sallyport/gateway';
import { type CertificateSigner, SallyportError } from '@sallyport/sdk';
import { shellWord } from '../certs/shell-word.js';

export interface DevelopmentCommandOptions {
  out: string;
  domains?: string;
  keepCaKey?: true;
  force?: true;
}

export interface SignCommandOptions {
  csr: string;
  config?: string;
  out?: string;
  force?: true;
}

/** How long a signer has: authorities behind a network or a person's approval are no matter of this command. */
const SIGNER_TIME = 60_000;

/**
 * `sallyport certs dev`: what to write into the configuration, and how to call the listener then. Errors: `certificate_name_invalid`,
 * `certificate_files_exist`, `certificate_files_failed`.
 */
export async function developmentCommand({ out, domains = '', keepCaKey, force }: DevelopmentCommandOptions): Promise<number> {
  const { paths, names } = await makeDevelopmentCertificates({
    directory: out,
    domains: domains.split(','),
    force: force === true,
    keepAuthorityKey: keepCaKey === true,
  });
  const { ca, serverCert, serverKey, clientCert, clientKey } = paths;
  // JSON is YAML, whatever stands in a path.
  const files = [serverCert, serverKey, ca].map((path) => JSON.stringify(path));
  process.stdout.write(
    `Certificates for trying out mutual TLS are in ${out}, for ${names.join(', ')}. Whoever can read them can be both sides.\n\n` +
      `In the configuration:\n\n` +
      '  gateway:\n    listeners:\n      sidecar:\n        port: 8443\n' +
      `        tls: { cert: ${files[0]}, key: ${files[1]}, client_ca: ${files[2]} }\n    callers:\n      platform: { certificate: any, credentials: all }\n\n` +
      `While \`sallyport serve\` runs:\n\n` +
      `  curl --cacert ${shellWord(ca)} --cert ${shellWord(clientCert)} --key ${shellWord(clientKey)} https://localhost:8443/_ops/health\n`,
  );
  return 0;
}

/**
 * `sallyport certs sign`: the certificate with its chain on standard output or in a file, what it is on standard error. Errors: those of
 * `signRequest`, `certificate_files_exist`, `certificate_files_failed`.
 */
export async function signCommand({ csr, out, force }: SignCommandOptions, signer: CertificateSigner | null): Promise<number> {
  const { pem, leaf } = await signRequest({ csr: await readRequestFile(csr), signer, signal: AbortSignal.timeout(SIGNER_TIME) });
  if (out === undefined) process.stdout.write(pem);
  else await placeFiles(dirname(resolve(out)), force === true, [{ path: resolve(out), text: pem }]);
  process.stderr.write(`The certificate is for ${leaf.subjectAltName ?? 'no name'}, and valid until ${leaf.validTo}.\n`);
  return 0;
}

async function readRequestFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
    throw new SallyportError('certificate_files_failed', { detail: `${path} cannot be read (${reason}).`, cause });
  }
}
