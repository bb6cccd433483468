import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { SallyportError } from '@sallyport/sdk';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Caller, Exchange } from '../exchange.js';
import { Passage } from '../pipeline/passage.js';
import { refuse } from '../pipeline/pipeline.js';
import type { Runtime } from '../pipeline/runtime.js';
import type { Response } from '../testing/message-reader.test.support.js';
import { closeClients, type RawClient, rawClient } from '../testing/raw-client.test.support.js';
import { problem } from '../testing/scene.test.support.js';
import { removeTemporaryDirectories, temporaryDirectory } from '../testing/temporary-directory.test.support.js';
import { readNames } from '../tls/renewal/alternative-names.js';
import { makeRequest } from '../tls/renewal/certificate-request.js';
import { type Issuer, rootIssuer } from '../tls/renewal/issuing.test.support.js';
import { type PairFiles, readPair } from '../tls/renewal/pair-files.js';
import type { KeyPair } from '../tls/renewal/rehearsal.js';
import { createRenewal, type PreparedRenewal, type RenewalTarget } from '../tls/renewal/renewal.js';
import { ServerConnection } from '../wire/server-connection.js';
import { plainSidecarDoor } from './sidecar-door.test.support.js';
import { answerOps } from './sidecar-ops.js';

const door = plainSidecarDoor();
const platform: Caller = { name: 'platform', kind: 'token', credentials: new Set() };

let root: Issuer;
let server: Server;
let client: RawClient;
let files: PairFiles;
let target: RenewalTarget | null;
let caller: () => Caller | null;
let installed: KeyPair[];
/** Holds back the swap until it resolves. */
let swap: Promise<void>;
let exchanges: Exchange[];
let open: number;
let onRecord: () => void;
/** The sides of the gateway. */
let sockets: Socket[];

beforeAll(async () => {
  root = await rootIssuer();
});
beforeEach(async () => {
  const directory = await temporaryDirectory();
  files = { cert: join(directory, 'server.crt'), key: join(directory, 'server.key') };
  const { key, csr } = await makeRequest({ commonName: 'chaperone', names: readNames(['proxy.example.com']) });
  const certificate = await root.sign(csr);
  await writeFile(files.cert, certificate);
  await writeFile(files.key, key.export({ type: 'pkcs8', format: 'pem' }));
  target = { files, certificate, trust: root.pem };
  caller = () => platform;
  installed = [];
  swap = Promise.resolve();
  exchanges = [];
  open = 0;
  onRecord = () => {};
  sockets = [];
  server = createServer({ allowHalfOpen: true }, serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = await rawClient((server.address() as AddressInfo).port);
});
afterEach(() => {
  closeClients();
  server.close();
});
afterAll(removeTemporaryDirectories);

/** What the sidecar does around `answerOps`, with a runtime that only counts and records. */
function serve(socket: Socket): void {
  sockets.push(socket);
  const record = (exchange: Exchange): void => {
    exchanges.push(exchange);
    onRecord();
  };
  const runtime = { recorder: { record }, leave: () => void open-- } as unknown as Runtime;
  const renewal = createRenewal({
    target: () => target,
    async install(pair) {
      await swap;
      installed.push(pair);
    },
    onEvent: () => {},
  });
  const passageFor = (connection: ServerConnection): Passage => {
    open++;
    const exchange = new Exchange('sidecar', '127.0.0.1');
    exchange.method = connection.head.method;
    exchange.requestId = 'id-1';
    return new Passage(exchange, connection, door, runtime);
  };
  const handler = {
    onRequest(connection: ServerConnection) {
      const passage = passageFor(connection);
      if (!answerOps(passage, { version: '1.2.3', renewal, certificateCaller: () => caller() })) refuse(passage, new SallyportError('not_found'));
    },
    onRefusedHead: (connection: ServerConnection, error: SallyportError) => refuse(passageFor(connection), error),
    onClosed: () => {},
  };
  new ServerConnection(socket, handler, { size: 16_384, count: 100 }, { head: 30_000, idle: 30_000, keepAlive: 30_000 }).start(null);
}

const call = (startLine: string, body = '', lines: readonly string[] = []): Promise<Response> =>
  client.request(`${startLine} HTTP/1.1`, ['Host: sidecar', ...(body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]), ...lines], body);
const prepare = async (): Promise<PreparedRenewal> => JSON.parse((await call('POST /_ops/renew/prepare')).body.toString()) as PreparedRenewal;
const install = (value: unknown): Promise<Response> => call('POST /_ops/renew/install', typeof value === 'string' ? value : JSON.stringify(value));
const installation = async ({ csr, renewal_id }: PreparedRenewal) => ({ renewal_id, certificate: await root.sign(csr) });

async function recorded(count: number): Promise<Exchange> {
  while (exchanges.length < count) {
    await new Promise<void>((resolve) => {
      onRecord = resolve;
    });
  }
  return exchanges[count - 1];
}

