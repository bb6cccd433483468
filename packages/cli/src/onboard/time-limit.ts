import { SallyportError } from '@sallyport/sdk';

/** The error when nobody consented in time. */
export function consentTimeout(): SallyportError {
  return new SallyportError('onboarding_timeout');
}

/** What is waited for, unless the time is over first: `onboarding_timeout` then. */
export async function orTimeout<T>(waitedFor: Promise<T>, timeLimit: AbortSignal): Promise<T> {
  if (timeLimit.aborted) throw consentTimeout();
  let over: (() => void) | undefined;
  const limit = new Promise<never>((_, reject) => {
    over = () => reject(consentTimeout());
    timeLimit.addEventListener('abort', over, { once: true });
  });
  try {
    return await Promise.race([waitedFor, limit]);
  } catch (error) {
    // What was waited for may notice the end of the time itself, and fail in its own words.
    throw timeLimit.aborted ? consentTimeout() : error;
  } finally {
    if (over !== undefined) timeLimit.removeEventListener('abort', over);
  }
}
