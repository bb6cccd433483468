import { readFileSync } from 'node:fs';
import { SallyportError } from '@sallyport/sdk';
import type { Agent } from 'undici';
import { errorCode } from '../unavailable.js';
import { optionInvalid, storeFailed } from './http-failure.js';

/** How a server is talked to. */
export interface HttpClientOptions {
  /** Who answers, for errors: `Vault at https://vault.example:8200`. */
  readonly name: string;
  /** PEM file with the authorities that are trusted instead of the usual ones; read once. */
  readonly caFile?: string | undefined;
  /** Milliseconds for one request with its answer; 3 s when left out. */
  readonly timeoutMs?: number | undefined;
}

/** One request. */
export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An answer, whatever its status. */
export interface HttpAnswer {
  readonly status: number;
  /** The value of a header field by its name in lower case; null when there is none. */
  header(name: string): string | null;
  readonly text: string;
}

/** Sends one request and reads the whole answer. */
export type HttpClient = (call: HttpCall, signal: AbortSignal) => Promise<HttpAnswer>;

/** Less than the 5 s that the refresh coordinator gives a whole operation, so that there is time for a second attempt. */
const TIMEOUT_MS = 3_000;
const ANSWER_LIMIT = 1024 * 1024;

/**
 * A client that follows no redirects, always verifies certificates, needs at least TLS 1.2, and reads at most 1 MiB of an answer. It rejects with
 * the reason of the signal after an abort, otherwise with `token_store_failed`: retryable when the network failed or the time was up, so that
 * nobody knows whether the server did what it was asked. Idle connections keep no process alive.
 */
export function httpClient({ name, caFile, timeoutMs = TIMEOUT_MS }: HttpClientOptions): HttpClient {
  const ca = caFile === undefined ? {} : { ca: readAuthorities(caFile) };
  let agent: Agent | null = null;
  const hint = `Check that ${name} can be reached from this machine.`;

  return async (call, signal) => {
    // On first use: it is large, and most gateways have no store that needs it.
    const undici = await import('undici');
    signal.throwIfAborted();
    const connect = { rejectUnauthorized: true, minVersion: 'TLSv1.2' as const, timeout: timeoutMs, ...ca };
    agent ??= new undici.Agent({ connect, connections: 16 });
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(storeFailed(`${name} did not answer within ${timeoutMs} ms.`, { retryable: true, hint })), timeoutMs);
    const forward = (): void => abort.abort(signal.reason);
    signal.addEventListener('abort', forward, { once: true });
    try {
      const { method, url, headers = {}, body = null } = call;
      const answer = await undici.request(url, { dispatcher: agent, method, headers, body, signal: abort.signal });
      const text = await readText(answer.body, name);
      return { status: answer.statusCode, header: (field) => first(answer.headers[field]), text };
    } catch (error) {
      abort.signal.throwIfAborted();
      throw error instanceof SallyportError ? error : networkFailure(name, errorCode(error), hint);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', forward);
    }
  };
}

/** The origin and path of a server, without a slash at the end. Throws `config_invalid` unless it is an https URL, or http to a loopback address. */
export function checkedUrl(option: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw optionInvalid(option, 'is not a URL', 'Write it in full, as in https://vault.example:8200.');
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw optionInvalid(option, 'may have neither user information nor a query nor a fragment', 'Leave only scheme, host, port and path.');
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))) {
    throw optionInvalid(option, 'is not an https URL', 'Use https; http is taken only for loopback addresses.');
  }
  return url.origin + url.pathname.replace(/\/+$/, '');
}

/** True for a host that never leaves this machine, as a URL spells it. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.[0-9]+\.[0-9]+\.[0-9]+$/.test(hostname);
}

function readAuthorities(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw optionInvalid('ca_file', `${path} cannot be read (${errorCode(error)})`, 'Name a PEM file that this process may read.');
  }
}

function networkFailure(name: string, code: string, hint: string): SallyportError {
  if (code === 'UND_ERR_INVALID_ARG') {
    const what = 'Look for line breaks and other control characters in the configured names and secrets.';
    return storeFailed(`The request to ${name} cannot be sent.`, { retryable: false, hint: what });
  }
  if (/CERT|SIGNED|SIGNATURE|TLS|SSL|EPROTO/.test(code)) {
    const what = 'Check that the port speaks TLS with a valid certificate, and name its authority as the CA file if it is a private one.';
    return storeFailed(`The TLS connection to ${name} failed (${code}).`, { retryable: false, hint: what });
  }
  return storeFailed(`The connection to ${name} failed (${code}).`, { retryable: true, hint });
}

async function readText(body: AsyncIterable<unknown>, name: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop destroys the rest of the body, and with it the connection.
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue;
    length += chunk.length;
    if (length > ANSWER_LIMIT) {
      throw storeFailed(`The answer of ${name} is larger than 1 MiB.`, { retryable: false, hint: 'Check that the address is that of the store.' });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function first(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value[0] : value) ?? null;
}
