import { allowInsecureRequests, customFetch, OperationProcessingError } from 'oauth4webapi';

const LARGEST_ANSWER = 1024 * 1024;
const TIME_LIMIT = 30_000;

/** What of a token answer is looked at. Servers put other things there that are no concern of ours and not always as the standard says. */
const LOOKED_AT = ['access_token', 'refresh_token', 'error', 'error_description', 'error_uri'];

/** The options of a call to an endpoint: what is sent may be http only when allowed, an answer has 30 s and 1 MiB, redirects are not followed. */
export function httpOptions({ allowHttp }: { allowHttp: boolean }) {
  return {
    [allowInsecureRequests]: allowHttp,
    [customFetch]: boundedFetch,
    signal: () => AbortSignal.timeout(TIME_LIMIT),
  };
}

/**
 * As `httpOptions`, for the token endpoint: the answer is narrowed to what is needed. The access token goes unused, so its kind does not matter;
 * an ID token is kept, to be checked, only where the issuer is known.
 */
export function tokenOptions({ allowHttp, issuerKnown }: { allowHttp: boolean; issuerKnown: boolean }) {
  const kept = issuerKnown ? [...LOOKED_AT, 'id_token'] : LOOKED_AT;
  return {
    ...httpOptions({ allowHttp }),
    [customFetch]: async (url: string, sent: Sent) => narrowed(await boundedFetch(url, sent), kept),
  };
}

/** What the library sends. */
interface Sent {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: URLSearchParams | undefined;
  readonly redirect: 'manual';
  readonly signal?: AbortSignal;
}

async function boundedFetch(url: string, { body: form, ...options }: Sent): Promise<Response> {
  const response = await fetch(url, { ...options, body: form ?? null });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > LARGEST_ANSWER) throw new OperationProcessingError('the answer is larger than 1 MiB');
    chunks.push(chunk);
  }
  // Without WWW-Authenticate the error in the body is read, which says more than the challenge.
  const type = response.headers.get('content-type');
  const body = [204, 205, 304].includes(response.status) ? null : Buffer.concat(chunks);
  return new Response(body, { status: response.status, headers: type === null ? {} : { 'content-type': type } });
}

async function narrowed(response: Response, kept: readonly string[]): Promise<Response> {
  const text = await response.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // The library says what is wrong with it.
    return new Response(text === '' ? null : text, response);
  }
  if (typeof body !== 'object' || body === null) return new Response(text, response);
  const seen = Object.fromEntries(Object.entries(body).filter(([name, value]) => kept.includes(name) && value !== null));
  return new Response(JSON.stringify('access_token' in seen ? { ...seen, token_type: 'bearer' } : seen), response);
}
