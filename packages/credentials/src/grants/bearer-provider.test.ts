import { Secret, TransactionContext } from '@sallyport/sdk';
import { expect, test } from 'vitest';
import { Credential } from '../credential.js';
import { Stage } from '../credential-stage.test.support.js';
import { staticSource } from '../sources/static.js';
import { bearerProvider } from './bearer-provider.js';

const context = new TransactionContext({ targetUrl: 'https://api.example/' });
const request = {
  method: 'GET',
  url: new URL('https://api.example/'),
  headers: new Headers(),
  body: { bytes: async () => new Uint8Array(), replace: () => {} },
};
const call = { signal: new AbortController().signal };

test('a token as a bearer token, to be asked for again within a minute', async () => {
  const before = Date.now();
  const answer = await bearerProvider(new Credential({ name: 'static', source: staticSource({ value: new Secret('token') }) })).getCredentials(
    context,
    request,
    call,
  );
  expect(answer?.headers).toEqual({ Authorization: 'Bearer token' });
  expect(answer?.expiresAt).toBeGreaterThan(before);
  expect(answer?.expiresAt).toBeLessThanOrEqual(Date.now() + 60_000);
});

test('never longer than the token lives', async () => {
  const stage = new Stage({ now: Date.now });
  stage.time = Date.now();
  const asked = bearerProvider(stage.credential).getCredentials(context, request, call);
  const material = await stage.succeed('token', 5_000);
  expect((await asked)?.expiresAt).toBe(material.expiresAt);
});

test('the errors of the credential come through', async () => {
  const stage = new Stage();
  const asked = Promise.resolve(bearerProvider(stage.credential).getCredentials(context, request, call));
  const [outcome] = await Promise.all([asked.then(String, (reason: unknown) => reason), stage.fail()]);
  expect(outcome).toMatchObject({ code: 'credential_unavailable', members: { credential: 'github' } });
});
