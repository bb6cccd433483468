import { afterEach, describe, expect, test } from 'vitest';
import { rawClient } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, problem, stopEverything } from '../testing/scene.test.support.js';
import { echo, reply } from '../testing/scripted-upstream.test.support.js';

afterEach(stopEverything);

describe('Expect: 100-continue', () => {
  test('reaches the upstream, whose 100 reaches the client before the body is sent', async () => {
    const { gateway, origin, authority } = await plainScene(async (request, socket) => {
      socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      await echo(request, socket);
    });
    const client = await rawClient(gateway.forward);
    client.write(`PUT ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
    expect((await client.reader.head())?.startLine).toBe('HTTP/1.1 100 Continue');
    client.write('hello');
    const response = await client.reader.response();
    expect(echoed(response)).toMatchObject({ length: 5, lines: expect.arrayContaining(['Expect: 100-continue']) });
    // Answered in full: the connection goes on.
    expect((await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`])).status).toBe(200);
    expect(gateway.exchanges).toMatchObject([{ status: 200 }, { status: 200 }]);
  });

  test('of a request that is refused is answered without asking for the body', async () => {
    const { gateway, upstream } = await plainScene();
    const client = await rawClient(gateway.forward);
    const lines = ['Host: denied.example', 'Content-Length: 5', 'Expect: 100-continue'];
    const response = await client.request('PUT http://denied.example/ HTTP/1.1', lines);
    expect(response).toMatchObject({ status: 403, interim: [] });
    expect(response.field('Connection')).toBe('close');
    expect(await client.reader.end()).toBe('end');
    expect(upstream.sockets).toHaveLength(0);
  });

  test('that the upstream refuses is its own refusal', async () => {
    const { gateway, origin, authority } = await plainScene((_, socket) => void socket.write(reply(417, 'no')));
    const client = await rawClient(gateway.forward);
    const lines = [`Host: ${authority}`, 'Content-Length: 5', 'Expect: 100-continue'];
    const response = await client.request(`PUT ${origin}/ HTTP/1.1`, lines);
    expect(response).toMatchObject({ status: 417, complete: true });
    expect(response.field('Connection')).toBe('close');
    expect(await gateway.recorded(1)).toMatchObject({ outcome: 'completed', status: 417, requestBytes: 0 });
  });
});

describe('interim responses', () => {
  const several = 'HTTP/1.1 102 Processing\r\nX-Step: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n';

  test('are handed on in order, each with its fields and without those of the hop', async () => {
    const { gateway, origin, authority } = await plainScene((_, socket) => void socket.write(`${several}${reply(200, 'ok')}`));
    const client = await rawClient(gateway.forward);
    const response = await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`]);
    expect(response.interim.map(({ startLine, lines }) => [startLine, ...lines])).toEqual([
      ['HTTP/1.1 102 Processing', 'X-Step: 1'],
      ['HTTP/1.1 103 Early Hints', 'Link: </a>'],
    ]);
    expect(response.body.toString()).toBe('ok');
    expect(await gateway.recorded(1)).toMatchObject({ status: 200 });
  });

  test('are kept from a client of HTTP/1.0', async () => {
    const { gateway, origin } = await plainScene((_, socket) => void socket.write(`${several}${reply(200, 'ok')}`));
    const client = await rawClient(gateway.forward);
    expect(await client.request(`GET ${origin}/ HTTP/1.0`)).toMatchObject({ status: 200, interim: [] });
  });
});

describe('an answer that overtakes its request', () => {
  test('is passed on while the body still comes, and the rest of the body as well', async () => {
    const { gateway, origin, authority } = await plainScene(async (request, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n');
      const { body } = await request.body();
      socket.write(`${body.length.toString(16)}\r\n${body.toString()}\r\n0\r\n\r\n`);
    });
    const client = await rawClient(gateway.forward);
    client.write(`POST ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`);
    const head = await client.reader.head();
    expect(head?.field('Connection')).toBe('close');
    expect((await client.reader.until('early\r\n'))?.toString()).toBe('5\r\nearly\r\n');
    client.write('3\r\ndef\r\n0\r\n\r\n');
    expect((await client.reader.rest()).toString()).toBe('6\r\nabcdef\r\n0\r\n\r\n');
    expect(gateway.exchanges).toMatchObject([{ outcome: 'completed', status: 200 }]);
  });

  test('does not let the rest of the body be taken for a request', async () => {
    const { gateway, upstream, origin, authority } = await plainScene((_, socket) => void socket.write(reply(200, 'early')));
    const client = await rawClient(gateway.forward);
    client.write(`POST ${origin}/1 HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: 1000\r\n\r\n`);
    expect((await client.reader.response()).body.toString()).toBe('early');
    client.write(`GET ${origin}/smuggled HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    expect((await client.reader.rest()).length).toBe(0);
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/1']);
    expect(gateway.exchanges).toHaveLength(1);
  });

  test('leaves an upstream connection that nobody else gets', async () => {
    const { gateway, upstream, origin, authority } = await plainScene((_, socket) => void socket.write(reply(200, 'early')));
    const first = await rawClient(gateway.forward);
    first.write(`POST ${origin}/1 HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: 1000\r\n\r\n`);
    await first.reader.response();
    const second = await rawClient(gateway.forward);
    await second.request(`GET ${origin}/2 HTTP/1.1`, [`Host: ${authority}`]);
    expect(upstream.requests.map(({ target, connection }) => [target, connection])).toEqual([
      ['/1', 0],
      ['/2', 1],
    ]);
  });
});

test('a refusal of a request with a body closes the connection, so that the body is not read as a request', async () => {
  const { gateway, upstream } = await plainScene();
  const client = await rawClient(gateway.forward);
  const smuggled = 'GET http://api.test/ HTTP/1.1\r\nHost: api.test\r\n\r\n';
  const response = await client.request(
    'POST http://denied.example/ HTTP/1.1',
    ['Host: denied.example', `Content-Length: ${smuggled.length + 1}`],
    smuggled,
  );
  expect(problem(response).code).toBe('policy_denied');
  expect((await client.reader.rest()).length).toBe(0);
  expect(upstream.sockets).toHaveLength(0);
  expect(gateway.exchanges).toHaveLength(1);
});
