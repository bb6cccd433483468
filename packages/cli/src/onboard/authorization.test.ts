import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { authorizationUrl, beginSession, judgeAnswer } from './authorization.js';
import type { Provider } from './provider.js';

const provider: Provider = {
  server: { issuer: 'https://login.example.com', authorization_endpoint: 'https://login.example.com/authorize?realm=x' },
  issuerKnown: true,
  clientId: 'client',
  clientSecret: null,
  clientAuth: 'post',
  scope: 'a b',
  resource: null,
  extra: [['prompt', 'consent, "now" & here']],
  pkce: true,
  allowHttp: false,
};
const session = beginSession(provider);
const kindOf = (parameters: Record<string, string> | string, of: Provider = provider): string =>
  judgeAnswer(of, session, new URLSearchParams(parameters)).kind;

describe('the authorization request', () => {
  test('carries what belongs there, and keeps the query of the endpoint', async () => {
    const url = new URL(await authorizationUrl(provider, session, 'http://127.0.0.1:1/callback'));
    expect(Object.fromEntries(url.searchParams)).toEqual({
      realm: 'x',
      prompt: 'consent, "now" & here',
      client_id: 'client',
      response_type: 'code',
      redirect_uri: 'http://127.0.0.1:1/callback',
      state: session.state,
      scope: 'a b',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
    });
    expect(session.state).toMatch(/^[\w-]{43}$/);
    expect(session.verifier).toMatch(/^[\w-]{43}$/);
    expect(url.href).not.toContain(session.verifier);
  });

  test('has no PKCE where it is not wanted', async () => {
    const without = { ...provider, pkce: false };
    const url = new URL(await authorizationUrl(without, beginSession(without), 'http://127.0.0.1:1/callback'));
    expect(url.searchParams.has('code_challenge')).toBe(false);
  });
});

describe('the authorization response', () => {
  test('without the right state never ends anything, whatever else is in it', () => {
    const name = fc.oneof(fc.constantFrom('code', 'error', 'iss', 'response', 'id_token', 'error_description'), fc.string());
    const state = fc.oneof(fc.constantFrom('', session.state.slice(1), `${session.state} `, session.state.toLowerCase()), fc.string());
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string())), fc.option(state, { nil: null }), (pairs, wrong) => {
        const parameters = new URLSearchParams(pairs.filter(([key]) => key !== 'state'));
        if (wrong !== null) parameters.set('state', wrong);
        expect(judgeAnswer(provider, session, parameters).kind).toBe('stray');
      }),
    );
  });

  test('with it is judged by what else is in it', () => {
    const { state } = session;
    expect(kindOf({ state, code: 'x' })).toBe('code');
    expect(kindOf({ state, code: 'x', iss: 'https://login.example.com' })).toBe('code');
    expect(kindOf({ state, code: 'x', iss: 'https://attacker.example' })).toBe('stray');
    expect(kindOf({ state, code: 'x', iss: 'https://sts.example' }, { ...provider, issuerKnown: false })).toBe('code');
    expect(kindOf({ state, error: 'access_denied' })).toBe('denied');
    expect(kindOf({ state, error: 'access_denied', code: 'x' })).toBe('denied');
    expect(kindOf({ state })).toBe('stray');
    expect(kindOf({ state, code: '' })).toBe('stray');
    expect(kindOf(`state=${state}&state=${state}&code=x`)).toBe('stray');
    expect(kindOf(`state=${state}&code=x&code=y`)).toBe('stray');
    expect(kindOf({ state, code: 'x', id_token: 'y' })).toBe('stray');
  });

  test('where the server promises to name itself has to do so', () => {
    const server = { ...provider.server, authorization_response_iss_parameter_supported: true };
    expect(kindOf({ state: session.state, code: 'x' }, { ...provider, server })).toBe('stray');
  });

  test('quotes a refusal without what would steer the terminal', () => {
    const answer = new URLSearchParams({ state: session.state, error: 'access_denied', error_description: `no\u001b[2J${'x'.repeat(999)}` });
    const judgement = judgeAnswer(provider, session, answer);
    expect(judgement).toMatchObject({
      kind: 'denied',
      error: { code: 'onboarding_denied', message: expect.stringMatching(/^[\x20-\x7e…]{1,400}$/) },
    });
  });
});
