import { SallyportError } from '@sallyport/sdk';
import { awsRegion } from './aws-resource.js';
import { providerFailed } from './provider.js';
import { abortable } from './provider-abort.js';
import type { ProviderConfig } from './provider-config.js';
import { exchangeWithProvider, jsonObject, type ProviderAnswer, providerOrigin } from './provider-http.js';

type AwsConfig = Extract<ProviderConfig, { type: 'aws_kms' | 'aws_secrets_manager' }>;

/** Which service is called, and where. */
interface AwsService {
  /** For errors. */
  readonly name: string;
  readonly id: string;
  /** The address that stands in for that of AWS. */
  readonly endpoint: string | undefined;
  readonly timeoutMs: number | undefined;
}

/** A request that the SDK has signed, in so far as it is needed here. */
interface SignedRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>> | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/**
 * What a client of the AWS SDK is made with. Requests go through `exchangeWithProvider`, so that answers, attempts and time have the bounds that
 * they have for every provider; the SDK itself tries once. `implicit` credentials are those that the SDK finds in the surroundings of the process.
 */
export function awsClientOptions({ aws_credentials: credentials, aws_region: named }: AwsConfig, { name, id, endpoint, timeoutMs }: AwsService) {
  const region = awsRegion(id, named);
  if (region === null) throw providerFailed(`The region of ${name} is not known.`);
  const address = endpoint === undefined ? {} : { endpoint: providerOrigin(`The address of ${name}`, endpoint) };
  const identity = credentials?.type === 'access_key' ? { credentials: accessKey(credentials) } : {};
  const requestHandler = {
    async handle(request: SignedRequest, { abortSignal }: { readonly abortSignal?: unknown } = {}) {
      const { method, headers, body = '' } = request;
      // The services themselves get POST; the SDK calls others with GET when it looks for credentials.
      if (!(method === 'GET' || method === 'POST') || !(typeof body === 'string' || body instanceof Uint8Array)) {
        throw new TypeError('a call of AWS is a GET or a POST with its body in memory');
      }
      const sent = body.length === 0 ? {} : { body };
      const signal = abortSignal instanceof AbortSignal ? abortSignal : new AbortController().signal;
      const answer = await exchangeWithProvider({ name, method, url: urlOf(request), headers, ...sent, timeoutMs, temporary: throttled }, signal);
      return { response: { statusCode: answer.status, headers: { ...answer.headers }, body: answer.body } };
    },
  };
  return { region, ...address, ...identity, requestHandler, maxAttempts: 1 };
}

/**
 * The result of a call of the SDK, or the signal's reason as soon as that aborts: looking for credentials does not heed it. Failures become
 * `key_provider_failed` with the name that AWS gives the error, or what `refused` makes of that name. The SDK's own error is left out: it holds
 * the whole exchange.
 */
export async function awsCall<Result>(
  name: string,
  call: () => Promise<Result>,
  signal: AbortSignal,
  refused: (errorName: string) => SallyportError | null = () => null,
): Promise<Result> {
  signal.throwIfAborted();
  try {
    return await abortable(call(), signal);
  } catch (error) {
    signal.throwIfAborted();
    // Made anew, because the SDK writes members of its own onto the errors that pass through it.
    if (error instanceof SallyportError) throw providerFailed(error.message, error.cause);
    const errorName = awsErrorName(error);
    throw refused(errorName) ?? providerFailed(`${name} refused the call: ${errorName}.`);
  }
}

/** `AccessDeniedException` and the like. An answer may hold any text in its place, which is not repeated. */
function awsErrorName(error: unknown): string {
  const name = error instanceof Error ? error.name : '';
  return /^[A-Z][A-Za-z]{2,79}$/.test(name) ? name : 'unknown error';
}

function accessKey(credentials: Extract<AwsConfig['aws_credentials'], { type: 'access_key' }>) {
  const { access_key_id: accessKeyId, secret_access_key: secretAccessKey, session_token: sessionToken } = credentials;
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

function urlOf({ protocol, hostname, port, path, query = {} }: SignedRequest): string {
  const fields = Object.entries(query).flatMap(([name, values]) =>
    (typeof values === 'string' ? [values] : (values ?? [''])).map((value) => [name, value]),
  );
  const search = fields.map((field) => field.map((part) => encodeURIComponent(part)).join('=')).join('&');
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}${search === '' ? '' : `?${search}`}`;
}

/** AWS answers with 400 when there were too many calls. */
function throttled({ status, body }: ProviderAnswer): boolean {
  const type = status === 400 ? jsonObject(body)?.__type : undefined;
  return typeof type === 'string' && /(?:^|#)(?:Throttling|TooManyRequests|RequestLimitExceeded)/.test(type);
}
