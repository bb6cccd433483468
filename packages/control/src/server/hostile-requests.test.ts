import { SallyportError } from '@sallyport/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { migrate } from '../database/migrate.js';
import { type Database, openDatabase } from '../database/open-database.js';
import { type Call, operation } from './operation.js';
import { type OwnService, serveOperations } from './testing/own-operations.test.support.js';
import { type RawAnswer, sendBytes } from './testing/raw-http.test.support.js';
import { type ServedControl, serveControl } from './testing/served-control.test.support.js';

const HOST = 'Host: control.test\r\n';
let database: Database;
let control: ServedControl;
let own: OwnService;
/** What the last handler was called with. */
let last: Call<unknown, unknown, unknown, unknown> | undefined;

const common = { services: ['admin-api'], tag: 'own', summary: 'Of this test', status: 200, access: 'anyone' } as const;
const seen = z.object({ params: z.unknown(), query: z.unknown(), body: z.unknown() });
const show = async (call: Call<unknown, unknown, unknown, unknown>) => {
  last = call;
  return { body: { params: call.params ?? null, query: call.query ?? null, body: call.body ?? null } };
};

const operations = [
  operation({
    ...{ ...common, name: 'listThings', method: 'GET', path: '/things', result: seen, handle: show },
    query: z.strictObject({ limit: z.coerce.number().int().min(1).max(10).optional(), name: z.string().max(20).optional() }),
  }),
  operation({
    ...{ ...common, name: 'createThing', method: 'POST', path: '/things', result: seen, handle: show },
    body: z.strictObject({ name: z.string().max(600_000), labels: z.record(z.string(), z.string()).optional(), any: z.unknown().optional() }),
  }),
  operation({
    ...{ ...common, name: 'getThing', method: 'GET', path: '/things/:id', result: seen, handle: show },
    params: z.object({ id: z.string().max(64) }),
  }),
  operation({
    ...common,
    name: 'deleteThing',
    method: 'DELETE',
    path: '/things/:id',
    params: z.object({ id: z.string().max(64) }),
    status: 204,
    handle: async () => ({}),
  }),
  operation({ ...common, name: 'getMine', method: 'GET', path: '/mine', access: 'authenticated', result: seen, handle: show }),
  operation({
    ...{
      ...common,
      name: 'fail',
      method: 'GET',
      path: '/failures/:kind',
      params: z.object({ kind: z.string() }),
      result: z.object({ ok: z.boolean() }),
    },
    handle: async ({ params: { kind } }) => {
      if (kind === 'thrown') throw new Error('select * from secrets where token = hunter2');
      const nothing: unknown = null;
      if (kind === 'null') throw nothing;
      if (kind === 'caused') throw new SallyportError('database_unavailable', { cause: new Error('hunter2') });
      if (kind === 'status') throw Object.assign(new Error('hunter2'), { statusCode: 418 });
      return { body: { hunter2: 'hunter2' } as unknown as { ok: boolean } };
    },
  }),
];

beforeAll(async () => {
  database = openDatabase({ provider: 'sqlite', path: ':memory:' });
  await migrate(database);
  control = await serveControl(database);
  own = await serveOperations(control, operations);
});
afterAll(async () => {
  await own.app.close();
  await control.close();
  await database.close();
});

async function raw(head: string, body = ''): Promise<RawAnswer> {
  const [answer] = await sendBytes(own.port, `${head}\r\n${HOST}Connection: close\r\n\r\n${body}`);
  if (answer === undefined) throw new Error(`There is no answer to ${head}`);
  return answer;
}

async function post(body: string | Buffer, contentType = 'application/json', more: Record<string, string> = {}) {
  const answer = await fetch(`${own.url}/things`, { method: 'POST', body, headers: { 'content-type': contentType, ...more } });
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Record<string, unknown> };
}

