import { Secret } from '@sallyport/sdk';
import { coloursFor } from '../terminal.js';
import { askSecret, canAsk } from './ask.js';
import type { ClientSettings } from './client-settings.js';
import { createRequestSigner, type RequestSigner } from './request-token.js';
import { type KeyAsking, readPrivateKey, readSecretKey } from './signing-key.js';

/** The passphrase out of SALLYPORT_KEY_PASSPHRASE, which is tried once, or from whoever sits at the terminal. Warnings go to standard error. */
function keyAsking(path: string, env: NodeJS.ProcessEnv): KeyAsking {
  const fromEnvironment = env.SALLYPORT_KEY_PASSPHRASE;
  return {
    async passphrase(attempt) {
      if (fromEnvironment !== undefined) return attempt === 0 ? new Secret(fromEnvironment) : null;
      return canAsk() ? askSecret(`Passphrase of ${path}`) : null;
    },
    warn: (text) => void process.stderr.write(`${coloursFor(process.stderr).yellow('warning:')} ${text}\n`),
  };
}

/** The signer of the settings, with its key read and unlocked. Errors: `client_config_incomplete`, `client_config_invalid`, `signing_key_invalid`. */
export async function openSigner(settings: ClientSettings, env: NodeJS.ProcessEnv = process.env): Promise<RequestSigner> {
  const identity = settings.identity();
  const { kind, path } = identity.key;
  const asking = keyAsking(path, env);
  const key = kind === 'private' ? await readPrivateKey(path, asking) : await readSecretKey(path, identity.keyId, asking);
  return createRequestSigner({ identity, key });
}
