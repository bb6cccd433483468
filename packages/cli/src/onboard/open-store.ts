import {
  azureKeyVaultTokenStore,
  controlPlaneTokenStore,
  directoryTokenStore,
  fileTokenStore,
  type TokenStore,
  vaultTokenStore,
} from '@sallyport/credentials';
import { Secret } from '@sallyport/sdk';
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

/** Opens the store that `KIND:PLACE` names, such as `file:/var/lib/token`. Errors: `onboarding_invalid`, and those of the store. */
export function openStore(text: string, env: NodeJS.ProcessEnv): TokenStore {
  const border = text.indexOf(':');
  const [kind, place] = [text.slice(0, Math.max(border, 0)), text.slice(border + 1)];
  if (place === '' || !Object.hasOwn(kinds, kind)) {
    const hint = `Write it as KIND:PLACE, as in file:/var/lib/sallyport/token. Kinds: ${Object.keys(kinds).join(', ')}.`;
    throw invalid(`--store ${JSON.stringify(text)} names no store.`, hint);
  }
  return kinds[kind](place, env);
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
