import { createInterface } from 'node:readline/promises';
import { storeNewToken } from '@sallyport/credentials';
import { asSallyportError, type ErrorCode, type Secret } from '@sallyport/sdk';
import type { AuthorizationServer } from 'oauth4webapi';
import { printFailure } from '../failure.js';
import { millisecondsOf } from '../fleet/duration-option.js';
import { consentByBrowser } from '../onboard/browser-consent.js';
import { checkStore } from '../onboard/check-store.js';
import { readClientSecret } from '../onboard/client-secret.js';
import { consentByDevice } from '../onboard/device-consent.js';
import { discover, offeredClientAuth } from '../onboard/discovery.js';
import { findStore } from '../onboard/open-store.js';
import { consentByPaste, pasteRedirectUri } from '../onboard/paste-consent.js';
import { type Progress, progressOn } from '../onboard/progress.js';
import { endpoint, extraParameters, invalid, microsoftServer, type Provider } from '../onboard/provider.js';

/** What both ways of `sallyport onboard` take. */
interface CommonOptions {
  clientId: string;
  clientSecretFile?: string;
  clientAuth?: 'post' | 'basic';
  resource?: string;
  extraParam?: readonly string[];
  port: number;
  timeout: string;
  browser: boolean;
  paste?: true;
  redirectUri?: string;
  allowHttp?: true;
  store?: string;
  config?: string;
  key?: string;
  force?: true;
}

/** The options of `sallyport onboard oauth`. */
export interface OAuthOptions extends CommonOptions {
  issuer?: string;
  authorizeUrl?: string;
  tokenUrl?: string;
  deviceUrl?: string;
  scope?: string;
  device?: true;
  pkce: boolean;
}

/** The options of `sallyport onboard microsoft`. */
export interface MicrosoftOptions extends CommonOptions {
  tenant: string;
  endpoint: string;
}

const STORE_TIME_LIMIT = 60_000;

/** The exit codes that differ from 4, which is everything else that goes wrong. They are those of chaperone-onboard. */
const exitCodes: { readonly [Code in ErrorCode]?: number } = {
  onboarding_invalid: 1,
  onboarding_timeout: 2,
  onboarding_exchange_failed: 3,
  onboarding_token_missing: 3,
};

/**
 * `sallyport onboard oauth`: 0, or 1 to 4 as docs/onboarding.md says. Prints the refresh token and nothing else on standard output, or stores it.
 */
export async function onboardOAuth(options: OAuthOptions, input: NodeJS.ReadStream = process.stdin): Promise<number> {
  return withOwnExitCodes(async () => {
    const progress = progressOn(process.stderr);
    const allowHttp = options.allowHttp === true;
    if (allowHttp) warnOfHttp(progress);
    const extra = extraParameters(options.extraParam ?? []);
    const clientSecret = await readClientSecret(options.clientSecretFile, process.env);
    checkWays(options);
    const keep = await preparedStore(options, options.key, progress, input);
    const server = options.issuer === undefined ? serverOf(options, allowHttp) : await discover(options.issuer, allowHttp);
    checkEndpoints(server, options);
    const provider: Provider = {
      server,
      issuerKnown: options.issuer !== undefined,
      clientId: options.clientId,
      clientSecret,
      clientAuth: options.clientAuth ?? (options.issuer === undefined ? 'post' : offeredClientAuth(server)),
      scope: options.scope ?? null,
      resource: options.resource ?? null,
      extra,
      pkce: options.pkce,
      allowHttp,
    };
    await keep(
      options.device === true
        ? await consentByDevice(provider, { progress, timeLimit: AbortSignal.timeout(millisecondsOf(options.timeout)) })
        : await consent(provider, options, progress, input),
    );
  });
}

/** `sallyport onboard microsoft`, as `onboardOAuth`. The key in the store is the tenant unless another is named. */
export async function onboardMicrosoft(options: MicrosoftOptions, input: NodeJS.ReadStream = process.stdin): Promise<number> {
  return withOwnExitCodes(async () => {
    const progress = progressOn(process.stderr);
    const allowHttp = options.allowHttp === true;
    if (allowHttp) warnOfHttp(progress);
    const server = microsoftServer(options.endpoint, options.tenant, allowHttp);
    const extra = extraParameters(options.extraParam ?? []);
    const clientSecret = await readClientSecret(options.clientSecretFile, process.env);
    checkWays(options);
    const keep = await preparedStore(options, options.key ?? options.tenant, progress, input);
    const provider: Provider = {
      server,
      issuerKnown: false,
      clientId: options.clientId,
      clientSecret,
      clientAuth: options.clientAuth ?? 'post',
      scope: null,
      resource: options.resource ?? null,
      extra,
      pkce: true,
      allowHttp,
    };
    await keep(await consent(provider, options, progress, input));
  });
}

