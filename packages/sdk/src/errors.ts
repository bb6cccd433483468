import { type ErrorCode, errorCatalogue } from './error-catalogue.js';

/** What an error may carry besides its code. Nothing in here may hold secret material: all of it reaches people. */
export interface ErrorDetails {
  /** One sentence about this occurrence: what was wrong and where. */
  detail?: string;
  /** One sentence that says what to do about it; the catalogue's sentence for the code when left out. */
  hint?: string;
  /** Further members of the problem document, in `snake_case`. */
  members?: Readonly<Record<string, unknown>>;
  /** What led to it. Kept for logs inside the process; never sent to a client. */
  cause?: unknown;
}

/** Every failure that Sallyport reports on purpose: a stable `code`, the HTTP status that goes with it, a detail and a hint. */
export class SallyportError extends Error {
  override readonly name = 'SallyportError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly hint: string;
  readonly members: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, details: ErrorDetails = {}) {
    const entry = errorCatalogue[code];
    super(details.detail ?? entry.title, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = entry.status;
    this.hint = details.hint ?? entry.hint;
    this.members = details.members ?? {};
  }
}

/** The error itself when it is one of ours, otherwise `internal_error` with the original as its cause. */
export function asSallyportError(error: unknown): SallyportError {
  return error instanceof SallyportError ? error : new SallyportError('internal_error', { cause: error });
}
