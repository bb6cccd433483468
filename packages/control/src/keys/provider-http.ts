import { SallyportError } from '@sallyport/sdk';
import { request } from 'undici';
import { pause } from '../database/pause.js';
import { providerFailed } from './provider.js';

/** One call of a provider's API. */
export interface ProviderCall {
  /** Who answers, for errors. */
  readonly name: string;
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** A call whose body is bytes already, and what decides how long it is tried. */
interface ProviderExchange extends ProviderCall {
  readonly body?: string | Uint8Array;
  /** How long everything may take, attempts and pauses together. 10 s when left out. */
  readonly timeoutMs?: number | undefined;
  /** Whether an answer is worth another attempt although its status does not say so. */
  readonly temporary?: (answer: ProviderAnswer) => boolean;
}

/** What came back, whatever its status. */
export interface ProviderAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

type JsonObject = Readonly<Record<string, unknown>>;

const TIMEOUT_MS = 10_000;
const ANSWER_LIMIT = 1024 * 1024;
const RETRIES = 3;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;
const TEMPORARY_STATUSES: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

/**
 * The answer of a provider. Follows no redirects and reads at most 1 MiB. What may pass (throttling, a server's failure, a connection that
 * breaks) is tried three times more, with growing pauses or those that the provider asks for; every call that providers get may be repeated.
 * Rejects with the reason of the signal after an abort, otherwise with `key_provider_failed`.
 */
export async function exchangeWithProvider(exchange: ProviderExchange, signal: AbortSignal): Promise<ProviderAnswer> {
  signal.throwIfAborted();
  const { name, timeoutMs = TIMEOUT_MS, temporary = () => false } = exchange;
  const limit = AbortSignal.timeout(timeoutMs);
  const limited = AbortSignal.any([signal, limit]);
  try {
    for (let attempt = 0; ; attempt += 1) {
      const last = attempt === RETRIES;
      const answer = await answerOrBroken(exchange, limited, last);
      if (answer !== null && (last || !(TEMPORARY_STATUSES.has(answer.status) || temporary(answer)))) return answer;
      await pause(pauseBefore(answer, attempt), limited);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (limit.aborted) throw providerFailed(`${name} did not answer within ${timeoutMs} ms.`);
    throw error instanceof SallyportError ? error : providerFailed(`${name} cannot be reached.`, error);
  }
}

/**
 * The JSON object that a provider answers with, as `exchangeWithProvider` gets it. Rejects with `key_provider_failed` for every status but 200;
 * an error names the status and never repeats the answer, which may hold material.
 */
export async function callProvider({ name, body, ...call }: ProviderCall, signal: AbortSignal): Promise<JsonObject> {
  const headers = { ...call.headers, accept: 'application/json' };
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  return answeredObject(name, await exchangeWithProvider({ ...call, name, headers, ...sent }, signal));
}

/** The JSON object of an answer with the status 200; `key_provider_failed` for every other. */
export function answeredObject(name: string, { status, body }: ProviderAnswer): JsonObject {
  if (status !== 200) throw providerFailed(`${name} answered with the status ${status}.`);
  const parsed = jsonObject(body);
  if (parsed === null) throw providerFailed(`The answer of ${name} is not a JSON object.`);
  return parsed;
}

/** The JSON object in these bytes, or null when they hold anything else. */
export function jsonObject(bytes: Buffer): JsonObject | null {
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'));
    return isRecord(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

/** The member of a JSON object that is an object itself; empty when there is none. */
export function member(object: JsonObject, name: string): JsonObject {
  const value = Object.hasOwn(object, name) ? object[name] : undefined;
  return isRecord(value) ? value : {};
}

/** The URL when secrets may be sent there: https, or http to a loopback address, without a user name. Otherwise null. */
export function secretUrl(address: string): URL | null {
  const url = URL.canParse(address) ? new URL(address) : null;
  const loopback = url !== null && (url.hostname === 'localhost' || url.hostname === '[::1]' || /^127\.[0-9.]+$/.test(url.hostname));
  const protectedWay = url?.protocol === 'https:' || (url?.protocol === 'http:' && loopback);
  return url !== null && protectedWay && url.username === '' && url.password === '' ? url : null;
}

/** The origin of an address that is a `secretUrl` of nothing but scheme, host and port; `key_provider_failed` for every other. */
export function providerOrigin(what: string, address: string): string {
  const url = secretUrl(address);
  if (url === null || url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw providerFailed(`${what} is not an https URL of only scheme, host and port; http is taken only for loopback addresses.`);
  }
  return url.origin;
}

function isRecord(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Null when the connection broke and there is another attempt. */
async function answerOrBroken(exchange: ProviderExchange, limited: AbortSignal, last: boolean): Promise<ProviderAnswer | null> {
  const { name, method, url, body } = exchange;
  try {
    const answer = await request(url, { method, headers: { ...exchange.headers }, body: body ?? null, signal: limited });
    const headers: Record<string, string> = {};
    for (const [field, value] of Object.entries(answer.headers)) headers[field] = Array.isArray(value) ? value.join(', ') : (value ?? '');
    return { status: answer.statusCode, headers, body: await boundedBytes(name, answer.body) };
  } catch (error) {
    if (last || limited.aborted || error instanceof SallyportError) throw error;
    return null;
  }
}

async function boundedBytes(name: string, body: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop destroys the rest of the body, and with it the connection.
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue;
    length += chunk.length;
    if (length > ANSWER_LIMIT) throw providerFailed(`The answer of ${name} is longer than 1 MiB.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Seconds in `Retry-After` are waited for in full (the pause takes half at least, by chance), up to five. */
function pauseBefore(answer: ProviderAnswer | null, attempt: number): number {
  const asked = /^[0-9]{1,5}$/.exec(answer?.headers['retry-after'] ?? '')?.[0];
  return asked === undefined ? FIRST_PAUSE_MS * 2 ** attempt : 2 * Math.min(Number(asked) * 1000, LONGEST_PAUSE_MS);
}
