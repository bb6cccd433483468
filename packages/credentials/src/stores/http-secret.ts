import { resolve } from 'node:path';
import { SallyportError, Secret } from '@sallyport/sdk';
import { fileSource } from '../sources/file.js';
import { optionInvalid, storeFailed } from './http-failure.js';

/** A secret that is known, or the file that holds it: read anew whenever it is needed, so that whoever rotates it only writes the file. */
export type SecretOrigin = Secret | { readonly file: string };

/** The secret as it is now. Rejects with the reason of the signal after an abort, otherwise with `token_store_failed`. */
export async function readSecret(origin: SecretOrigin, signal: AbortSignal): Promise<Secret> {
  if (origin instanceof Secret) return origin;
  try {
    return (await fileSource({ path: resolve(origin.file) }).fetch(signal)).secret;
  } catch (error) {
    if (signal.aborted || !(error instanceof SallyportError)) throw error;
    throw storeFailed(error.message, { retryable: false, hint: error.hint });
  }
}

/** Throws `config_invalid` for a secret that is known and empty. */
export function checkSecret(option: string, origin: SecretOrigin): void {
  if (origin instanceof Secret && origin.reveal().trim() === '') throw optionInvalid(option, 'is empty', 'Give it a value, or name the file.');
}
