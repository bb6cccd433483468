import { rootCertificates } from 'node:tls';
import { errorCode } from '../unavailable.js';

/** How the connection to a token endpoint is made. */
export interface TransportOptions {
  /** Milliseconds from the beginning of the dialing to the end of the answer; 10 s when left out. */
  readonly timeoutMs?: number;
  /** `TLSv1.2` when left out. */
  readonly minTlsVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** PEM text with authorities that are trusted besides those that Node.js brings along. */
  readonly ca?: string;
}

/** One form to post. */
export interface FormPost {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An answer, whatever its status. */
export interface TransportAnswer {
  readonly status: number;
  /** Empty when there is none. */
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** No whole answer came. */
export interface TransportFailure {
  /** False when the connection was never established, so that the server cannot have seen the form. */
  readonly sent: boolean;
  /** For people, without anything that the peer said: `ECONNREFUSED`. */
  readonly reason: string;
}

/** The limit of an exchange when none is given. */
export const TIMEOUT_MS = 10_000;
const ANSWER_LIMIT = 1024 * 1024;
const GIVEN_UP = 'given up';

/**
 * Posts a form over a connection of its own and reads at most 1 MiB of the answer. Follows no redirects and repeats nothing. Never rejects; an
 * abort of the signal is a failure like any other.
 *
 * The connection is not kept: one that the server closes at the moment of the next post would leave open whether that post was read, and for a
 * refresh token this is the difference between a retry and a loss.
 */
export async function postForm(
  post: FormPost,
  { timeoutMs = TIMEOUT_MS, minTlsVersion = 'TLSv1.2', ca }: TransportOptions,
  signal: AbortSignal,
): Promise<TransportAnswer | TransportFailure> {
  // On first use: it is large, and most gateways fetch no tokens.
  const { buildConnector, Client } = await import('undici');
  if (signal.aborted) return { sent: false, reason: GIVEN_UP };
  const { origin, pathname, search } = new URL(post.url);
  let connected = false;
  const connector = buildConnector({ minVersion: minTlsVersion, timeout: timeoutMs, ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }) });
  const client = new Client(origin, {
    pipelining: 0,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: (options, callback) =>
      connector(options, (...result) => {
        connected = result[0] === null;
        callback(...result);
      }),
  });
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), timeoutMs);
  const forward = (): void => abort.abort();
  signal.addEventListener('abort', forward, { once: true });
  try {
    const answer = await client.request({ path: pathname + search, method: 'POST', headers: post.headers, body: post.body, signal: abort.signal });
    const body = await readBounded(answer.body);
    if (body === null) return { sent: true, reason: 'the answer is larger than 1 MiB' };
    const contentType = answer.headers['content-type'];
    return { status: answer.statusCode, contentType: typeof contentType === 'string' ? contentType : '', body };
  } catch (error) {
    const reason = signal.aborted ? GIVEN_UP : abort.signal.aborted ? `no answer within ${timeoutMs} ms` : errorCode(error);
    return { sent: connected, reason };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', forward);
    // Whatever is still open is of no use to anybody; the promise settles when the socket is closed, which nobody needs to wait for.
    void client.destroy().catch(() => {});
  }
}

async function readBounded(body: AsyncIterable<Uint8Array>): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > ANSWER_LIMIT) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