describe('for everybody', () => {
  test.each([
    ['/_ops/health', { status: 'alive' }],
    ['/_ops/version', { version: '1.2.3' }],
    ['/_ops/health?from=balancer', { status: 'alive' }],
  ])('%s', async (path, value) => {
    caller = () => null;
    const response = await call(`GET ${path}`);
    expect(response).toMatchObject({ status: 200, complete: true });
    expect(JSON.parse(response.body.toString())).toEqual(value);
    expect([response.field('Content-Type'), response.field('Cache-Control')]).toEqual(['application/json', 'no-store']);
    const head = await call(`HEAD ${path}`);
    expect(head).toMatchObject({ status: 200, body: Buffer.alloc(0) });
    expect(head.field('Content-Length')).toBe(response.field('Content-Length'));
    expect(exchanges).toMatchObject([
      { outcome: 'completed', status: 200, error: null },
      { outcome: 'completed', status: 200, responseBytes: 0 },
    ]);
    expect(open).toBe(0);
  });

  test.each([
    ['POST /_ops/health', 'GET, HEAD'],
    ['DELETE /_ops/version', 'GET, HEAD'],
    ['GET /_ops/renew/prepare', 'POST'],
    ['HEAD /_ops/renew/install', 'POST'],
  ])('%s is refused with what is allowed', async (startLine, allow) => {
    const response = await call(startLine, startLine.startsWith('POST') ? 'body' : '');
    expect(response.status).toBe(405);
    expect([response.field('Allow'), response.field('X-Sallyport-Error')]).toEqual([allow, 'method_not_allowed']);
    if (!startLine.startsWith('HEAD')) expect(problem(response)).toMatchObject({ code: 'method_not_allowed', request_id: 'id-1' });
    expect(await recorded(1)).toMatchObject({ outcome: 'refused', error: 'method_not_allowed', status: 405 });
    expect(open).toBe(0);
  });

  test.each(['/_ops', '/_ops/', '/_ops/health/', '/_OPS/health', '/_ops/constructor', '/__proto__', '/_ops/certs/sign', '*'])(
    '%s is not one of them',
    async (path) => {
      expect((await call(`${path === '*' ? 'OPTIONS' : 'GET'} ${path}`)).field('X-Sallyport-Error')).toBe('not_found');
    },
  );

  test('a connection goes on after the answer, and closes when it was asked to', async () => {
    await call('GET /_ops/health');
    expect((await call('GET /_ops/health', '', ['Connection: close'])).field('Connection')).toBe('close');
    const old = await rawClient((server.address() as AddressInfo).port);
    expect((await old.request('GET /_ops/health HTTP/1.0', ['Connection: keep-alive'])).field('Connection')).toBe('keep-alive');
    expect((await old.request('GET /_ops/health HTTP/1.0')).field('Connection')).toBe('close');
  });
});