async function withOwnExitCodes(work: () => Promise<void>): Promise<number> {
  try {
    await work();
    return 0;
  } catch (error) {
    await printFailure(error);
    return exitCodes[asSallyportError(error).code] ?? 4;
  }
}

function warnOfHttp(progress: Progress): void {
  progress.warn('with --allow-http the client secret and the token may travel unencrypted.');
}

function consent(provider: Provider, options: CommonOptions, progress: Progress, input: NodeJS.ReadStream): Promise<Secret> {
  const timeLimit = AbortSignal.timeout(millisecondsOf(options.timeout));
  if (options.paste !== true) return consentByBrowser(provider, { port: options.port, browser: options.browser, progress, timeLimit });
  return consentByPaste(provider, { redirectUri: pasteRedirectUri(options.redirectUri, options.port), input, progress, timeLimit });
}

function serverOf(options: OAuthOptions, allowHttp: boolean): AuthorizationServer {
  const checked = (flag: string, text: string | undefined): string | undefined => (text === undefined ? undefined : endpoint(flag, text, allowHttp));
  const tokenUrl = checked('--token-url', options.tokenUrl);
  if (tokenUrl === undefined) {
    throw invalid('It is not known where to get the token.', 'Name --issuer, or --token-url with --authorize-url or --device-url.');
  }
  const authorizeUrl = checked('--authorize-url', options.authorizeUrl);
  const deviceUrl = checked('--device-url', options.deviceUrl);
  return {
    issuer: new URL(tokenUrl).origin,
    token_endpoint: tokenUrl,
    ...(authorizeUrl !== undefined && { authorization_endpoint: authorizeUrl }),
    ...(deviceUrl !== undefined && { device_authorization_endpoint: deviceUrl }),
  };
}

/** Options that contradict each other. */
function checkWays(options: CommonOptions & Partial<OAuthOptions>): void {
  const { issuer, device, paste, redirectUri, pkce } = options;
  const endpoints = options.authorizeUrl ?? options.tokenUrl ?? options.deviceUrl;
  if (issuer !== undefined && endpoints !== undefined) throw invalid('--issuer finds the endpoints by itself.', 'Name the issuer or the endpoints.');
  if (device === true && paste === true) throw invalid('--device and --paste are two different ways.', 'Choose one of them.');
  if (redirectUri !== undefined && paste !== true) {
    throw invalid('--redirect-uri goes with --paste only.', 'Without --paste the browser comes back to this machine; --port chooses the port.');
  }
  if (device === true && pkce === false) throw invalid('--no-pkce means nothing with --device.', 'Leave it out: a device code needs no PKCE.');
}

function checkEndpoints(server: AuthorizationServer, { device, issuer }: OAuthOptions): void {
  const [name, flag] =
    device === true ? (['device_authorization_endpoint', '--device-url'] as const) : (['authorization_endpoint', '--authorize-url'] as const);
  if (server.token_endpoint === undefined || server[name] === undefined) {
    const missing = server[name] === undefined ? name : 'token_endpoint';
    throw invalid(
      issuer === undefined ? `${flag} is missing.` : `The issuer ${server.issuer} does not say its ${missing}.`,
      issuer === undefined ? `Add ${flag}, or name --issuer.` : 'Name the endpoints instead of the issuer, or go another way.',
    );
  }
}

/** Checks the store before anybody consents, and answers what is to be done with the token. */
async function preparedStore(
  { store: text, config, force }: CommonOptions,
  key: string | undefined,
  progress: Progress,
  input: NodeJS.ReadStream,
): Promise<(token: Secret) => Promise<void>> {
  if (text === undefined) {
    const flag = force === true ? '--force' : config === undefined ? null : '--config';
    if (flag !== null) throw invalid(`${flag} goes with --store only.`, 'Leave it out, or name a store.');
    return print;
  }
  const name = key ?? 'default';
  const store = await findStore(text, process.env, config);
  await checkStore(store, name, async () => force === true || (await confirmed(input, `A token is in ${store.description} already. Replace it?`)));
  return async (token) => {
    try {
      await storeNewToken(store, name, token, AbortSignal.timeout(STORE_TIME_LIMIT));
    } catch (error) {
      progress.warn('the token was fetched, but could not be stored; it is not kept anywhere. Mend the store and begin again.');
      throw error;
    }
    progress.say(`The refresh token is in ${store.description}, under ${JSON.stringify(name)}.`);
  };
}

/** Asks on a terminal; elsewhere the answer is no. */
async function confirmed(input: NodeJS.ReadStream, question: string): Promise<boolean> {
  if (input.isTTY !== true || process.stderr.isTTY !== true) return false;
  const lines = createInterface({ input, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}

/** The token alone, without a line break, for `$(…)` and pipes. */
async function print(token: Secret): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(token.reveal(), (error) => (error ? reject(error) : resolve()));
  });
  // Otherwise the prompt of the shell stands right behind it.
  if (process.stdout.isTTY) process.stderr.write('\n');
}
