import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { Agent } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { makeSelfSigned } from '../self-signed-certificate.js';
import { endLater, endScene } from '../tls-scene.test.support.js';
import { acmeLibrary, problemFields, problemMembers, withAcmeCalls } from './acme-library.js';

afterEach(endScene);

/** Asks a server for its directory, as the library does first. */
async function directoryFrom(listener: RequestListener, signal = new AbortController().signal): Promise<unknown> {
  const pair = await makeSelfSigned(['localhost'], 3_600_000);
  const server = createServer(pair, listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dispatcher = new Agent({ connect: { ca: pair.cert } });
  endLater(async () => {
    await dispatcher.destroy();
    server.closeAllConnections();
    server.close();
  });
  const acme = await acmeLibrary();
  const accountKey = await acme.crypto.createPrivateEcdsaKey();
  const client = new acme.Client({ directoryUrl: `https://localhost:${(server.address() as AddressInfo).port}/dir`, accountKey });
  return withAcmeCalls({ signal, dispatcher }, () => client.getTermsOfServiceUrl());
}

const problem = (type: string, detail: string): string => JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail });

describe('a call', () => {
  test('answers what the server does', async () => {
    const terms = 'https://acme.example.com/terms';
    expect(await directoryFrom((_request, response) => void response.end(JSON.stringify({ meta: { termsOfService: terms } })))).toBe(terms);
  });

  test('to a server that limits the rate is made once, and says how long to wait', async () => {
    let calls = 0;
    const answer = directoryFrom((_request, response) => {
      calls += 1;
      response.writeHead(429, { 'retry-after': '86400' }).end(problem('rateLimited', 'too many certificates'));
    });
    const members = { acme_error: 'rateLimited', retry_after: 86_400 };
    await expect(answer).rejects.toMatchObject({ code: 'acme_rate_limited', members, message: expect.stringContaining('too many') as string });
    expect(calls).toBe(1);
  });

  test.each([
    [{ 'retry-after': new Date(Date.now() + 7_200_000).toUTCString() }, 7200],
    [{ 'retry-after': '999999999' }, 7 * 24 * 3600],
  ])('understands %j', async (headers, seconds) => {
    const error: unknown = await directoryFrom((_request, response) => void response.writeHead(503, headers).end()).catch(
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({ code: 'acme_unreachable' });
    const { retry_after: found } = (error as { members: { retry_after: number } }).members;
    expect(Math.abs(found - seconds)).toBeLessThan(300);
  });

  test('follows no redirect, and goes nowhere without TLS', async () => {
    const redirect = directoryFrom((_request, response) => void response.writeHead(302, { location: 'https://127.0.0.1:1/' }).end());
    await expect(redirect).rejects.toMatchObject({ code: 'acme_unreachable', message: expect.stringContaining('302') as string });
    const acme = await acmeLibrary();
    const client = new acme.Client({ directoryUrl: 'http://127.0.0.1:1/', accountKey: await acme.crypto.createPrivateEcdsaKey() });
    const call = withAcmeCalls({ signal: new AbortController().signal, dispatcher: new Agent() }, () => client.getTermsOfServiceUrl());
    await expect(call).rejects.toMatchObject({ code: 'acme_unreachable', message: expect.stringContaining('without TLS') as string });
  });

  test('ends with a refusal where the answer is too long', async () => {
    const long = directoryFrom((_request, response) => void response.end('x'.repeat(1_100_000)));
    await expect(long).rejects.toMatchObject({ code: 'acme_unreachable' });
  });

  test('ends with the signal', async () => {
    const stop = new AbortController();
    const call = directoryFrom(() => stop.abort(new Error('stopped')), stop.signal);
    await expect(call).rejects.toThrow('stopped');
  });
});

describe('a problem', () => {
  test('of any shape is read, bounded and printable', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const { type, detail } = problemMembers(text);
        expect(type.length).toBeLessThanOrEqual(64);
        expect(detail).toMatch(/^[\x20-\x7e]{0,300}$/);
      }),
    );
  });

  test('keeps its kind and its text', () => {
    expect(problemMembers(problem('caa', 'no\nrecord'))).toEqual({ type: 'caa', detail: 'no record' });
    expect(problemFields({ type: 'about:blank', detail: 5 })).toEqual({ type: 'unknown', detail: '' });
    expect(problemFields(undefined)).toEqual({ type: 'unknown', detail: '' });
  });
});
