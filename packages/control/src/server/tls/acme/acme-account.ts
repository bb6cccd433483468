import { generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { errorCode, ifPresent, placeFile } from '@sallyport/credentials';
import { SallyportError, type Secret } from '@sallyport/sdk';
import type { Client } from 'acme-client';
import { z } from 'zod';
import { onDisk } from '../stored-certificate.js';
import { acmeLibrary } from './acme-library.js';

/** Who asks for certificates, and where. */
export interface AcmeAccountOptions {
  readonly directoryUrl: string;
  readonly email: string;
  /** Binds the account to one that the authority knows already (RFC 8555 §7.3.4). */
  readonly eab?: { readonly kid: string; readonly hmac_key: Secret } | undefined;
}

/** What is kept of an account: the key is it, the rest saves questions. */
interface StoredAccount {
  /** PEM. */
  readonly key: string;
  /** What the server calls it; null when it may not know it yet. */
  readonly url: string | null;
  /** What the server was told last. */
  readonly email: string | null;
}

const accountForm = z.object({ key: z.string(), url: z.string().nullable(), email: z.string().nullable() });

/**
 * Makes sure that there is an account key in the file (0600). Of several processes that make one at once all get the same. Throws
 * `certificate_files_failed`, also when the file is damaged: an account is not given up without somebody knowing.
 */
export async function ensureAccountKey(path: string): Promise<void> {
  if ((await onDisk(ifPresent(readFile(path, 'utf8')), `${path} cannot be read`)) === null) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const account: StoredAccount = { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), url: null, email: null };
    const made = placeFile(path, JSON.stringify(account), { replace: false }).catch((error: unknown) => {
      if (errorCode(error) !== 'EEXIST') throw error;
    });
    await onDisk(made, `${path} cannot be written`);
  }
  await read(path);
}

/**
 * A client that the server knows: registered with the key in the file when it was not yet, or under another mail address. `forget` registers anew,
 * for a server that does not know the account any more. Throws `acme_account_refused`, or what the calls throw.
 */
export async function openAccount(path: string, options: AcmeAccountOptions, { forget }: { readonly forget: boolean }): Promise<Client> {
  const stored = await read(path);
  const acme = await acmeLibrary();
  const known = forget ? null : stored.url;
  const { directoryUrl, email, eab } = options;
  const client = new acme.Client({
    directoryUrl,
    accountKey: stored.key,
    ...(known === null ? {} : { accountUrl: known }),
    ...(eab === undefined ? {} : { externalAccountBinding: { kid: eab.kid, hmacKey: eab.hmac_key.reveal() } }),
  });
  if (known !== null && stored.email === email) return client;
  try {
    await client.createAccount({ termsOfServiceAgreed: true, contact: [`mailto:${email}`] });
  } catch (error) {
    throw accountError(error, known !== null);
  }
  const account: StoredAccount = { key: stored.key, url: client.getAccountUrl(), email };
  await onDisk(placeFile(path, JSON.stringify(account), { replace: true }), `${path} cannot be written`);
  return client;
}

/** Whether a refusal means that the server does not know the account. */
export function isAccountUnknown(error: unknown): boolean {
  return error instanceof SallyportError && error.members.acme_error === 'accountDoesNotExist';
}

function accountError(error: unknown, wasKnown: boolean): unknown {
  if (!(error instanceof SallyportError) || error.code !== 'acme_order_refused') return error;
  if (wasKnown && isAccountUnknown(error)) return error;
  return new SallyportError('acme_account_refused', { detail: error.message, members: error.members });
}

async function read(path: string): Promise<StoredAccount> {
  const text = await onDisk(readFile(path, 'utf8'), `${path} cannot be read`);
  try {
    return accountForm.parse(JSON.parse(text));
  } catch {
    // The cause may quote the key.
    throw new SallyportError('certificate_files_failed', {
      detail: `The account in ${path} is damaged.`,
      hint: 'Restore the file from a backup, or remove it: then a new account is made.',
    });
  }
}
