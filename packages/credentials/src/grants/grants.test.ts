import { SallyportError, Secret } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Credential } from '../credential.js';
import { type RefreshCoordinator, refreshCoordinator } from '../refresh/coordinator.js';
import { storeNewToken } from '../refresh/store-new-token.js';
import { memoryTokenStore } from '../stores/memory-token-store.test.support.js';
import type { TokenStore } from '../stores/token-store.js';
import { clientCredentialsGrant } from './client-credentials.js';
import { refreshTokenGrant } from './refresh-token.js';
import { type ScriptedEndpoint, scriptedEndpoint } from './scripted-endpoint.test.support.js';

const NEVER = new AbortController().signal;
const authentication = { method: 'post', secret: new Secret('client-secret') } as const;
let endpoint: ScriptedEndpoint;
let store: TokenStore;
let coordinator: RefreshCoordinator;

beforeEach(async () => {
  endpoint = await scriptedEndpoint();
  store = memoryTokenStore();
  coordinator = refreshCoordinator({ store });
});
afterEach(async () => {
  await coordinator.close();
  await endpoint.close();
});

const shared = (): { url: string; clientId: string; authentication: typeof authentication; allowHttp: true } => ({
  url: endpoint.url,
  clientId: 'me',
  authentication,
  allowHttp: true,
});

describe('client credentials', () => {
  test('scopes, extra fields, token', async () => {
    const grant = clientCredentialsGrant({ ...shared(), scopes: ['read', 'write'], extraParams: { audience: 'api', scope: 'theirs' } });
    const { secret, expiresAt } = await grant.fetch(NEVER);
    expect([secret.reveal(), typeof expiresAt, grant.description]).toEqual(['access', 'number', `client credentials at ${endpoint.url}`]);
    expect(endpoint.received[0].form).toEqual({
      grant_type: 'client_credentials',
      client_id: 'me',
      client_secret: 'client-secret',
      scope: 'read write',
      audience: 'api',
    });
  });

  test('no scopes, no field', async () => {
    await clientCredentialsGrant({ ...shared(), scopes: [] }).fetch(NEVER);
    expect(endpoint.received[0].form).not.toHaveProperty('scope');
  });

  test('a grant that is refused is no refresh token', async () => {
    endpoint.answer({ status: 400, body: { error: 'invalid_grant', error_description: 'no' } });
    const error: unknown = await clientCredentialsGrant(shared())
      .fetch(NEVER)
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'token_request_refused', cause: { message: 'invalid_grant: no' } });
  });

  test('an answer without a usable token is an error', async () => {
    endpoint.answer({ body: { access_token: 'access', expires_in: 5 } });
    await expect(clientCredentialsGrant(shared()).fetch(NEVER)).rejects.toMatchObject({ code: 'token_expired_on_arrival' });
  });

  test('an abort rejects with its reason, before and during the request', async () => {
    const reason = new Error('gone');
    await expect(clientCredentialsGrant(shared()).fetch(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(endpoint.received).toEqual([]);
    const abort = new AbortController();
    endpoint.answer(() => {
      abort.abort(reason);
      return 'silence';
    });
    await expect(clientCredentialsGrant(shared()).fetch(abort.signal)).rejects.toBe(reason);
  });

  test('behind a credential: the code is kept, one request serves all, the endpoint is spared after a failure', async () => {
    endpoint.answer({ status: 401 });
    const credential = new Credential({ name: 'api', source: clientCredentialsGrant(shared()) });
    const outcomes = await Promise.allSettled([credential.resolve(), credential.resolve()]);
    const again = await credential.resolve().catch((reason: unknown) => reason);
    for (const reason of [...outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason), again]) {
      expect(reason).toMatchObject({ code: 'client_credentials_refused', members: { credential: 'api', retry_after: expect.any(Number) } });
    }
    expect(endpoint.received).toHaveLength(1);
    credential.close();
  });
});

describe('refresh token', () => {
  const grantOf = (more: { reusable?: boolean; scopes?: string[] } = {}): ReturnType<typeof refreshTokenGrant> =>
    refreshTokenGrant({ ...shared(), coordinator, key: 'somebody', ...more });
  const stored = async (): Promise<string> => (await store.read('somebody', NEVER)).record.refreshToken.reveal();
  const rotate = (): void => {
    endpoint.answer(({ form }) => ({ body: { access_token: 'access', expires_in: 3_600, refresh_token: `${form.refresh_token}+` } }));
  };

  test.each([false, true])('the successor is stored (reusable: %s)', async (reusable) => {
    await storeNewToken(store, 'somebody', new Secret('t'), NEVER);
    rotate();
    const grant = grantOf({ reusable, scopes: ['read'] });
    expect(grant.description).toBe(`refresh token "somebody" at ${endpoint.url}`);
    for (const token of ['t', 't+', 't++']) {
      expect((await grant.fetch(NEVER)).secret.reveal()).toBe('access');
      expect(endpoint.received.at(-1)?.form).toMatchObject({ grant_type: 'refresh_token', refresh_token: token, scope: 'read' });
      expect(await stored()).toBe(`${token}+`);
    }
  });

  test.each([false, true])('an answer without a successor leaves the token as it is (reusable: %s)', async (reusable) => {
    await storeNewToken(store, 'somebody', new Secret('t'), NEVER);
    await grantOf({ reusable }).fetch(NEVER);
    expect((await store.read('somebody', NEVER)).record).toMatchObject({ superseded: [], lease: null, unknownSince: null });
    expect(await stored()).toBe('t');
  });

  test('an answer whose access token is of no use still has the next refresh token in it', async () => {
    await storeNewToken(store, 'somebody', new Secret('t'), NEVER);
    endpoint.answer({ body: { access_token: 'access', expires_in: 1, refresh_token: 'next' } });
    await expect(grantOf().fetch(NEVER)).rejects.toMatchObject({ code: 'token_expired_on_arrival' });
    expect(await stored()).toBe('next');
  });

  test('nothing was onboarded', async () => {
    await expect(grantOf().fetch(NEVER)).rejects.toMatchObject({ code: 'token_not_found' });
    expect(endpoint.received).toEqual([]);
  });

  test('a caller who goes away during the call is told at once; the successor is stored all the same', async () => {
    await storeNewToken(store, 'somebody', new Secret('t'), NEVER);
    const abort = new AbortController();
    const reason = new SallyportError('client_aborted');
    endpoint.answer(() => {
      abort.abort(reason);
      return { body: { access_token: 'access', expires_in: 3_600, refresh_token: 'next' } };
    });
    await expect(grantOf().fetch(abort.signal)).rejects.toBe(reason);
    await coordinator.close();
    expect(await stored()).toBe('next');
  });
});
