import { SallyportError } from '@sallyport/sdk';

/** The error for a route or a rule that cannot be used. */
export function routeInvalid(detail: string): SallyportError {
  return new SallyportError('route_invalid', { detail });
}
