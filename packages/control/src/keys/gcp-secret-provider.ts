import { gcpClient } from './gcp-client.js';
import { crc32c } from './gcp-crc32c.js';
import { gcpTokens } from './gcp-credentials.js';
import { gcpSecretResource } from './gcp-resource.js';
import { type KeyProvider, providerFailed } from './provider.js';
import { heldMaterial } from './provider-cache.js';
import type { ProviderConfig } from './provider-config.js';
import { answeredObject, member } from './provider-http.js';
import { secretProvider } from './secret-provider.js';

type SecretConfig = Extract<ProviderConfig, { type: 'gcp' }>;

const NAME = 'Google Cloud Secret Manager';
const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';

/**
 * Material in Google Cloud Secret Manager. The version is the resource name of the secret's version, so that two secrets never share one; a key
 * that an older one wrapped opens until that version is disabled or destroyed. Needs `secretmanager.versions.access`.
 */
export function gcpSecretProvider(config: SecretConfig, timeoutMs?: number): KeyProvider {
  const { type, gcp_secret_manager_endpoint: endpoint, cache_ttl: cacheTtl } = config;
  const tokens = gcpTokens(config, SCOPE, timeoutMs);
  const call = gcpClient({ name: NAME, origin: 'https://secretmanager.googleapis.com', endpoint, tokens, timeoutMs });
  const secret = gcpSecretResource(config.gcp_project, config.gcp_secret_name);
  const read = heldMaterial(async (version, signal) => {
    signal.throwIfAborted();
    const asked = version === null ? config.gcp_secret_version : /\/versions\/([0-9]{1,20})$/.exec(version)?.[1];
    if (asked === undefined) throw providerFailed(`The key was not wrapped by a secret in ${NAME}.`);
    const answer = answeredObject(NAME, await call(`${secret}/versions/${asked}:access`, undefined, signal));
    const { name } = answer;
    if (typeof name !== 'string' || !/^projects\/[^/]+\/secrets\/[^/]+\/versions\/[0-9]{1,20}$/.test(name)) {
      throw providerFailed(`${NAME} did not say which version of the secret it answered with.`);
    }
    const { data, dataCrc32c } = member(answer, 'payload');
    const bytes = Buffer.from(typeof data === 'string' ? data : '', 'base64');
    if (String(crc32c(bytes)) !== String(dataCrc32c)) throw providerFailed(`The answer of ${NAME} was damaged on the way.`);
    return { bytes, version: name };
  }, cacheTtl);
  return secretProvider(type, read);
}
