import { Secret } from '@sallyport/sdk';
import { describe, expect, test } from 'vitest';
import { withClient } from './api-client.js';
import { developmentCertificates, json, testServer } from './control-server.test.support.js';

const token = async (): Promise<Secret> => new Secret('the-token');
const ask = (url: string, authorities?: string) => withClient({ address: new URL(url), token, authorities }, (client) => client.getMe());

test('a request is signed and goes below the address', async () => {
  const server = await testServer((_, response) => json(response, 200, { actor: {} }));
  expect((await ask(`${server.url}/sallyport`)).data).toEqual({ actor: {} });
  expect(server.seen[0]).toMatchObject({ url: '/sallyport/me', headers: { authorization: 'Bearer the-token' } });
});

describe('a refusal', () => {
  const refused = async (status: number, body: unknown) =>
    ask((await testServer((_, response) => json(response, status, body, { 'X-Request-Id': 'req_8' }))).url);

  test('keeps code, sentence, hint and request id', async () => {
    const problem = { code: 'actor_not_found', detail: 'There is no bob', hint: 'Look again.', request_id: 'req_7' };
    await expect(refused(404, problem)).rejects.toMatchObject({
      code: 'actor_not_found',
      message: 'There is no bob',
      hint: 'Look again.',
      members: { request_id: 'req_7', status: 404 },
    });
  });

  test('names every place that is wrong', async () => {
    const issues = ['a', 'b'].map((path) => ({ in: 'body', path, message: 'is missing' }));
    await expect(refused(400, { code: 'request_invalid', detail: 'body a: is missing', issues })).rejects.toThrow(
      /body a: is missing\n.*\n {2}body b: is missing/,
    );
  });

  test.each([
    ['an unknown code', { code: 'flux_low', title: 'Low flux' }, 'The server answered 418, flux_low: Low flux'],
    ['an internal error', { code: 'internal_error', detail: 'Oops' }, 'The server answered 418, internal_error: Oops'],
    ['the error of AuthProxy', { error: 'no' }, 'The server answered 418: no'],
    ['the name of something of every object', { code: 'constructor' }, 'The server answered 418, constructor'],
    ['no object', [], 'The server answered 418'],
    ['a command to the terminal', { error: '\x1b[2Jboo\u202e' }, 'The server answered 418: \\u{1b}[2Jboo\\u{202e}'],
  ])('with %s', async (_, body, message) => {
    await expect(refused(418, body)).rejects.toMatchObject({ code: 'server_refused', message, members: { request_id: 'req_8' } });
  });
});

test('a server that is something else, and one that is not there', async () => {
  const server = await testServer((_, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>'));
  await expect(ask(server.url)).rejects.toMatchObject({ code: 'server_answer_invalid', message: `${server.url} answered something else than JSON.` });
  await expect(ask('http://127.0.0.1:1')).rejects.toMatchObject({
    code: 'server_unreachable',
    message: expect.stringContaining('ECONNREFUSED') as string,
  });
});

test('a certificate is held against the authority that is given', async () => {
  const certificates = await developmentCertificates();
  const server = await testServer((_, response) => json(response, 200, {}), certificates);
  await ask(server.url, certificates.ca);
  await expect(ask(server.url)).rejects.toMatchObject({ code: 'server_unreachable', hint: expect.stringContaining('--ca') as string });
});