/** Every refusal is a problem document with the fields that all answers have. */
function expectProblem(answer: RawAnswer, status: number, code: string): void {
  const problem = JSON.parse(answer.text) as Record<string, unknown>;
  expect(problem).toMatchObject({ code, status, type: `urn:sallyport:error:${code}` });
  expect(answer.status).toBe(status);
  expect(answer.fields.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(answer.fields.get('x-sallyport-error')).toBe(code);
  expectSecurity(answer.fields);
}

function expectSecurity(fields: { get(name: string): string | null | undefined }): void {
  expect(fields.get('cache-control')).toBe('no-store');
  expect(fields.get('x-content-type-options')).toBe('nosniff');
  expect(fields.get('content-security-policy')).toContain("default-src 'none'");
  expect(fields.get('x-powered-by') ?? null).toBeNull();
}

describe('a body', () => {
  test.each([
    ['no JSON', '{"name":', 'application/json', 400, 'request_invalid'],
    ['nothing', '', 'application/json', 400, 'request_invalid'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'application/json', 400, 'request_invalid'],
    ['a member `__proto__`', '{"name":"a","__proto__":{"admin":true}}', 'application/json', 400, 'request_invalid'],
    ['a member `__proto__` in a map', '{"name":"a","labels":{"__proto__":"x"}}', 'application/json', 400, 'request_invalid'],
    ['a constructor with a prototype', '{"name":"a","any":{"constructor":{"prototype":{"admin":true}}}}', 'application/json', 400, 'request_invalid'],
    ['text', 'name=a', 'text/plain', 415, 'media_type_unsupported'],
    ['a form', 'name=a', 'application/x-www-form-urlencoded', 415, 'media_type_unsupported'],
    ['another JSON', '{"name":"a"}', 'application/merge-patch+json', 415, 'media_type_unsupported'],
    ['a media type that is none', '{"name":"a"}', 'json', 415, 'media_type_unsupported'],
    ['too much', `{"name":"${'a'.repeat(1_048_576)}"}`, 'application/json', 413, 'request_too_large'],
    ['an array', '[]', 'application/json', 400, 'request_invalid'],
    ['null', 'null', 'application/json', 400, 'request_invalid'],
    ['NUL in a text, which no database takes', '{"name":"a\\u0000b"}', 'application/json', 400, 'request_invalid'],
    ['half a surrogate pair, which would be another text when it is stored', '{"name":"a\\ud800"}', 'application/json', 400, 'request_invalid'],
    ['NUL in the name of a member', '{"name":"a","labels":{"a\\u0000":"b"}}', 'application/json', 400, 'request_invalid'],
  ])('with %s is refused', async (_, body, contentType, status, code) => {
    const answer = await post(body, contentType);
    expect(answer).toMatchObject({ status, body: { code } });
    expectSecurity(answer.headers);
  });

  test('says of each member that is unknown or wrong where it is', async () => {
    const { body } = await post('{"name":7,"labels":{"a":1},"admin":true}');
    expect(body).toMatchObject({ code: 'request_invalid', detail: expect.stringContaining('body') });
    const issues = body.issues as { in: string; path: string; message: string }[];
    expect(issues).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ in: 'body', path: 'name' }),
        expect.objectContaining({ in: 'body', path: 'labels.a' }),
        expect.objectContaining({ in: 'body', message: expect.stringContaining('"admin"') }),
      ]),
    );
  });

  test('as deep as it may be long is read or refused, and nothing breaks', async () => {
    const depth = 250_000;
    for (const any of [`${'['.repeat(depth)}${']'.repeat(depth)}`, `${'{"a":'.repeat(depth / 2)}1${'}'.repeat(depth / 2)}`]) {
      expect(await post(`{"name":"a","any":${any}}`)).toMatchObject({ status: 400, body: { code: 'request_invalid' } });
    }
  });

  test('that is said to be larger than it may be is refused before it comes', async () => {
    expectProblem(await raw('POST /things HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99999999'), 413, 'request_too_large');
  });

  test('that has the answer of a member twice counts once, as its last', async () => {
    expect(await post('{"name":"a","name":"b"}')).toMatchObject({ status: 200, body: { body: { name: 'b' } } });
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
  });
});

