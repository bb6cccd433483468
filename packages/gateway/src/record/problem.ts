import type { SallyportError } from '@sallyport/sdk';
import { errorCatalogue } from '@sallyport/sdk';

/** The media type of a problem document (RFC 9457 §3). */
export const problemMediaType = 'application/problem+json';

/** What a problem document says about the exchange that was refused. */
export interface ProblemContext {
  readonly requestId: string;
  /** The text of the rule that decided; left out when null. */
  readonly rule?: string | null;
}

/**
 * The problem document (RFC 9457) of a refusal as JSON. `type` is `urn:sallyport:error:CODE`, `status` is 500 for codes that have none, `error` is
 * the title for clients that read only that member. The error's own members come last; of the standard ones they can replace `error` only.
 */
export function problemDocument(error: SallyportError, context: ProblemContext): string {
  const { title } = errorCatalogue[error.code];
  const fixed = {
    type: `urn:sallyport:error:${error.code}`,
    title,
    status: error.status === 0 ? 500 : error.status,
    detail: error.message,
    code: error.code,
    hint: error.hint,
    request_id: context.requestId,
    ...(context.rule === undefined || context.rule === null ? {} : { rule: context.rule }),
  };
  try {
    return JSON.stringify({ ...fixed, error: title, ...error.members, ...fixed });
  } catch {
    // A plugin may put into the members of its errors what JSON cannot hold.
    return JSON.stringify({ ...fixed, error: title });
  }
}
