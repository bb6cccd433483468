import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { SallyportError } from '@sallyport/sdk';
import type { Authority } from './authority.js';
import { certificatePem, pemCertificates } from './pem.js';

/** Where Linux distributions and BSDs keep the bundle of roots that they ship; the first that is there counts. */
const SYSTEM_BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem', '/etc/ssl/cert.pem'];

/** One place that roots were taken from. */
interface TrustSource {
  readonly kind: 'node' | 'system' | 'environment' | 'configured';
  /** The file; undefined for the roots that are part of Node. */
  readonly path: string | undefined;
  /** How many roots it added to those of the sources before it. */
  readonly added: number;
  /** Why the file, or a part of it, was passed over; undefined when all is well. Never set for a configured file, whose problems are errors. */
  readonly problem: string | undefined;
}

/** What upstreams are verified against. */
export interface UpstreamTrust {
  /** For `tls.connect`: verifies against the roots, TLS 1.2 or newer. Shared by every connection of one configuration. */
  readonly secureContext: SecureContext;
  readonly sources: readonly TrustSource[];
  /** What building it took, milliseconds. */
  readonly buildMs: number;
}

interface TrustOptions {
  /** Paths of PEM files with further roots. */
  readonly ca: readonly string[];
  /** Read for SSL_CERT_FILE (in place of the system's bundle, as OpenSSL has it) and NODE_EXTRA_CA_CERTS. The environment of the process by default. */
  readonly env?: NodeJS.ProcessEnv;
  /** The oldest version spoken; TLS 1.2 when left out. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
}

/**
 * The roots for verifying upstreams: those of Node, of the system, of the environment and the configured files, each once. Made once for a
 * configuration, since OpenSSL has to parse them all. Throws `config_invalid` when a configured file cannot be read or holds no certificate, or a
 * damaged one; a file of the system or the environment is passed over with a `problem` instead, which can only make trust narrower.
 */
export async function upstreamTrust(options: TrustOptions): Promise<UpstreamTrust> {
  const start = performance.now();
  const { roots, sources } = await collectRoots(options);
  const secureContext = createSecureContext({ ca: [...roots.values()].join(''), minVersion: options.minVersion ?? 'TLSv1.2' });
  return { secureContext, sources, buildMs: performance.now() - start };
}

/**
 * PEM text of the certificate of the authority followed by the roots of `upstreamTrust`: for clients that take one file in place of their own roots
 * and must still verify hosts whose connections pass through unopened. Throws as `upstreamTrust` does.
 */
export async function caBundle({ authority, ...options }: TrustOptions & { readonly authority: Authority }): Promise<string> {
  const { roots } = await collectRoots(options);
  // A gateway inside the reach of another may be told of this very authority by its environment.
  roots.delete(base64Of(authority.certificatePem));
  return authority.certificatePem + [...roots.values()].join('');
}

/** PEM blocks by the Base64 of their certificate, so that one that several sources hold is there once. */
type Roots = Map<string, string>;

async function collectRoots({ ca, env = process.env }: TrustOptions): Promise<{ roots: Roots; sources: TrustSource[] }> {
  const roots: Roots = new Map();
  for (const pem of rootCertificates) roots.set(base64Of(pem), `${pem}\n`);
  const sources: TrustSource[] = [{ kind: 'node', path: undefined, added: roots.size, problem: undefined }];

  const system = env.SSL_CERT_FILE ? undefined : await addSystemBundle(roots);
  if (system !== undefined) sources.push(system);
  for (const path of [env.SSL_CERT_FILE, env.NODE_EXTRA_CA_CERTS]) {
    if (path) sources.push({ kind: 'environment', path, ...(await addFile(roots, path)) });
  }
  for (const path of ca) {
    const { added, problem } = await addFile(roots, path);
    if (problem !== undefined) throw unusable(path, problem);
    sources.push({ kind: 'configured', path, added, problem });
  }
  return { roots, sources };
}

async function addSystemBundle(roots: Roots): Promise<TrustSource | undefined> {
  const path = SYSTEM_BUNDLES.find((candidate) => existsSync(candidate));
  return path === undefined ? undefined : { kind: 'system', path, ...(await addFile(roots, path)) };
}

interface FileOutcome {
  added: number;
  problem: string | undefined;
}

async function addFile(roots: Roots, path: string): Promise<FileOutcome> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return { added: 0, problem: `cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'})` };
  }
  const blocks = pemCertificates(text);
  const outcome: FileOutcome = { added: 0, problem: blocks.length === 0 ? 'holds no PEM certificate' : undefined };
  for (const [index, block] of blocks.entries()) {
    const key = base64Of(block);
    if (roots.has(key)) continue;
    // OpenSSL stops at the first block that it cannot read and would leave out all that follow.
    const pem = readBlock(block);
    if (pem === undefined) {
      outcome.problem ??= `holds a damaged certificate, number ${index + 1}`;
      continue;
    }
    roots.set(key, pem);
    outcome.added++;
  }
  return outcome;
}

function readBlock(block: string): string | undefined {
  try {
    return certificatePem(new X509Certificate(block).raw);
  } catch {
    return undefined;
  }
}

function base64Of(pem: string): string {
  return pem.replace(/-----[A-Z ]+-----|\s+/g, '');
}

function unusable(path: string, problem: string): SallyportError {
  return new SallyportError('config_invalid', {
    detail: `The file ${path} under \`gateway.upstream.ca\` ${problem}.`,
    hint: 'Name a file that holds the certificates of the authorities in PEM form.',
  });
}
