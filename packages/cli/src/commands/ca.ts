import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { exportCertificate, loadConfig, openAuthority, regenerateAuthority } from '@sallyport/gateway';
import { SallyportError } from '@sallyport/sdk';
import { findConfig, homeDirectory } from '../config-file.js';

/** Which authority is meant: a directory, or that of a configuration. */
export interface AuthorityOptions {
  config?: string;
  caDir?: string;
}

/** `sallyport ca path`: the directory, or with `file` the certificate in it. Neither has to be there yet. */
export async function printPath(options: AuthorityOptions & { file?: true }): Promise<number> {
  const directory = await directoryOf(options);
  process.stdout.write(`${options.file === true ? join(directory, 'ca.crt') : directory}\n`);
  return 0;
}

/** `sallyport ca export`. Errors: `authority_invalid`, also when there is none yet, `authority_permissions`. */
export async function exportAuthority(options: AuthorityOptions & { format: 'pem' | 'der' | 'der-base64'; out?: string }): Promise<number> {
  const authority = await openAuthority({ dir: await directoryOf(options), create: false });
  const certificate = exportCertificate(authority, options.format);
  if (options.out === undefined) process.stdout.write(certificate);
  else await writeCertificate(resolve(options.out), certificate);
  return 0;
}

/** `sallyport ca regenerate --confirm`. */
export async function regenerate(options: AuthorityOptions): Promise<number> {
  const authority = await regenerateAuthority(await directoryOf(options));
  process.stdout.write(`${authority.certificatePath}\n`);
  process.stderr.write('Restart the gateway, and make the clients trust the new certificate: what trusts only the old one fails from now on.\n');
  return 0;
}

async function directoryOf({ config, caDir }: AuthorityOptions): Promise<string> {
  if (caDir !== undefined) return resolve(caDir);
  const path = findConfig(config);
  return path === null ? join(homeDirectory(), 'ca') : (await loadConfig(path)).gateway.authority.dir;
}

async function writeCertificate(path: string, certificate: Buffer): Promise<void> {
  try {
    await writeFile(path, certificate);
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
    throw new SallyportError('authority_invalid', {
      detail: `The certificate cannot be written to ${path} (${reason}).`,
      hint: 'Name a file in a directory that exists and that you may write to.',
      cause,
    });
  }
}
