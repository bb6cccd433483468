import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { endLater, endScene, temporaryFolder } from '../tls-scene.test.support.js';
import { type ChallengeAnswers, openChallengeAnswers } from './challenge-answers.js';

const TOKEN = 'LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0';
const PATH = '/.well-known/acme-challenge/';
let dir: string;
let answers: ChallengeAnswers;
let base: string;

beforeEach(async () => {
  dir = join(await temporaryFolder(), 'challenges');
  answers = await openChallengeAnswers(dir, null);
  const server = createServer((request, response) => {
    if (!answers.handler(request, response)) response.writeHead(421).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  endLater(async () => {
    server.closeAllConnections();
    server.close();
  });
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(endScene);

const status = async (path: string, method = 'GET'): Promise<number> => (await fetch(`${base}${path}`, { method })).status;

test('an answer is given while it is needed, by every process on the folder', async () => {
  const sibling = await openChallengeAnswers(dir, null);
  await sibling.during(async () => {
    await sibling.put(TOKEN, `${TOKEN}.thumbprint`);
    const response = await fetch(`${base}${PATH}${TOKEN}`);
    expect(await response.text()).toBe(`${TOKEN}.thumbprint`);
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(await status(`${PATH}${TOKEN}?x=1`)).toBe(200);
    expect(await status(`${PATH}${TOKEN}`, 'HEAD')).toBe(200);
    expect(await status(`${PATH}${TOKEN}`, 'POST')).toBe(404);
  });
  expect(await status(`${PATH}${TOKEN}`)).toBe(404);
  expect(await readdir(dir)).toEqual([]);
});

test.each(['', 'short', '..%2faccount.json', '%2e%2e/account.json', `${TOKEN}/x`, `${TOKEN}%00`, 'a'.repeat(129)])(
  'nothing is read for %j',
  async (token) => {
    expect(await status(`${PATH}${token}`)).toBeOneOf([404, 421]);
  },
);

test('other requests are left to the server', async () => {
  expect(await status('/')).toBe(421);
  expect(await status('/.well-known/acme')).toBe(421);
});

test('a token that is none is not written', async () => {
  for (const token of ['../x', 'short', '', `${TOKEN}.`])
    await expect(answers.put(token, 'x')).rejects.toMatchObject({ code: 'acme_challenge_failed' });
});

test('the listener is open for as long as the work takes, and gone when that fails', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const own = await openChallengeAnswers(dir, { host: '127.0.0.1', port });
  await expect(own.during(() => Promise.resolve())).rejects.toMatchObject({ code: 'acme_port_unavailable' });
  await new Promise((done) => server.close(done));
  const work = own.during(async () => {
    await own.put(TOKEN, 'answer');
    expect(await (await fetch(`http://127.0.0.1:${port}${PATH}${TOKEN}`)).text()).toBe('answer');
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
    throw new Error('the order failed');
  });
  await expect(work).rejects.toThrow('the order failed');
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow('fetch failed');
  expect(await readdir(dir)).toEqual([]);
});
