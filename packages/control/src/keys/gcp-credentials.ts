import { readFile } from 'node:fs/promises';
import { type CryptoKey, importPKCS8, SignJWT } from 'jose';
import { parseServiceAccount, type ServiceAccount } from './gcp-service-account.js';
import { providerFailed } from './provider.js';
import { abortable } from './provider-abort.js';
import type { ProviderConfig } from './provider-config.js';
import { answeredObject, exchangeWithProvider } from './provider-http.js';

type GcpConfig = Extract<ProviderConfig, { type: 'gcp' | 'gcp_kms' }>;

/** Hands out access tokens for Google Cloud. */
export interface GcpTokens {
  token(signal: AbortSignal): Promise<string>;
  /** The next token is a new one: the last was refused. */
  forget(): void;
}

interface HeldToken {
  readonly token: string;
  readonly until: number;
}

const NAME = 'The token endpoint of Google Cloud';
const ASSERTION_SECONDS = 300;
/** So long before its end a token is not used any more. */
const MARGIN_MS = 60_000;

/**
 * Tokens for one scope: for the service account in the key data or in the file that it names (JWT bearer grant, RFC 7523), otherwise for the
 * credentials of the server itself, which google-auth-library finds in the surroundings of the process.
 */
export function gcpTokens(config: GcpConfig, scope: string, timeoutMs?: number): GcpTokens {
  const { gcp_credentials_json: json, gcp_credentials_file: file } = config;
  if (json === undefined && file === undefined) return ambientTokens(scope);
  let held: HeldToken | null = null;
  return {
    async token(signal) {
      signal.throwIfAborted();
      if (held !== null && held.until > Date.now()) return held.token;
      const account = parseServiceAccount(json ?? (file === undefined ? '' : await fileText(file, signal)));
      if (account === null) throw providerFailed('The credentials for Google Cloud are not the JSON of a service account.');
      held = await serviceAccountToken(account, scope, signal, timeoutMs);
      return held.token;
    },
    forget() {
      held = null;
    },
  };
}

function ambientTokens(scope: string): GcpTokens {
  let opened: ReturnType<typeof open> | undefined;
  async function open() {
    const { GoogleAuth } = await import('google-auth-library');
    return new GoogleAuth({ scopes: [scope] });
  }
  return {
    async token(signal) {
      signal.throwIfAborted();
      opened ??= open();
      try {
        const token = await abortable(
          opened.then((auth) => auth.getAccessToken()),
          signal,
        );
        if (typeof token === 'string' && token !== '') return token;
      } catch {
        signal.throwIfAborted();
        // Its errors hold whole exchanges, tokens included.
      }
      throw providerFailed('The server has no credentials for Google Cloud, or they give no token.');
    },
    forget() {
      opened = undefined;
    },
  };
}

async function serviceAccountToken(account: ServiceAccount, scope: string, signal: AbortSignal, timeoutMs: number | undefined): Promise<HeldToken> {
  const { client_email: email, private_key_id: kid, token_uri: url } = account;
  const now = Math.floor(Date.now() / 1000);
  const assertion = await new SignJWT({ scope })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(kid === undefined ? {} : { kid }) })
    .setIssuer(email)
    .setAudience(url)
    .setIssuedAt(now)
    .setExpirationTime(now + ASSERTION_SECONDS)
    .sign(await signingKey(account));
  const body = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }).toString();
  const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
  const answer = answeredObject(NAME, await exchangeWithProvider({ name: NAME, method: 'POST', url, headers, body, timeoutMs }, signal));
  const { access_token: token, expires_in: seconds } = answer;
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) throw providerFailed(`${NAME} answered without a token.`);
  const lifetime = typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : 0;
  return { token, until: Date.now() + lifetime - MARGIN_MS };
}

async function signingKey({ private_key: pem }: ServiceAccount): Promise<CryptoKey> {
  try {
    return await importPKCS8(pem, 'RS256');
  } catch {
    // The reason might quote the key.
    throw providerFailed('The private key of the service account cannot be read.');
  }
}

async function fileText(path: string, signal: AbortSignal): Promise<string> {
  try {
    return await readFile(path, { encoding: 'utf8', signal });
  } catch (error) {
    signal.throwIfAborted();
    throw providerFailed(`The credentials file ${path} cannot be read.`, error);
  }
}
