import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { migrate } from '../database/migrate.js';
import { type Database, openDatabase } from '../database/open-database.js';
import { type Operation, operation } from './operation.js';
import type { ServiceApp, ServiceAppOptions } from './service-app.js';
import { type OwnService, serveOperations } from './testing/own-operations.test.support.js';
import { answersOf, connected, everythingFrom, type RawAnswer, sendBytes } from './testing/raw-http.test.support.js';
import { type ServedControl, serveControl } from './testing/served-control.test.support.js';

const HOST = 'Host: control.test\r\n';
const common = { services: ['admin-api'], tag: 'own', summary: 'Of this test', status: 200, access: 'anyone' } as const;
let database: Database;
let control: ServedControl;
const services: OwnService[] = [];

beforeAll(async () => {
  database = openDatabase({ provider: 'sqlite', path: ':memory:' });
  await migrate(database);
  control = await serveControl(database);
});
afterEach(async () => {
  for (const { app } of services.splice(0)) await app.close();
});
afterAll(async () => {
  await control.close();
  await database.close();
});

async function serve(operations: readonly Operation[], options?: Partial<ServiceAppOptions>, prepare?: (app: ServiceApp) => void) {
  const service = await serveOperations(control, operations, options, prepare);
  services.push(service);
  return service;
}

