import type { GcpTokens } from './gcp-credentials.js';
import { exchangeWithProvider, type ProviderAnswer, providerOrigin } from './provider-http.js';

/** Which API is called, and where. */
interface GcpService {
  /** For errors. */
  readonly name: string;
  /** The address of Google's own. */
  readonly origin: string;
  /** The address that stands in for it. */
  readonly endpoint: string | undefined;
  readonly tokens: GcpTokens;
  readonly timeoutMs: number | undefined;
}

/** Calls `v1/PATH`: GET without a body, POST with one. Answers whatever the status is; see `exchangeWithProvider` for the bounds. */
type GcpCall = (path: string, body: Readonly<Record<string, unknown>> | undefined, signal: AbortSignal) => Promise<ProviderAnswer>;

/** Calls one API of Google Cloud with a token that is renewed once when it is refused. */
export function gcpClient({ name, origin, endpoint, tokens, timeoutMs }: GcpService): GcpCall {
  const base = endpoint === undefined ? origin : providerOrigin(`The address of ${name}`, endpoint);
  return async (path, body, signal) => {
    const sent = body === undefined ? ({ method: 'GET' } as const) : ({ method: 'POST', body: JSON.stringify(body) } as const);
    const attempt = async (): Promise<ProviderAnswer> => {
      const authorization = `Bearer ${await tokens.token(signal)}`;
      const headers = { authorization, accept: 'application/json', 'content-type': 'application/json' };
      return exchangeWithProvider({ name, url: `${base}/v1/${path}`, headers, timeoutMs, ...sent }, signal);
    };
    const answer = await attempt();
    if (answer.status !== 401) return answer;
    // Revoked before its time.
    tokens.forget();
    return attempt();
  };
}
