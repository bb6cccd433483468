import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AnswerRequest, clientFor, json, nobody, serverWith } from './api-server.test.support.js';
import { ApiError, type Client, itemsOf, pagesOf } from './index.js';

const fine = json(200, { items: [] }, { ETag: '"7"', 'X-Request-Id': 'req_1' });
const unavailable = json(503, { code: 'database_busy' });
const reset: AnswerRequest = ({ socket }) => socket.destroy();
const actor = { path: { id: 'act_1' } };

const requests = {
  GET: (client: Client) => client.getActor(actor),
  PUT: (client: Client) => client.setActorLabel({ path: { id: 'act_1', label: 'a' }, body: { value: 'b' } }),
  DELETE: (client: Client) => client.deleteActor(actor),
  POST: (client: Client) => client.createActor({ body: { external_id: 'ada', namespace: 'root' } }),
  PATCH: (client: Client) => client.updateActor({ ...actor, body: { labels: {} } }),
} as const;

describe('a request', () => {
  test('is signed and goes below the address; the answer comes with its ETag', async () => {
    const server = await serverWith(fine);
    const { client } = clientFor(`${server.url}/sallyport/`);
    const answer = await client.listActors({ query: { limit: 3, namespace: 'a&b' } });
    expect(answer).toEqual({ data: { items: [] }, etag: '"7"', requestId: 'req_1', redacted: false });
    expect(server.seen[0]).toMatchObject({
      url: '/sallyport/actors?limit=3&namespace=a%26b',
      headers: { authorization: 'Bearer the-token', accept: 'application/json' },
    });
    expect(server.seen[0]?.headers).not.toHaveProperty('idempotency-key');
  });

  test('carries JSON, the precondition, and the key that is given', async () => {
    const server = await serverWith(json(200, {}), json(201, {}));
    const { client } = clientFor(server.url);
    await client.updateActor({ ...actor, body: { labels: { a: 'b' } }, ifMatch: '"7"' });
    expect(server.bodies[0]).toBe('{"labels":{"a":"b"}}');
    expect(server.seen[0]?.headers).toMatchObject({ 'if-match': '"7"', 'content-type': 'application/json' });
    await client.createActor({ body: { external_id: 'ada', namespace: 'root' }, idempotencyKey: 'mine' });
    expect(server.seen[1]?.headers).toMatchObject({ 'idempotency-key': 'mine' });
  });

  test('asks for a token each time, also before a repetition', async () => {
    let count = 0;
    const server = await serverWith(unavailable, fine);
    const { client } = clientFor(server.url, { token: undefined as never, getToken: async () => `token-${++count}` });
    await client.getMe();
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer token-1', 'Bearer token-2']);
  });

  test.each(Object.entries(requests))('%s is repeated after a lost connection and a busy server', async (method, send) => {
    const server = await serverWith(reset, unavailable, fine);
    const { client, pauses } = clientFor(server.url);
    await send(client);
    expect(server.seen.map((request) => request.method)).toEqual([method, method, method]);
    expect(new Set(server.bodies).size).toBe(1);
    expect(pauses).toHaveLength(2);
    const keys = new Set(server.seen.map(({ headers }) => headers['idempotency-key']));
    // What is told again is known to be the same by its key.
    expect(keys.size).toBe(1);
    expect([...keys][0] !== undefined).toBe(method === 'POST');
  });

  test.each([
    ['a POST without a key', (client: Client) => client.createToken({ body: { audiences: ['api'], lifetime: 60 } })],
    ['a PATCH of a certain version', (client: Client) => client.updateActor({ ...actor, body: {}, ifMatch: '"7"' })],
  ])('%s is repeated only when it was not even looked at', async (_, send) => {
    const lost = await serverWith(reset, fine);
    await expect(send(clientFor(lost.url).client)).rejects.toMatchObject({ code: 'server_unreachable' });
    expect(lost.seen).toHaveLength(1);
    const busy = await serverWith(unavailable, fine);
    await expect(send(clientFor(busy.url).client)).rejects.toMatchObject({ code: 'database_busy' });
    const limited = await serverWith(json(429, {}), fine);
    await send(clientFor(limited.url).client);
    expect(limited.seen).toHaveLength(2);
  });

  test('is repeated while the attempt before is still worked on', async () => {
    const pending = json(409, { code: 'idempotency_outcome_pending' }, { 'X-Sallyport-Error': 'idempotency_outcome_pending' });
    const server = await serverWith(reset, pending, json(201, {}));
    await requests.POST(clientFor(server.url).client);
    expect(server.seen).toHaveLength(3);
    // The first attempt of another process is nobody else's to wait for.
    await expect(requests.POST(clientFor((await serverWith(pending)).url).client)).rejects.toMatchObject({ status: 409 });
  });

  test('is repeated twice at most', async () => {
    const server = await serverWith(unavailable);
    await expect(clientFor(server.url).client.getMe()).rejects.toMatchObject({ code: 'database_busy' });
    expect(server.seen).toHaveLength(3);
  });

  test('waits as long as it is asked to, but not for minutes', async () => {
    const asking = (seconds: string): AnswerRequest => json(429, {}, { 'Retry-After': seconds });
    const soon = clientFor((await serverWith(asking('2'), fine)).url);
    await soon.client.getMe();
    expect(soon.pauses).toEqual([2000]);
    const patient = clientFor((await serverWith(asking('600'), fine)).url);
    await expect(patient.client.getMe()).rejects.toMatchObject({ code: 'server_refused', status: 429 });
    expect(patient.pauses).toEqual([]);
  });

  test('is not repeated when it was refused', async () => {
    const server = await serverWith(json(500, {}), fine);
    await expect(clientFor(server.url).client.getMe()).rejects.toMatchObject({ code: 'server_refused' });
    expect(server.seen).toHaveLength(1);
  });

  test('can be taken back, also while it waits', async () => {
    const server = await serverWith(unavailable);
    const end = new AbortController();
    const { client } = clientFor(server.url, { pause: async () => end.abort(new Error('enough')) });
    await expect(client.getMe({ signal: end.signal })).rejects.toThrow('enough');
    expect(server.seen).toHaveLength(1);
    const waiting = new AbortController();
    const slow = (await serverWith(() => waiting.abort(new Error('gone')))).url;
    await expect(clientFor(slow).client.getMe({ signal: waiting.signal })).rejects.toThrow('gone');
  });

  test('ends when the server does not answer, once', async () => {
    const server = await serverWith(() => {});
    await expect(clientFor(server.url, { timeout: 50 }).client.getMe()).rejects.toMatchObject({ code: 'server_unreachable', status: 0 });
    expect(server.seen).toHaveLength(1);
  });

  test('goes to the path that was meant, whatever is in it', async () => {
    const server = await serverWith(fine);
    const { client } = clientFor(`${server.url}/base`);
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('.', '..', '', '%2e%2e', '../keys', 'a/b', '?', '#')), async (id) => {
        const before = server.seen.length;
        const sent = await client.getActor({ path: { id } }).catch((error: unknown) => error);
        if (id === '' || id === '.' || id === '..') {
          expect(sent).toMatchObject({ code: 'request_invalid' });
          expect(server.seen).toHaveLength(before);
        } else if (id.isWellFormed()) {
          const [, base, group, last, ...rest] = (server.seen.at(-1)?.url ?? '').split('/');
          expect([base, group, decodeURIComponent(last ?? ''), rest]).toEqual(['base', 'actors', id, []]);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('a refusal', () => {
  test('keeps code, sentence, hint, request id and places', async () => {
    const issues = [{ in: 'body', path: 'labels.a', message: 'is too long' }];
    const problem = { code: 'request_invalid', detail: 'body labels.a', hint: 'Look again.', request_id: 'req_7', issues };
    const server = await serverWith(json(400, problem));
    const error = await clientFor(server.url)
      .client.getMe()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({
      code: 'request_invalid',
      message: 'body labels.a',
      status: 400,
      hint: 'Look again.',
      requestId: 'req_7',
      issues,
      problem,
    });
  });

  test.each([
    ['no code', { error: 'no' }, { code: 'server_refused', message: 'no', requestId: 'req_8' }],
    ['no object', [], { code: 'server_refused', message: 'The server answered 418' }],
    ['places that are none', { code: 'x', issues: [3, null, { in: 'body' }] }, { code: 'x', issues: [] }],
  ])('with %s', async (_, body, expected) => {
    const server = await serverWith(json(418, body, { 'X-Request-Id': 'req_8' }));
    await expect(clientFor(server.url).client.getMe()).rejects.toMatchObject(expected);
  });

  test('does not show the token', async () => {
    const error = await clientFor(await nobody())
      .client.getMe()
      .catch((thrown: unknown) => thrown);
    const { inspect } = await import('node:util');
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('the-token');
  });
});

describe('what is no answer', () => {
  test('a redirect is not followed: the token stays with the server it is for', async () => {
    const other = await serverWith(fine);
    const server = await serverWith((_, response) => response.writeHead(307, { Location: `${other.url}/x` }).end());
    await expect(clientFor(server.url).client.getMe()).rejects.toMatchObject({ code: 'server_answer_invalid' });
    expect(other.seen).toHaveLength(0);
  });

  test.each([
    ['a web page', 'text/html', '<html>'],
    ['broken JSON', 'application/json', '{'],
  ])('%s', async (_, type, text) => {
    const server = await serverWith((_request, response) => response.writeHead(200, { 'Content-Type': type }).end(text));
    await expect(clientFor(server.url).client.getMe()).rejects.toThrow('something else than JSON');
  });

  test('one without end', async () => {
    const server = await serverWith((_, response) => {
      const chunk = Buffer.alloc(1024 * 1024, 0x20);
      const more = (): void => {
        if (!response.destroyed) response.write(chunk, more);
      };
      more();
    });
    await expect(clientFor(server.url).client.getMe()).rejects.toThrow('larger than 16 MiB');
  });

  test('a server that is not there', async () => {
    const { client, pauses } = clientFor(await nobody());
    await expect(client.getMe()).rejects.toMatchObject({ code: 'server_unreachable', reason: 'ECONNREFUSED' });
    expect(pauses).toHaveLength(2);
  });
});

describe('pages', () => {
  test('follow the cursor, which goes alone, and are fetched when they are wanted', async () => {
    const server = await serverWith(({ url = '' }, response) => {
      const cursor = new URL(url, 'http://x').searchParams.get('cursor');
      const body = cursor === null ? { items: [1, 2], cursor: 'c2' } : cursor === 'c2' ? { items: [3], cursor: 'c3' } : { items: [] };
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    });
    const { client } = clientFor(server.url);
    const pages = pagesOf(client.listActors, { query: { limit: 2 } });
    expect((await pages.next()).value).toEqual([1, 2]);
    expect(server.seen).toHaveLength(1);
    expect((await pages.next()).value).toEqual([3]);
    expect((await pages.next()).value).toEqual([]);
    expect((await pages.next()).done).toBe(true);
    expect(server.seen.map(({ url }) => url)).toEqual(['/actors?limit=2', '/actors?cursor=c2', '/actors?cursor=c3']);
    const items: unknown[] = [];
    for await (const item of itemsOf(client.listActors)) items.push(item);
    expect(items).toEqual([1, 2, 3]);
  });

  test('that never end are noticed', async () => {
    const { client } = clientFor((await serverWith(json(200, { items: [], cursor: 'again' }))).url);
    const all = async (): Promise<void> => {
      for await (const page of pagesOf(client.listActors)) expect(page).toEqual([]);
    };
    await expect(all()).rejects.toMatchObject({ code: 'server_answer_invalid' });
  });

  test.each([[{}], [{ items: 3 }], [{ items: [], cursor: 3 }]])('%j is none', async (body) => {
    const { client } = clientFor((await serverWith(json(200, body))).url);
    const pages = pagesOf(client.listActors);
    const both = async (): Promise<void> => {
      await pages.next();
      await pages.next();
    };
    await expect(both()).rejects.toMatchObject({ code: 'server_answer_invalid' });
  });
});

describe('a session', () => {
  const stale = json(403, { code: 'xsrf_token_invalid' }, { 'X-Sallyport-Error': 'xsrf_token_invalid', 'X-XSRF-Token': 'second' });
  const session = { token: undefined as never, session: true };

  test('sends no token but what proves that the page is ours, once it has it', async () => {
    const server = await serverWith(json(200, {}, { 'X-XSRF-Token': 'first' }), json(201, {}));
    const { client } = clientFor(server.url, session);
    await client.getMe();
    await requests.POST(client);
    expect(server.seen[0]?.headers).not.toHaveProperty('authorization');
    expect(server.seen[1]?.headers).toMatchObject({ 'x-xsrf-token': 'first' });
  });

  test('takes the new one from a refusal, and tries once more', async () => {
    const server = await serverWith(json(200, {}, { 'X-XSRF-Token': 'first' }), stale, json(201, {}));
    const { client } = clientFor(server.url, session);
    await client.getMe();
    await client.createToken({ body: { audiences: ['api'], lifetime: 60 } });
    expect(server.seen.map(({ headers }) => headers['x-xsrf-token'])).toEqual([undefined, 'first', 'second']);
    const stubborn = await serverWith(stale);
    await expect(requests.POST(clientFor(stubborn.url, session).client)).rejects.toMatchObject({ code: 'xsrf_token_invalid' });
    expect(stubborn.seen).toHaveLength(2);
  });

  test('has its cookie sent along; a client with a token has not', async () => {
    const { url } = await serverWith(fine);
    const modes: string[] = [];
    const fetched: NonNullable<Parameters<typeof clientFor>[1]>['fetch'] = (to, init) => {
      modes.push(init.credentials);
      return fetch(to, init);
    };
    await clientFor(url, { ...session, fetch: fetched }).client.getMe();
    await clientFor(url, { fetch: fetched }).client.getMe();
    expect(modes).toEqual(['include', 'same-origin']);
  });
});
