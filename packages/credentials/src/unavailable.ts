import { SallyportError } from '@sallyport/sdk';

/** A `credential_unavailable` error. Takes no cause: what a program, a parser or a library says may quote the secret. */
export function unavailable(detail: string, hint: string): SallyportError {
  return new SallyportError('credential_unavailable', { detail, hint });
}

/** The `code` of a system error such as `ENOENT`, otherwise the name of its class; never its message. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
