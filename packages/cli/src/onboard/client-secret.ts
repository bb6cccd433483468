import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Secret } from '@sallyport/sdk';
import { invalid } from './provider.js';

/** Where the client secret may stand, the first that is set counts. The second is for those who come from Chaperone. */
export const secretVariables = ['SALLYPORT_ONBOARD_CLIENT_SECRET', 'CHAPERONE_ONBOARD_CLIENT_SECRET'] as const;

/**
 * The client secret of the file, or of the environment, without the line break at its end; null when there is none, as for a public client.
 * Errors: `onboarding_invalid`.
 */
export async function readClientSecret(file: string | undefined, env: NodeJS.ProcessEnv): Promise<Secret | null> {
  if (file === undefined) {
    const value = secretVariables.map((name) => env[name] ?? '').find((text) => text !== '');
    return value === undefined ? null : new Secret(value);
  }
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw invalid(`The client secret file ${resolve(file)} cannot be read (${reason}).`, 'Check the path and the permissions of the file.');
  }
  const secret = new Secret(text.replace(/(?:\r?\n)+$/, ''));
  if (secret.empty) throw invalid(`The client secret file ${resolve(file)} is empty.`, 'Write the secret into it, and nothing else.');
  return secret;
}