describe('a query', () => {
  test.each([
    ['?nonsense=1', '"nonsense"'],
    ['?limit=11', 'limit'],
    ['?limit=1&limit=2', 'limit'],
    ['?limit=', 'limit'],
    ['?name=a&name=b', 'name'],
    ['?name[]=a', '"name[]"'],
    ['?__proto__=a', '__proto__'],
    ['?__proto__[admin]=a', '__proto__[admin]'],
    ['?constructor=a', '"constructor"'],
    ['?name=%00', 'name'],
  ])('%s is refused, by its name', async (query, name) => {
    const answer = await raw(`GET /things${query} HTTP/1.1`);
    expectProblem(answer, 400, 'request_invalid');
    expect(answer.text).toContain(JSON.stringify(name).slice(1, -1));
  });

  test.each(['/things/a?x=1', '/mine?x=1'])('of %s, which has no parameters, is refused as well', async (path) => {
    const token = await control.admin.token();
    expectProblem(await raw(`GET ${path} HTTP/1.1\r\nAuthorization: Bearer ${token}`), 400, 'request_invalid');
  });
});

describe('a path', () => {
  test.each([
    ['//things', '//things', 'not_found', 404],
    ['/./things', '/./things', 'not_found', 404],
    ['/nothing/../things', '/nothing/../things', 'not_found', 404],
    ['/THINGS', '/THINGS', 'not_found', 404],
    ['/things;a=b', '/things;a=b', 'not_found', 404],
    ['/%74hings/a/b', '/%74hings/a/b', 'not_found', 404],
    ['/things/%zz', '/things/%zz', 'request_invalid', 400],
    ['/things/%ff', '/things/%ff', 'request_invalid', 400],
    ['/things/%c0%ae', '/things/%c0%ae', 'request_invalid', 400],
    ['/things/%00', '/things/%00', 'request_invalid', 400],
    ['a long one', `/things/${'a'.repeat(65)}`, 'request_invalid', 400],
    ['a long one', `/things/${'a'.repeat(1025)}`, 'request_invalid', 400],
    ['a long one', `/things/${'a'.repeat(60_000)}`, 'request_head_too_large', 431],
  ])('%s is refused', async (_, path, code, status) => {
    expectProblem(await raw(`GET ${path} HTTP/1.1`), status, code);
  });

  test.each([
    ['%2e%2e', '..'],
    ['%2e%2e%2fmine', '../mine'],
    ['a%2Fb', 'a/b'],
    ['%252e', '%2e'],
    ['a%20b', 'a b'],
    ['__proto__', '__proto__'],
    ['%F0%9F%94%91', '🔑'],
  ])('with /%s names the one thing %s', async (written, id) => {
    const answer = await raw(`GET /things/${written} HTTP/1.1`);
    expect(JSON.parse(answer.text)).toMatchObject({ params: { id } });
  });

  test('in absolute form, as proxies send it, is the same path', async () => {
    expect(JSON.parse((await raw('GET http://elsewhere.test/things/a HTTP/1.1')).text)).toMatchObject({ params: { id: 'a' } });
  });
});

