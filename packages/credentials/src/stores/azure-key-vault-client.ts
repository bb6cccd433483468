import type { SallyportError } from '@sallyport/sdk';
import { Credential } from '../credential.js';
import { isObject, parseObject } from '../json-object.js';
import { challengedResource } from './azure-key-vault-challenge.js';
import { type AzureIdentity, azureIdentitySource } from './azure-key-vault-identity.js';
import { checkedUrl, type HttpAnswer, type HttpCall, httpClient } from './http-client.js';
import { optionInvalid, storeFailed } from './http-failure.js';
import { retryAfter } from './http-retry.js';

/** Which vault, and who asks it. */
export interface AzureKeyVaultClientOptions {
  readonly vaultUrl: string;
  readonly identity: AzureIdentity;
  readonly resource?: string | undefined;
  readonly caFile?: string | undefined;
  readonly timeoutMs?: number | undefined;
}

/** The newest version of a secret. */
export interface SecretVersion {
  readonly value: string;
  readonly version: string;
  /** The tag that says which version it replaced; null when there is none. */
  readonly replaces: string | null;
}

/** The two operations that the store needs. Both reject with `token_store_failed`. */
export interface AzureKeyVaultClient {
  /** For people. */
  readonly name: string;
  /** Null when there is no such secret. */
  get(secret: string, signal: AbortSignal): Promise<SecretVersion | null>;
  /** Makes a new version, which from then on is the newest, and answers its id. */
  set(secret: string, content: { readonly value: string; readonly tags: Readonly<Record<string, string>> }, signal: AbortSignal): Promise<string>;
}

const API_VERSION = '7.4';

/**
 * Talks to one vault. Before the first token is even asked for, the vault has to say what it wants one for: nothing is obtained or sent for a vault
 * that names another resource than the one that goes with its address.
 */
export function azureKeyVaultClient(options: AzureKeyVaultClientOptions): AzureKeyVaultClient {
  const vaultUrl = checkedUrl('vault_url', options.vaultUrl);
  const resource = (options.resource ?? resourceOf(vaultUrl)).replace(/\/+$/, '');
  const name = `Key Vault ${new URL(vaultUrl).host}`;
  const client = httpClient({ name, caFile: options.caFile, timeoutMs: options.timeoutMs });
  // The vault may have a private authority; Entra ID never does.
  const identityClient = httpClient({ name: 'the token service of Azure', timeoutMs: options.timeoutMs });
  const source = azureIdentitySource(options.identity, resource, identityClient);
  const credential = new Credential({ name: 'of the token store', source });
  let challenged = false;

  function judge(answer: HttpAnswer): void {
    const wanted = challengedResource(answer.header('www-authenticate'));
    if (wanted === resource) return;
    const found = wanted === null ? 'does not say what it wants one for' : 'asks for one for another resource';
    throw storeFailed(`${name} gets no token: it ${found}.`, {
      retryable: false,
      hint: `Check vault_url: a vault of this address asks for ${resource}.`,
    });
  }

  async function challenge(url: string, signal: AbortSignal): Promise<void> {
    const answer = await client({ method: 'GET', url }, signal);
    if (answer.status !== 401) throw refusal(name, answer);
    judge(answer);
    challenged = true;
  }

  async function call(request: HttpCall, signal: AbortSignal): Promise<HttpAnswer> {
    if (!challenged) await challenge(request.url, signal);
    const send = async (): Promise<HttpAnswer> => {
      const token = await credential.resolve(signal);
      const headers = { ...request.headers, authorization: `Bearer ${token.secret.reveal()}` };
      const answer = await client({ ...request, headers }, signal);
      if (answer.status === 401) {
        judge(answer);
        credential.invalidate(token);
      }
      return answer;
    };
    const answer = await send();
    return answer.status === 401 ? await send() : answer;
  }

  const urlOf = (secret: string): string => `${vaultUrl}/secrets/${secret}?api-version=${API_VERSION}`;
  return {
    name,
    async get(secret, signal) {
      const answer = await call({ method: 'GET', url: urlOf(secret) }, signal);
      if (answer.status === 404 && codesOf(answer)[0] === 'SecretNotFound') return null;
      if (answer.status !== 200) throw refusal(name, answer);
      return bundleOf(name, answer);
    },
    async set(secret, { value, tags }, signal) {
      const body = JSON.stringify({ value, tags, contentType: 'application/json' });
      const answer = await call({ method: 'PUT', url: urlOf(secret), headers: { 'content-type': 'application/json' }, body }, signal);
      if (answer.status !== 200) throw refusal(name, answer);
      return bundleOf(name, answer).version;
    },
  };
}

/** Vaults are at NAME.vault.azure.net, .azure.cn and so on; what goes with them is the rest of the name. */
function resourceOf(vaultUrl: string): string {
  const [, ...rest] = new URL(vaultUrl).hostname.split('.');
  if (rest.length >= 3 && rest[0] === 'vault') return `https://${rest.join('.')}`;
  throw optionInvalid('vault_url', 'is not the address of a vault', 'Write it as in https://NAME.vault.azure.net, or name the `resource`.');
}

function bundleOf(name: string, answer: HttpAnswer): SecretVersion {
  const body = parseObject(answer.text);
  const version = typeof body?.id === 'string' ? /\/secrets\/[^/]+\/([0-9A-Za-z]{1,64})$/.exec(body.id)?.[1] : undefined;
  const replaces = isObject(body?.tags) && typeof body.tags.replaces === 'string' ? body.tags.replaces : null;
  if (version !== undefined && typeof body?.value === 'string') return { value: body.value, version, replaces };
  throw storeFailed(`${name} answered something that is not a secret.`, { retryable: false, hint: 'Check vault_url.' });
}

/** The code of the error and the code inside of it; texts that could be anything else are left out. */
function codesOf(answer: HttpAnswer): string[] {
  const error = parseObject(answer.text)?.error;
  const inner = isObject(error) && isObject(error.innererror) ? error.innererror.code : null;
  return [isObject(error) ? error.code : null, inner].filter((code) => typeof code === 'string').filter((code) => /^[A-Z][A-Za-z]{0,48}$/.test(code));
}

function refusal(name: string, answer: HttpAnswer): SallyportError {
  const { status } = answer;
  const codes = codesOf(answer);
  const reason = [...codes, status].join(', ');
  if (status === 429 || status >= 500) {
    return storeFailed(`${name} cannot answer now (${reason}).`, { retryable: true, hint: 'Try again later.', retryAfter: retryAfter(answer) });
  }
  return storeFailed(`${name} refused (${reason}).`, { retryable: false, hint: hintOf(status, codes) });
}

function hintOf(status: number, codes: readonly string[]): string {
  if (codes.includes('SecretDisabled')) return 'Enable the newest version of the secret, or set a new one.';
  if (status === 401) return 'Check that the identity belongs to the directory of the vault.';
  if (status === 403) return 'Allow the identity to get and set secrets, and let the network of this machine through the firewall of the vault.';
  if (status === 409) return 'A secret of this name was deleted and can be recovered: recover or purge it.';
  return 'Check vault_url.';
}