describe('renewal', () => {
  test('from the request to the new certificate', async () => {
    const response = await call('POST /_ops/renew/prepare');
    expect(response).toMatchObject({ status: 200 });
    expect(response.field('Content-Type')).toBe('application/json');
    const prepared = JSON.parse(response.body.toString()) as PreparedRenewal;
    expect(Object.keys(prepared).sort()).toEqual(['csr', 'renewal_id']);
    expect(await call('POST /_ops/renew/prepare')).toMatchObject({ status: 409 });

    const wanted = await installation(prepared);
    const done = await install(wanted);
    expect(done).toMatchObject({ status: 202, complete: true, body: Buffer.alloc(0) });
    expect(done.field('Content-Length')).toBe('0');
    expect(installed).toEqual([await readPair(files)]);
    expect(installed[0].cert).toBe(wanted.certificate);
    expect(exchanges).toMatchObject([
      { caller: { name: 'platform' }, outcome: 'completed', status: 200 },
      { caller: { name: 'platform' }, outcome: 'refused', status: 409, error: 'renewal_pending' },
      { caller: { name: 'platform' }, outcome: 'completed', status: 202, requestBytes: JSON.stringify(wanted).length },
    ]);
    expect(open).toBe(0);
  });

  test('takes a body in chunks, in any number of reads, with members that it does not know', async () => {
    const body = Buffer.from(JSON.stringify({ ...(await installation(await prepare())), note: 'für später' }));
    client.write('POST /_ops/renew/install HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let at = 0; at < body.length; at += 301) {
      const part = body.subarray(at, at + 301);
      client
        .write(`${part.length.toString(16)};ext=1\r\n`)
        .write(part)
        .write('\r\n');
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.write('0\r\nX-Trailer: 1\r\n\r\n');
    expect((await client.reader.response('POST')).status).toBe(202);
    expect((await call('GET /_ops/health')).status).toBe(200);
  });

  test('tells a client that asks first to go on', async () => {
    const body = JSON.stringify(await installation(await prepare()));
    client.write(`POST /_ops/renew/install HTTP/1.1\r\nHost: s\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`);
    const first = await once(client.socket, 'data').then(([bytes]) => String(bytes));
    expect(first).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    client.write(body);
    const interim = await client.reader.response('POST');
    expect(interim.status === 100 ? (await client.reader.response('POST')).status : interim.status).toBe(202);
  });

  test.each<[string, string, string]>([
    ['', 'It is not JSON.', 'invalid request body'],
    ['{', 'It is not JSON.', 'invalid request body'],
    ['[]', 'It is not a JSON object.', 'invalid request body'],
    ['null', 'It is not a JSON object.', 'invalid request body'],
    ['"text"', 'It is not a JSON object.', 'invalid request body'],
    ['{}', '`renewal_id` is missing.', 'renewal_id and certificate are required'],
    ['{"renewal_id":"x"}', '`certificate` is missing.', 'renewal_id and certificate are required'],
    ['{"renewal_id":"x","certificate":""}', '`certificate` is missing.', 'renewal_id and certificate are required'],
    ['{"renewal_id":7,"certificate":"x"}', '`renewal_id` is not a text.', 'invalid request body'],
    [`{"renewal_id":"${'x'.repeat(66_000)}"}`, 'The body has more than 65536 bytes.', 'invalid request body'],
  ])('refuses the body %s', async (body, detail, error) => {
    const response = await install(body);
    expect(response.status).toBe(400);
    expect(problem(response)).toMatchObject({ code: 'renewal_request_invalid', detail, error });
    expect(await recorded(1)).toMatchObject({ outcome: 'refused', status: 400 });
    expect(open).toBe(0);
  });

  test.each([
    ['no renewal is pending', async () => ({ renewal_id: 'a'.repeat(64), certificate: 'x' }), 409, 'renewal_unknown'],
    [
      'the certificate is for a foreign key',
      async () => ({ ...(await prepare()), certificate: target?.certificate }),
      422,
      'certificate_key_mismatch',
    ],
    ['the certificate cannot be read', async () => ({ ...(await prepare()), certificate: 'x' }), 422, 'certificate_unreadable'],
    [
      'it cannot be stored',
      async () => {
        const prepared = await prepare();
        target = { ...(target as RenewalTarget), files: { ...files, cert: join(files.cert, 'not-there') } };
        return installation(prepared);
      },
      500,
      'certificate_not_persisted',
    ],
  ])('refuses when %s', async (_, body, status, code) => {
    const response = await install(await body());
    expect(response.status).toBe(status);
    expect(problem(response)).toMatchObject({ code, status });
    expect(installed).toEqual([]);
  });

  test.each(['prepare', 'install'])('%s is for callers with a certificate', async (which) => {
    caller = () => null;
    const response = await call(`POST /_ops/renew/${which}`, '{}');
    expect(response.status).toBe(403);
    expect(problem(response)).toMatchObject({ code: 'renewal_not_permitted' });
    caller = () => {
      throw new SallyportError('caller_throttled');
    };
    client = await rawClient((server.address() as AddressInfo).port);
    expect((await call(`POST /_ops/renew/${which}`, '{}')).status).toBe(429);
    expect(open).toBe(0);
  });

  test.each(['prepare', 'install'])('%s is disabled for everybody where there is nothing to renew', async (which) => {
    target = null;
    caller = () => null;
    const response = await call(`POST /_ops/renew/${which}`, '{}');
    expect(response.status).toBe(501);
    expect(problem(response)).toMatchObject({ code: 'renewal_disabled', error: 'certificate management is external; renewal is disabled' });
  });

  test('a client that leaves in the middle of its body changes nothing', async () => {
    await prepare();
    client.write('POST /_ops/renew/install HTTP/1.1\r\nHost: s\r\nContent-Length: 1000\r\n\r\n{').reset();
    expect(await recorded(2)).toMatchObject({ outcome: 'aborted', error: 'client_aborted', status: 0 });
    expect(installed).toEqual([]);
    expect(open).toBe(0);
  });

  test('a client that leaves while its certificate is installed does not stop that', async () => {
    const body = JSON.stringify(await installation(await prepare()));
    let release = (): void => {};
    swap = new Promise((resolve) => {
      release = resolve;
    });
    const [socket] = sockets;
    client.write(`POST /_ops/renew/install HTTP/1.1\r\nHost: s\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    const before = await readPair(files);
    while ((await readPair(files)).key === before.key) await new Promise((resolve) => setImmediate(resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    client.reset();
    await closed;
    release();
    expect(await recorded(2)).toMatchObject({ outcome: 'aborted', status: 0 });
    expect(installed).toHaveLength(1);
    expect(open).toBe(0);
  });

  test('a body that is malformed ends the connection', async () => {
    client.write('POST /_ops/renew/install HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n');
    const response = await client.reader.response('POST');
    expect([response.status, response.field('Connection')]).toEqual([400, 'close']);
    expect(problem(response)).toMatchObject({ code: 'request_malformed' });
  });
});
