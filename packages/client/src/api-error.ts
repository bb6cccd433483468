/** One place of a request that is not valid. */
export interface ApiIssue {
  /** `body`, `query`, `params` or `headers`. */
  readonly in: string;
  /** The member, with dots between names; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** What is known of a failure. */
export interface ApiFailure {
  readonly code: string;
  readonly message: string;
  readonly status?: number;
  readonly hint?: string | undefined;
  readonly requestId?: string | undefined;
  readonly problem?: Readonly<Record<string, unknown>>;
  readonly reason?: string | undefined;
  readonly cause?: unknown;
}

/**
 * A request that did not work. The `code` is that of the server's problem document (RFC 9457), and stable; or one of ours: `server_unreachable` when no
 * answer came, `server_answer_invalid` when it is none of a control plane, `server_refused` when the refusal has no code, `request_invalid` when the
 * request cannot be sent at all. What the server says is text from elsewhere. The token is never in there.
 */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: string;
  /** The HTTP status; 0 when no answer came. */
  readonly status: number;
  readonly hint: string | undefined;
  readonly requestId: string | undefined;
  /** Every place of the request that is not valid, as far as the server names them. */
  readonly issues: readonly ApiIssue[];
  /** All members of the problem document. */
  readonly problem: Readonly<Record<string, unknown>>;
  /** Why there was no answer, as a code of the system such as `ECONNREFUSED`. */
  readonly reason: string | undefined;

  constructor({ code, message, status = 0, hint, requestId, problem = {}, reason, cause }: ApiFailure) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status;
    this.hint = hint;
    this.requestId = requestId;
    this.problem = problem;
    this.reason = reason;
    this.issues = issuesOf(problem.issues);
  }
}

/** The refusal of a server: `body` is what its answer says as JSON, if it does. */
export function refusal(status: number, body: unknown, requestId: string | null): ApiError {
  const problem: Readonly<Record<string, unknown>> = typeof body === 'object' && body !== null && !Array.isArray(body) ? { ...body } : {};
  const said = (name: string): string | undefined => {
    const text = problem[name];
    return typeof text === 'string' && text !== '' ? text : undefined;
  };
  const code = said('code');
  return new ApiError({
    code: code ?? 'server_refused',
    message: said('detail') ?? said('title') ?? said('error') ?? `The server answered ${status}`,
    status,
    hint: said('hint'),
    requestId: said('request_id') ?? requestId ?? undefined,
    problem,
  });
}

/** The failure of a request that was not answered, from what `fetch` and the like reject with. */
export function unreachable(error: unknown): ApiError {
  const reason = systemCode(error);
  return new ApiError({ code: 'server_unreachable', message: `The server cannot be reached (${reason ?? 'unknown reason'})`, reason, cause: error });
}

/** The failure of a request that was answered by something else than a control plane. */
export function oddAnswer(status: number, message: string): ApiError {
  return new ApiError({ code: 'server_answer_invalid', message, status });
}

/** The code that the system gives to a failure of the network, wherever in the error it is. */
function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  // Several addresses of one name fail together.
  if (error instanceof AggregateError) return systemCode(error.errors[0]);
  return systemCode(error.cause);
}

function issuesOf(value: unknown): readonly ApiIssue[] {
  if (!Array.isArray(value)) return [];
  return (value as readonly unknown[]).flatMap((issue) => {
    if (typeof issue !== 'object' || issue === null) return [];
    const { in: where, path, message } = issue as Readonly<Record<string, unknown>>;
    return typeof where === 'string' && typeof path === 'string' && typeof message === 'string' ? [{ in: where, path, message }] : [];
  });
}