describe('a method', () => {
  test.each([
    ['/things', 'GET, HEAD, POST', ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY']],
    ['/things/a%2Fb', 'DELETE, GET, HEAD', ['PUT', 'POST', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']],
  ] as const)('that %s does not have is 405 with those that it has', async (path, allow, methods) => {
    for (const method of methods) {
      const answer = await raw(`${method} ${path} HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 1`, 'x');
      expectProblem(answer, 405, 'method_not_allowed');
      expect(answer.fields.get('allow')).toBe(allow);
    }
  });

  test('of any kind is 404 where there is no path, whatever it brings along', async () => {
    for (const method of ['GET', 'PUT', 'OPTIONS', 'TRACE', 'PROPFIND']) {
      expectProblem(await raw(`${method} /nothing HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 1`, 'x'), 404, 'not_found');
    }
  });

  test('HEAD has the fields of GET and no body', async () => {
    const [get, head] = [await fetch(`${own.url}/things`), await fetch(`${own.url}/things`, { method: 'HEAD' })];
    expect(head.status).toBe(200);
    expect(await head.text()).toBe('');
    for (const field of ['content-type', 'content-length', 'cache-control']) expect(head.headers.get(field)).toBe(get.headers.get(field));
  });
});

describe('what fails', () => {
  test.each(['thrown', 'null', 'status', 'unfit'])('and nobody expected (%s) shows nothing, and is in the log', async (kind) => {
    const answer = await raw(`GET /failures/${kind} HTTP/1.1`);
    expectProblem(answer, 500, 'internal_error');
    expect(answer.text).not.toMatch(/hunter2|select|\bat .*:\d+/i);
    expect(own.served.at(-1)).toMatchObject({ route: '/failures/:kind', status: 500, error: { code: 'internal_error' } });
  });

  test('and is known says what it is, and not why', async () => {
    const answer = await raw('GET /failures/caused HTTP/1.1');
    expectProblem(answer, 503, 'database_unavailable');
    expect(answer.text).not.toContain('hunter2');
  });
});

describe('who asks', () => {
  const hidden = async (): Promise<string> => control.admin.token();

  test.each([
    ['no token', async () => ''],
    ['Basic', async () => `Authorization: Basic ${Buffer.from('admin:admin').toString('base64')}\r\n`],
    ['an empty field', async () => 'Authorization:\r\n'],
    ['a word too many', async () => `Authorization: Bearer ${await hidden()} x\r\n`],
    ['two fields with the same token', async () => `Authorization: Bearer ${await hidden()}\r\nAuthorization: Bearer ${await hidden()}\r\n`],
    ['two fields, the first good', async () => `Authorization: Bearer ${await hidden()}\r\nAuthorization: Basic eA==\r\n`],
    ['two fields, the second good', async () => `Authorization: Basic eA==\r\nAuthorization: Bearer ${await hidden()}\r\n`],
  ])('with %s is 401 and how to ask', async (_, fields) => {
    const answer = await raw(`GET /mine HTTP/1.1\r\n${await fields()}X-End: 1`);
    expect(answer.status).toBe(401);
    expect(answer.fields.get('www-authenticate')).toBe('Bearer realm="sallyport"');
    expectSecurity(answer.fields);
  });

  test('with a token in two places is 401, and twice in one as well', async () => {
    const token = await hidden();
    expectProblem(await raw(`GET /mine?auth_token=${token} HTTP/1.1\r\nAuthorization: Bearer ${token}`), 401, 'token_invalid');
    expectProblem(await raw(`GET /mine?auth_token=${token}&auth_token=${token} HTTP/1.1`), 401, 'token_invalid');
  });

  test('in the query: no handler, no log and no answer sees the token', async () => {
    const token = await hidden();
    const answer = await raw(`GET /mine?auth_token=${token} HTTP/1.1`);
    expect(answer.status).toBe(200);
    expect(JSON.stringify([last?.params, last?.query, answer.text, [...answer.fields]])).not.toContain(token);
    expect(JSON.stringify(own.served.at(-1))).not.toContain('auth_token');
    expect(own.served.at(-1)).toMatchObject({ route: '/mine', actorId: control.admin.id });
    for (const path of [`/mine?x=1&auth_token=${token}`, `/nothing?auth_token=${token}`, `/things/%ff?auth_token=${token}`]) {
      const refused = await raw(`GET ${path} HTTP/1.1`);
      expect(refused.status).toBeGreaterThanOrEqual(400);
      expect(refused.text).not.toContain(token);
      expect(JSON.stringify(own.served.at(-1))).not.toContain(token.slice(0, 40));
    }
  });

  test('with a bad token is nobody to no operation, also where anyone may ask', async () => {
    expectProblem(await raw('GET /things HTTP/1.1\r\nAuthorization: Bearer nonsense'), 401, 'token_invalid');
  });
});
