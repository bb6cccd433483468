import { type ErrorCode, errorCatalogue, SallyportError } from '@sallyport/sdk';

/** The methods of a plugin that are called for a request. */
export type PluginMethod = 'getCredentials' | 'signCsr' | 'modifyResponse' | 'routeRequest';

const DEEPEST_CAUSE = 8;

/**
 * What a plugin threw, as the failure of its call. One of our errors keeps its code, whichever copy of the SDK it was made with; a time that ran out
 * inside the plugin is `plugin_timeout`; everything else is `plugin_failed`, with what was thrown as the cause and none of its text outside of it.
 */
export function callFailure(thrown: unknown, method: PluginMethod): SallyportError {
  const own = asOurs(thrown);
  if (own !== null) return own;
  if (ranOutOfTime(thrown)) return new SallyportError('plugin_timeout', { detail: `a time limit of the plugin ran out in ${method}`, cause: thrown });
  return new SallyportError('plugin_failed', { detail: `the plugin failed in ${method}`, members: { method }, cause: thrown ?? String(thrown) });
}

/** The plugin did not answer within `timeoutMs`. */
export function timeoutFailure(method: string, timeoutMs: number): SallyportError {
  return new SallyportError('plugin_timeout', { detail: `the plugin did not answer ${method} within ${timeoutMs / 1000} s`, members: { method } });
}

/** Nobody waits for the answer any more: the reason of an aborted signal as one of our errors. */
export function goneFailure(signal: AbortSignal): SallyportError {
  return signal.reason instanceof SallyportError ? signal.reason : new SallyportError('client_aborted', { cause: signal.reason });
}

/** One of our errors that a client can be answered with; null for everything else, codes without a status included. */
function asOurs(thrown: unknown): SallyportError | null {
  if (thrown instanceof SallyportError) return thrown.status === 0 && thrown.code !== 'client_aborted' ? null : thrown;
  if (!(thrown instanceof Error) || thrown.name !== 'SallyportError' || !('code' in thrown) || typeof thrown.code !== 'string') return null;
  if (!Object.hasOwn(errorCatalogue, thrown.code) || errorCatalogue[thrown.code as ErrorCode].status === 0) return null;
  const { hint, members } = thrown as { hint?: unknown; members?: unknown };
  return new SallyportError(thrown.code as ErrorCode, {
    detail: thrown.message,
    ...(typeof hint === 'string' ? { hint } : {}),
    ...(typeof members === 'object' && members !== null ? { members: members as Record<string, unknown> } : {}),
    cause: thrown.cause,
  });
}

/** What `AbortSignal.timeout` and `fetch` under it reject with, on its own or as a cause. */
function ranOutOfTime(thrown: unknown): boolean {
  let error = thrown;
  for (let depth = 0; depth < DEEPEST_CAUSE && error instanceof Error; depth++) {
    if (error.name === 'TimeoutError') return true;
    error = error.cause;
  }
  return false;
}
