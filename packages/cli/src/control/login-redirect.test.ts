import { createPrivateKey } from 'node:crypto';
import fc from 'fast-check';
import { decodeJwt } from 'jose';
import { describe, expect, test } from 'vitest';
import { newKey, verifierWith } from './control-server.test.support.js';
import { type LoginTarget, loginRedirect, loginTargets } from './login-redirect.js';
import { createRequestSigner } from './request-token.js';

const { privatePem, publicPem } = newKey();
const signer = createRequestSigner({
  identity: { actor: 'ada', namespace: 'root.team', issuer: 'ada', keyId: undefined },
  key: { algorithm: 'EdDSA', key: createPrivateKey(privatePem), kid: undefined },
});
const targets: readonly LoginTarget[] = loginTargets({
  file: null,
  server: { marketplace: new URL('https://market.example.com/shop'), admin_ui: new URL('http://localhost:5174') },
});

describe('a login', () => {
  test.each([
    ['https://market.example.com/shop', 'public'],
    ['https://market.example.com/shop/connections?a=b#c', 'public'],
    ['http://localhost:5174/', 'admin-api'],
    ['http://LOCALHOST:5174/deep/er', 'admin-api'],
  ])('may lead to %s, with a token for %s', async (returnTo, audience) => {
    const location = new URL(await loginRedirect(returnTo, targets, signer));
    const token = location.searchParams.get('auth_token') ?? '';
    const verify = await verifierWith({ publicKey: publicPem });
    expect(await verify(token, audience)).toMatchObject({ external_id: 'ada' });
    await expect(verify(token, audience)).rejects.toMatchObject({ code: 'token_replayed' });
    const { exp = 0, iat = 0 } = decodeJwt(token);
    expect(exp - iat).toBe(60);
    location.searchParams.delete('auth_token');
    expect(location.href).toBe(new URL(returnTo).href);
  });

  test('replaces a token that is in the address already', async () => {
    const location = new URL(await loginRedirect('http://localhost:5174/?auth_token=a&auth_token=b', targets, signer));
    expect(location.searchParams.getAll('auth_token')).toHaveLength(1);
  });

  test.each([
    null,
    '',
    'https://evil.example',
    'https://market.example.com',
    'https://market.example.com/shopping',
    'https://market.example.com/shop/../admin',
    'https://market.example.com/shop/%2e%2e/admin',
    'https://market.example.com:444/shop',
    'http://market.example.com/shop',
    'https://market.example.com.evil.example/shop',
    'https://market.example.com@evil.example/shop',
    'https://ada:pw@market.example.com/shop',
    'https://evil.example\\@market.example.com/shop',
    'https:market.example.com/shop',
    '//market.example.com/shop',
    '/shop',
    'javascript:alert(1)',
    'data:text/html,x',
    ' https://market.example.com/shop',
    'https://market.example.com/shop\n',
    'http://localhost:51740/',
  ])('may not lead to %j', async (returnTo) => {
    await expect(loginRedirect(returnTo, targets, signer)).rejects.toMatchObject({ code: 'login_return_refused', status: 400 });
  });

  test('leads nowhere but to the origins of its targets, whatever it is asked', async () => {
    const texts = fc.oneof(
      fc.webUrl(),
      fc
        .tuple(
          fc.constantFrom('https:', 'http:', '', 'x:'),
          fc.constantFrom('//', '/\\', '///', ''),
          fc.string(),
          fc.constantFrom('market.example.com', 'localhost:5174'),
          fc.string(),
        )
        .map((parts) => parts.join('')),
    );
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const location = await loginRedirect(text, targets, signer).catch(() => null);
        if (location !== null) expect(['https://market.example.com', 'http://localhost:5174']).toContain(new URL(location).origin);
      }),
    );
  });
});
