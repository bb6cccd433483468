import {
  azureKeyVaultTokenStore,
  controlPlaneTokenStore,
  didYouMean,
  directoryTokenStore,
  fileTokenStore,
  nearestWords,
  openTokenStore,
  type TokenStore,
  vaultTokenStore,
} from '@sallyport/credentials';
import { Secret } from '@sallyport/sdk';
import { findConfig } from '../config-file.js';
import { invalid } from './provider.js';

/** Opens a store at a place, which is what stands after the colon of `--store`. What else it needs it takes from the environment. */
type OpenStore = (place: string, env: NodeJS.ProcessEnv) => TokenStore;

/** Every kind of store that `--store` can name. The variables are those that the tools of each service read. */
const kinds: Readonly<Record<string, OpenStore>> = {
  file: fileTokenStore,
  dir: directoryTokenStore,
  vault: (address, env) => {
    const [namespace, caFile] = [env.VAULT_NAMESPACE, env.VAULT_CACERT];
    return vaultTokenStore({
      address,
      auth: { method: 'token', token: new Secret(required(env, 'VAULT_TOKEN', 'vault')) },
      ...(namespace !== undefined && { namespace }),
      ...(caFile !== undefined && { caFile }),
    });
  },
  azure: (vaultUrl, env) => azureKeyVaultTokenStore({ vaultUrl, identity: azureIdentity(env) }),
  control: (baseUrl, env) => controlPlaneTokenStore({ baseUrl, token: new Secret(required(env, 'SALLYPORT_TOKEN', 'control')) }),
};

const kindsHint = `Write it as KIND:PLACE, as in file:/var/lib/sallyport/token. Kinds: ${Object.keys(kinds).join(', ')}.`;

/** Opens the store that `KIND:PLACE` names, such as `file:/var/lib/token`. Errors: `onboarding_invalid`, and those of the store. */
export function openStore(text: string, env: NodeJS.ProcessEnv): TokenStore {
  const border = text.indexOf(':');
  const [kind, place] = [text.slice(0, Math.max(border, 0)), text.slice(border + 1)];
  if (place === '' || !Object.hasOwn(kinds, kind)) throw invalid(`--store ${JSON.stringify(text)} names no store.`, kindsHint);
  return kinds[kind](place, env);
}

/**
 * As `openStore`, and what has no colon is the name of a token store of the configuration: the file `config`, or where configurations are. Errors:
 * those of `openStore`, and `config_not_found` and `config_invalid`.
 */
export async function findStore(text: string, env: NodeJS.ProcessEnv, config: string | undefined): Promise<TokenStore> {
  if (!text.includes(':')) return await openConfigured(text, config);
  if (config !== undefined) throw invalid('--config goes with the name of a store only.', 'Leave it out, or name a store of the configuration.');
  return openStore(text, env);
}

async function openConfigured(name: string, config: string | undefined): Promise<TokenStore> {
  const path = findConfig(config);
  if (path === null) {
    throw invalid(
      `--store ${JSON.stringify(name)} names no store: there is no configuration that could have one of this name.`,
      `Name the configuration with --config. Otherwise: ${kindsHint}`,
    );
  }
  // Only now: who names a place does not have to wait for the gateway to be loaded.
  const { loadConfig } = await import('@sallyport/gateway');
  const { token_stores: stores } = (await loadConfig(path)).gateway;
  if (Object.hasOwn(stores, name)) return openTokenStore(stores[name]);
  const names = Object.keys(stores);
  throw invalid(
    `--store ${JSON.stringify(name)} is no token store of ${path}${didYouMean(nearestWords(name, names)) || '.'}`,
    `${names.length === 0 ? 'That configuration has no token stores.' : `These are there: ${names.join(', ')}.`} Otherwise: ${kindsHint}`,
  );
}

/** A service principal, a workload identity of Kubernetes, or the identity of the machine: the first that the environment describes. */
function azureIdentity(env: NodeJS.ProcessEnv): Parameters<typeof azureKeyVaultTokenStore>[0]['identity'] {
  const clientId = env.AZURE_CLIENT_ID;
  const [clientSecret, tokenFile, authority] = [env.AZURE_CLIENT_SECRET, env.AZURE_FEDERATED_TOKEN_FILE, env.AZURE_AUTHORITY_HOST];
  if (clientSecret === undefined && tokenFile === undefined) return { method: 'managed_identity', ...(clientId !== undefined && { clientId }) };
  const principal = {
    tenantId: required(env, 'AZURE_TENANT_ID', 'azure'),
    clientId: required(env, 'AZURE_CLIENT_ID', 'azure'),
    ...(authority !== undefined && { authority }),
  };
  if (clientSecret !== undefined) return { ...principal, method: 'client_secret', clientSecret: new Secret(clientSecret) };
  return { ...principal, method: 'workload_identity', tokenFile: tokenFile ?? '' };
}

function required(env: NodeJS.ProcessEnv, name: string, kind: string): string {
  const value = env[name];
  if (value !== undefined && value !== '') return value;
  throw invalid(`The store ${kind} needs the environment variable ${name}.`, `Set ${name} for this command.`);
}
