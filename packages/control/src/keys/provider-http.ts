import { request } from 'undici';
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

const TIMEOUT_MS = 10_000;
const ANSWER_LIMIT = 1024 * 1024;

/**
 * The JSON object that a provider answers with. Follows no redirects, waits at most 10 s, reads at most 1 MiB. Rejects with the reason of the
 * signal after an abort, otherwise with `key_provider_failed`; an error names the status and never repeats the answer, which may hold material.
 */
export async function callProvider(
  { name, method, url, headers, body }: ProviderCall,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  signal.throwIfAborted();
  const sent = body === undefined ? null : JSON.stringify(body);
  const limited = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    const answer = await request(url, { method, headers: { ...headers, accept: 'application/json' }, body: sent, signal: limited });
    const parsed = await readObject(answer.body);
    if (answer.statusCode !== 200) throw providerFailed(`${name} answered with the status ${answer.statusCode}.`);
    if (parsed === null) throw providerFailed(`The answer of ${name} is not a JSON object of at most 1 MiB.`);
    return parsed;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && 'hint' in error) throw error;
    throw providerFailed(`${name} cannot be reached.`, error);
  }
}

/** The member of a JSON object that is an object itself; empty when there is none. */
export function member(object: Readonly<Record<string, unknown>>, name: string): Readonly<Record<string, unknown>> {
  const value = Object.hasOwn(object, name) ? object[name] : undefined;
  return isRecord(value) ? value : {};
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function readObject(body: AsyncIterable<unknown>): Promise<Readonly<Record<string, unknown>> | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop destroys the rest of the body, and with it the connection.
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue;
    length += chunk.length;
    if (length > ANSWER_LIMIT) return null;
    chunks.push(chunk);
  }
  try {
    const parsed: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return isRecord(parsed) ? parsed : null;
  } catch {
    return null;
  }
}
