import type { SallyportError } from '@sallyport/sdk';

const LONGEST = 1_024;

/** What a token looks like among words: long, unbroken, and with a digit in it. */
const TOKEN_LIKE = /(?=[A-Za-z0-9+/=_.~-]*[0-9])[A-Za-z0-9+/=_.~-]{16,}/g;

/**
 * What the log says about a failed plugin beyond the sentence of the error: its code, the request, and what the plugin itself said, with everything
 * left out that looks like a token. A plugin may put into its errors whatever it holds.
 */
export function pluginFailureFields(error: SallyportError, requestId: string): Record<string, string> {
  const { cause } = error;
  return {
    code: error.code,
    ...(requestId === '' ? {} : { request_id: requestId }),
    ...(cause instanceof Error ? { cause: withoutTokens(`${cause.name}: ${cause.message}`), at: frameOf(cause) } : {}),
  };
}

function withoutTokens(text: string): string {
  return text.slice(0, LONGEST).replaceAll(TOKEN_LIKE, '[redacted]');
}

/** Where it was thrown: the first line of the stack, which holds no message. */
function frameOf({ stack }: Error): string {
  const line = stack?.split('\n').find((candidate) => /^\s+at /.test(candidate));
  return line === undefined ? '' : line.trim().slice(0, LONGEST);
}
