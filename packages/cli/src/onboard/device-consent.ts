import { setTimeout as sleep } from 'node:timers/promises';
import type { Secret } from '@sallyport/sdk';
import {
  type DeviceAuthorizationResponse,
  deviceAuthorizationRequest,
  deviceCodeGrantRequest,
  processDeviceAuthorizationResponse,
  processDeviceCodeResponse,
  ResponseBodyError,
} from 'oauth4webapi';
import { clientAuthentication, refreshTokenOf, tokenEndpointName } from './exchange.js';
import { consentDenied, endpointFailure } from './failures.js';
import type { Progress } from './progress.js';
import type { Provider } from './provider.js';
import { quoted } from './quoted-text.js';
import { consentTimeout, orTimeout } from './time-limit.js';
import { httpOptions, tokenOptions } from './token-http.js';

const INTERVAL_S = 5;
const LEAST_INTERVAL_S = 1;
const SLOWER_S = 5;

/** Waits for so many milliseconds; rejects when the signal aborts. */
type Wait = (milliseconds: number, signal: AbortSignal) => Promise<unknown>;

/**
 * Gets consent on another device, where the person types in a code (RFC 8628). Asks as often as the server allows, slower when it says so or cannot
 * be reached, until the code expires. Errors: `onboarding_timeout`, `onboarding_denied`, `onboarding_exchange_failed`, `onboarding_token_missing`.
 */
export async function consentByDevice(
  provider: Provider,
  { progress, timeLimit, wait = pause }: { progress: Progress; timeLimit: AbortSignal; wait?: Wait },
): Promise<Secret> {
  const device = await askForCode(provider);
  // Text of a server must not steer the terminal.
  const page = quoted(device.verification_uri);
  progress.say(`Open this address on any device, and type in the code:\n\n  ${page}\n  code: ${quoted(device.user_code)}\n`);
  if (device.verification_uri_complete !== undefined)
    progress.say(`Or open this, which has the code in it:\n\n  ${quoted(device.verification_uri_complete)}\n`);
  const waited = progress.wait('Waiting for the consent…');
  try {
    return await orTimeout(
      poll(provider, device, (seconds) => wait(seconds * 1000, timeLimit)),
      timeLimit,
    );
  } finally {
    waited();
  }
}

const pause: Wait = (milliseconds, signal) => sleep(milliseconds, undefined, { signal });

async function askForCode(provider: Provider): Promise<DeviceAuthorizationResponse> {
  const client = { client_id: provider.clientId };
  const parameters = new URLSearchParams(Object.fromEntries(provider.extra));
  if (provider.scope !== null) parameters.set('scope', provider.scope);
  if (provider.resource !== null) parameters.set('resource', provider.resource);
  try {
    const response = await deviceAuthorizationRequest(provider.server, client, clientAuthentication(provider), parameters, httpOptions(provider));
    return await processDeviceAuthorizationResponse(provider.server, client, response);
  } catch (error) {
    const name = `The device endpoint ${provider.server.device_authorization_endpoint ?? ''}`;
    throw endpointFailure('onboarding_exchange_failed', name, error, [provider.clientSecret?.reveal() ?? '']);
  }
}

/** `wait` takes seconds. The clock of the code is counted in what was waited, which never runs ahead of the server's. */
async function poll(provider: Provider, device: DeviceAuthorizationResponse, wait: (seconds: number) => Promise<unknown>): Promise<Secret> {
  let interval = Math.max(device.interval ?? INTERVAL_S, LEAST_INTERVAL_S);
  for (let waited = interval; waited < device.expires_in; waited += interval) {
    await wait(interval);
    const answer = await askForToken(provider, device.device_code);
    if (typeof answer !== 'string') return answer;
    if (answer === 'slow_down') interval += SLOWER_S;
    // The server may be down because of too many who ask (RFC 8628 §3.5).
    else if (answer === 'unreachable') interval *= 2;
  }
  throw consentTimeout();
}

/** One question; a word where it has to be asked again. */
async function askForToken(provider: Provider, code: string): Promise<Secret | 'authorization_pending' | 'slow_down' | 'unreachable'> {
  const client = { client_id: provider.clientId };
  let response: Response;
  try {
    response = await deviceCodeGrantRequest(provider.server, client, clientAuthentication(provider), code, tokenOptions(provider));
  } catch {
    return 'unreachable';
  }
  if (response.status >= 500) return 'unreachable';
  try {
    return refreshTokenOf(await processDeviceCodeResponse(provider.server, client, response));
  } catch (error) {
    if (error instanceof ResponseBodyError) {
      if (error.error === 'authorization_pending' || error.error === 'slow_down') return error.error;
      if (error.error === 'expired_token') throw consentTimeout();
      if (error.error === 'access_denied') throw consentDenied(error.error, error.error_description ?? null);
    }
    const secrets = [provider.clientSecret?.reveal() ?? '', code];
    throw endpointFailure('onboarding_exchange_failed', tokenEndpointName(provider.server), error, secrets);
  }
}