function gate() {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** An operation that is under way until it is told to go on, and the moments when it begins and when its signal aborts. */
function waiting() {
  const [begun, aborted, goOn] = [gate(), gate(), gate()];
  const wait = operation({
    ...{ ...common, name: 'wait', method: 'POST', path: '/wait', result: z.object({ aborted: z.boolean() }) },
    body: z.object({ a: z.string() }),
    handle: async ({ signal }) => {
      signal.addEventListener('abort', () => aborted.resolve(), { once: true });
      begun.resolve();
      await goOn.promise;
      return { body: { aborted: signal.aborted } };
    },
  });
  return { wait, begun: begun.promise, aborted: aborted.promise, goOn: goOn.resolve };
}

const echo = operation({
  ...{ ...common, name: 'echo', method: 'GET', path: '/echo/:id', params: z.object({ id: z.string() }) },
  result: z.object({ id: z.string(), address: z.string(), request_id: z.string() }),
  handle: async ({ params: { id }, address, requestId }) => ({ body: { id, address, request_id: requestId } }),
});

const waitHead = `POST /wait HTTP/1.1\r\n${HOST}Content-Type: application/json\r\n`;
const BODY = '{"a":"b"}';

function expectProblem(answer: RawAnswer | undefined, code: string): void {
  if (answer === undefined) throw new Error('There is no answer.');
  const { status, fields, text } = answer;
  expect(JSON.parse(text)).toMatchObject({ code, status, request_id: fields.get('x-request-id') });
  expect(fields.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(fields.get('x-content-type-options')).toBe('nosniff');
  expect(fields.get('cache-control')).toBe('no-store');
}

test.each([
  ['no HTTP', 'nonsense\r\n\r\n', 400, 'request_malformed'],
  ['two lengths', `POST /wait HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, 400, 'request_malformed'],
  ['a length and chunks', `POST /wait HTTP/1.1\r\n${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400, 'request_malformed'],
  ['a line that goes on', `GET /echo/a HTTP/1.1\r\n${HOST}A: b\r\n c: d\r\nE : f\r\n\r\n`, 400, 'request_malformed'],
  ['NUL in a field', `GET /echo/a HTTP/1.1\r\n${HOST}A: b\0c\r\n\r\n`, 400, 'request_malformed'],
  ['a head that is too large', `GET /echo/a HTTP/1.1\r\n${HOST}A: ${'a'.repeat(70_000)}\r\n\r\n`, 431, 'request_head_too_large'],
])('%s is refused with a problem document, and the connection ends', async (_, bytes, status, code) => {
  const { port } = await serve([waiting().wait, echo]);
  const [answer, ...rest] = await sendBytes(port, bytes);
  expect(rest).toEqual([]);
  expect(answer?.status).toBe(status);
  expectProblem(answer, code);
});

test('requests one behind the other are answered in their order', async () => {
  const { port } = await serve([echo]);
  const paths = Array.from({ length: 50 }, (_, index) => `/echo/${index}`);
  const last = `GET /echo/last HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;
  const answers = await sendBytes(port, paths.map((path) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`).join('') + last);
  expect(answers.map(({ text }) => (JSON.parse(text) as { id: string }).id)).toEqual([...paths.map((path) => path.slice(6)), 'last']);
});

test('what comes behind a refusal is read on its own', async () => {
  const { port } = await serve([echo, waiting().wait]);
  const body = 'GET /echo/smuggled HTTP/1.1\r\n\r\n';
  const refused = `POST /nothing HTTP/1.1\r\n${HOST}Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const answers = await sendBytes(port, `${refused}GET /echo/b HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
  expect(answers.map(({ status, text }) => [status, (JSON.parse(text) as { id?: string }).id])).toEqual([
    [404, undefined],
    [200, 'b'],
  ]);
});

test('a head and a body that do not come in time end the connection with 408; others are served meanwhile', async () => {
  const hasty = (app: ServiceApp): void => {
    expect(app.server.requestTimeout).toBe(60_000);
    expect(app.server.headersTimeout).toBeLessThanOrEqual(60_000);
    Object.assign(app.server, { requestTimeout: 300, headersTimeout: 200, connectionsCheckingInterval: 50 });
  };
  const { port, url } = await serve([waiting().wait, echo], {}, hasty);
  const slow = [
    `GET /echo/a HTTP/1.1\r\nHost: contr`,
    `${waitHead}Content-Length: 9\r\n\r\n{"a`,
    `${waitHead}Transfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n`,
  ];
  const answers = slow.map((bytes) => sendBytes(port, bytes));
  expect((await fetch(`${url}/echo/a`)).status).toBe(200);
  for (const [answer] of await Promise.all(answers)) {
    expect(answer?.status).toBe(408);
    expectProblem(answer, 'client_idle_timeout');
  }
});

test('a body that the client breaks off reaches no handler', async () => {
  const { port, served } = await serve([waiting().wait]);
  const socket = await connected(port);
  socket.write(`${waitHead}Content-Length: 9\r\n\r\n{"a`);
  await new Promise<void>((resolve) => socket.end(() => resolve()));
  await everythingFrom(socket);
  await expect.poll(() => served.length).toBe(1);
  expect(served[0]).toMatchObject({ route: '/wait', status: 499, error: undefined });
});

test('the signal of a request aborts when its client is gone, and not before', async () => {
  const { wait, begun, aborted, goOn } = waiting();
  const { port, url, served } = await serve([wait]);
  const socket = await connected(port);
  socket.write(`${waitHead}Content-Length: ${BODY.length}\r\n\r\n${BODY}`);
  await begun;
  socket.destroy();
  await aborted;
  goOn();
  await expect.poll(() => served.length).toBe(1);
  expect(served[0]).toMatchObject({ route: '/wait', status: 499 });
  const whole = await fetch(`${url}/wait`, { method: 'POST', body: BODY, headers: { 'content-type': 'application/json' } });
  expect(await whole.json()).toEqual({ aborted: false });
});

test.each([
  ['one that looks like one', 'trace-1:a.b', 'trace-1:a.b'],
  ['one with blanks', 'a b', null],
  ['one that would be two fields', 'a\tb', null],
  ['one that is too long', 'a'.repeat(129), null],
  ['markup', '<script>', null],
  ['two of them', 'a\r\nX-Request-Id: b', null],
])('a request id of the client’s: %s', async (_, given, expected) => {
  const { port, served } = await serve([echo]);
  const [answer] = await sendBytes(port, `GET /echo/a HTTP/1.1\r\n${HOST}X-Request-Id: ${given}\r\nConnection: close\r\n\r\n`);
  const id = answer?.fields.get('x-request-id') ?? '';
  expect(id).toMatch(expected === null ? /^req_[\w-]+$/ : new RegExp(`^${expected}$`));
  expect(JSON.parse(answer?.text ?? '')).toMatchObject({ request_id: id });
  expect(served.at(-1)).toMatchObject({ requestId: id });
});

test.each([
  ['nobody', undefined, '127.0.0.1'],
  ['another network', ['10.0.0.0/8'], '127.0.0.1'],
  ['this machine', ['127.0.0.0/8'], '203.0.113.9'],
])('with a forwarded address, trusting %s', async (_, trustedProxies, address) => {
  const charged: string[] = [];
  const count = async (_: unknown, from: string): Promise<Record<string, string>> => {
    charged.push(from);
    return {};
  };
  const throttle = { charge: async () => {}, count };
  const { url } = await serve([echo], { throttle, ...(trustedProxies === undefined ? {} : { trustedProxies }) });
  const answer = await fetch(`${url}/echo/a`, { headers: { 'x-forwarded-for': '198.51.100.1, 203.0.113.9' } });
  expect(await answer.json()).toMatchObject({ address });
  expect(charged).toEqual([address]);
});

test('when a service closes, what is under way is finished, new requests are refused, and no client can hold it up', async () => {
  const { wait, begun, goOn } = waiting();
  const { app, port } = await serve([wait, echo]);
  const agent = new Agent({ keepAlive: true });
  const inHand = httpRequest({ host: '127.0.0.1', port, agent, method: 'POST', path: '/wait', headers: { 'content-type': 'application/json' } });
  const answered = once(inHand, 'response');
  inHand.end(BODY);
  const [busy, idle] = [await connected(port), await connected(port)];
  const [heard, idleEnd] = [everythingFrom(busy), everythingFrom(idle)];
  busy.write(`${waitHead}Content-Length: ${BODY.length}\r\n\r\n${BODY}`);
  await begun;
  await expect.poll(() => connectionsOf(app)).toBe(3);
  const closed = app.close();
  await idleEnd;
  await expect(fetch(`http://127.0.0.1:${port}/echo/a`)).rejects.toThrow('fetch failed');
  busy.write(`GET /echo/late HTTP/1.1\r\n${HOST}\r\n`);
  goOn();
  const [response] = (await answered) as [import('node:http').IncomingMessage];
  expect(response.statusCode).toBe(200);
  response.resume();
  const [finished, late] = answersOf(await heard);
  expect(finished).toMatchObject({ status: 200 });
  expect(finished?.fields.get('connection')).toBe('close');
  expect(late === undefined || late.status === 503).toBe(true);
  await closed;
  agent.destroy();
});

function connectionsOf(app: ServiceApp): Promise<number> {
  return new Promise((resolve, reject) => {
    app.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

test('a request on a connection that is open when the service closes is told that it is not ready', async () => {
  const { wait, begun, goOn } = waiting();
  const { app, port } = await serve([wait, echo]);
  const socket = await connected(port);
  const heard = everythingFrom(socket);
  // The head of this one is in before the end begins, its body comes after.
  const late = await connected(port);
  const lateHeard = everythingFrom(late);
  late.write(`GET /echo/a HTTP/1.1\r\nHost: control`);
  socket.write(`${waitHead}Content-Length: ${BODY.length}\r\n\r\n${BODY}`);
  await begun;
  const closed = app.close();
  late.write(`.test\r\n\r\n`);
  const [refused] = answersOf(await lateHeard);
  if (refused !== undefined) {
    expect(refused.status).toBe(503);
    expectProblem(refused, 'not_ready');
  }
  goOn();
  expect(answersOf(await heard)[0]).toMatchObject({ status: 200 });
  await closed;
});
