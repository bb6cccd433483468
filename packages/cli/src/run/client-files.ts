import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { javaTrustStore } from '@sallyport/gateway';
import { javaAgent } from './java-agent.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where programs find what they need beyond variables. Absolute paths. */
export interface ClientFiles {
  /** PEM: the certificate of the authority, the public roots, and what the user's own variables named. */
  readonly bundle: string;
  /** PEM: only what comes on top of the roots that a program has itself. */
  readonly extra: string;
  readonly javaTrustStore: string;
  readonly javaAgent: string;
  readonly wgetrc: string;
}

/** Variables that name a file with roots for one kind of client or another; in this environment each of them may name the user's own. */
export const bundleVariables = [
  'SSL_CERT_FILE',
  'CURL_CA_BUNDLE',
  'REQUESTS_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'AWS_CA_BUNDLE',
  'PIP_CERT',
  'CARGO_HTTP_CAINFO',
  'DENO_CERT',
  'NIX_SSL_CERT_FILE',
  'BUNDLE_SSL_CA_CERT',
  'npm_config_cafile',
] as const;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
/** Of a trust store that everybody may read; Java wants one. */
const STORE_PASSWORD = 'changeit';

/** Writes the files into `directory`, which only this user may enter. What the variables of `env` name stays trusted. */
export async function writeClientFiles(
  directory: string,
  { authority, caBundle, proxy, env }: { authority: string; caBundle: string; proxy: URL; env: Environment },
): Promise<ClientFiles> {
  const own = bundleVariables.flatMap((name) => certificatesIn(env[name]));
  const bundle = unite([...certificatesOf(caBundle), ...own, ...certificatesIn(env.NODE_EXTRA_CA_CERTS)]);
  const extra = unite([...certificatesOf(authority), ...certificatesIn(env.NODE_EXTRA_CA_CERTS)]);
  const files: ClientFiles = {
    bundle: join(directory, 'ca-bundle.pem'),
    extra: join(directory, 'ca.pem'),
    javaTrustStore: join(directory, 'ca-bundle.jks'),
    javaAgent: join(directory, 'java-agent.jar'),
    wgetrc: join(directory, 'wgetrc'),
  };
  const agent = javaAgent({ host: proxy.hostname, port: Number(proxy.port), username: proxy.username, password: proxy.password });
  await Promise.all([
    writeFile(files.bundle, bundle),
    writeFile(files.extra, extra),
    writeFile(files.javaTrustStore, javaTrustStore([bundle], STORE_PASSWORD)),
    writeFile(files.javaAgent, agent, { mode: 0o600 }),
    // wget has no variable for certificates, only one for its file of settings.
    writeFile(files.wgetrc, `${textOf(env.WGETRC ?? join(env.HOME || homedir(), '.wgetrc'))}\nca_certificate = ${files.bundle}\n`, { mode: 0o600 }),
  ]);
  return files;
}

function certificatesIn(path: string | undefined): string[] {
  return path === undefined || path === '' ? [] : certificatesOf(textOf(path));
}

function certificatesOf(pem: string): string[] {
  return pem.match(CERTIFICATE) ?? [];
}

function unite(blocks: readonly string[]): string {
  return `${[...new Set(blocks)].join('\n')}\n`;
}

/** Empty when it cannot be read: the client itself would have had nothing from it either. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
