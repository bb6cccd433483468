import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { onboardOAuth } from '../commands/onboard.js';
import { capture, type Printed } from './captured-output.test.support.js';
import { consentInBrowser, type IdentityProvider, startIdentityProvider } from './identity-provider.test.support.js';
import { pasteRedirectUri, readPasted } from './paste-consent.js';

let server: IdentityProvider;
let printed: Printed;
let input: PassThrough;
beforeAll(async () => {
  server = await startIdentityProvider();
});
afterAll(() => server.close());
beforeEach(() => {
  printed = capture();
  input = new PassThrough();
});
afterEach(() => printed.restore());

function paste(more: object = {}): Promise<number> {
  return onboardOAuth(
    {
      authorizeUrl: `${server.issuer}/auth`,
      tokenUrl: `${server.issuer}/token`,
      clientId: 'public',
      scope: 'openid offline_access',
      extraParam: ['prompt=consent'],
      port: 0,
      timeout: '5m',
      browser: true,
      pkce: true,
      paste: true,
      allowHttp: true,
      ...more,
    },
    input as unknown as NodeJS.ReadStream,
  );
}

const address = async (): Promise<string> => (await printed.said(/^ {2}(http:\S+)\n/m))[1];

describe('consent by paste', () => {
  test('of the whole address, after some that do not fit', async () => {
    const running = paste();
    const url = await address();
    input.write(`\nhello there\n${url}\nhttp://127.0.0.1/callback?code=x&state=wrong\nhttp://127.0.0.1/callback?error=access_denied&state=wrong\n`);
    await printed.said(/State mismatch[\s\S]*State mismatch/);
    expect(printed.stderr()).toContain('That is neither an address nor a code.');
    expect(printed.stderr()).toContain('The authorization code is missing.');
    input.write(`  ${await consentInBrowser(url)}\r\n`);
    expect(await running).toBe(0);
    expect(printed.stdout()).toMatch(/^[\w-]+$/);
  });

  test('of the code alone, which PKCE ties to the session', async () => {
    const running = paste();
    const callback = (await consentInBrowser(await address())) ?? '';
    input.write(`${new URL(callback).searchParams.get('code')}\n`);
    expect(await running).toBe(0);
  });

  test('of a refusal with the right state', async () => {
    const running = paste();
    input.write(`${await consentInBrowser(await address(), { refuse: true })}\n`);
    expect(await running).toBe(4);
    expect(printed.stderr()).toContain('access_denied');
  });

  test.each([
    ['The input ended', ''],
    ['None of what was pasted', 'http://127.0.0.1/callback?code=x&state=wrong\n'.repeat(20)],
  ])('%s', async (said, text) => {
    const running = paste();
    await address();
    input.end(text);
    expect(await running).toBe(4);
    expect(printed.stderr()).toContain(said);
  });

  test('nothing comes in time', async () => {
    expect(await paste({ timeout: '1s' })).toBe(2);
  });
});

describe('what is pasted', () => {
  const session = { state: 'the-state', verifier: 'a-verifier' };

  test('is an address, a query or a code', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (code, state) => {
        const parameters = new URLSearchParams({ code, state });
        const query = parameters.toString();
        const whole = (text: string): [string, string][] => [...(readPasted(text, session) as URLSearchParams)];
        expect(whole(` https://app.example.com/cb?${query}#x`)).toEqual([...parameters]);
        expect(whole(`urn:ietf:wg:oauth:2.0:oob?${query}`)).toEqual([...parameters]);
        expect(whole(`?${query}`)).toEqual([...parameters]);
      }),
    );
    expect(String(readPasted(' 4/0AX4XfWh-abc.def \n', session))).toBe('code=4%2F0AX4XfWh-abc.def&state=the-state');
  });

  test('may be anything', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        readPasted(text, session);
      }),
    );
    expect(readPasted('x'.repeat(70_000), session)).toBe('That is too long.');
  });

  test('is no code alone without PKCE', () => {
    expect(readPasted('abc', { state: 'the-state', verifier: null })).toMatch(/Without PKCE/);
  });

  test('was sent to a redirect URI', () => {
    expect(pasteRedirectUri(undefined, 0)).toBe('http://127.0.0.1/callback');
    expect(pasteRedirectUri(undefined, 8400)).toBe('http://127.0.0.1:8400/callback');
    expect(pasteRedirectUri('urn:ietf:wg:oauth:2.0:oob', 0)).toBe('urn:ietf:wg:oauth:2.0:oob');
    expect(() => pasteRedirectUri('callback', 0)).toThrow('--redirect-uri');
  });
});
