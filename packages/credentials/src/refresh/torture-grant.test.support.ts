import { Secret } from '@sallyport/sdk';
import { type RefreshTokenOptions, refreshTokenGrant } from '../grants/refresh-token.js';
import type { Source } from '../source.js';
import type { RefreshCoordinator } from './coordinator.js';

export const KEY = 'somebody';
export const CLIENT_ID = 'torture';
export const CLIENT_SECRET = 'the-secret-of-the-torture-client';

/** The grant that everybody uses who refreshes at the rotating server. Needs neither the server nor a test runner. */
export function tortureGrant(url: string, coordinator: RefreshCoordinator, more: Partial<RefreshTokenOptions> = {}): Source {
  const authentication = { method: 'post', secret: new Secret(CLIENT_SECRET) } as const;
  return refreshTokenGrant({ url, clientId: CLIENT_ID, authentication, coordinator, key: KEY, allowHttp: true, ...more });
}
