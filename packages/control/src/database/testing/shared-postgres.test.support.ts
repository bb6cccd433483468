import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type PostgresServer, startPostgres } from './postgres-server.test.support.js';

const VARIABLE = 'SALLYPORT_TEST_POSTGRES';

/**
 * Vitest calls this before the first test file of a run, in the process that lives as long as the run. The server starts when the first file asks
 * for it, so that tests without a database do not wait for one, and stops at the end.
 */
export async function setup(): Promise<() => Promise<void>> {
  let server: Promise<PostgresServer> | undefined;
  // The URL is a password: only who knows this path, which is only in the environment of the tests, gets it.
  const path = `/${randomBytes(16).toString('hex')}`;
  const door = createServer((request, response) => {
    if (request.url !== path) return void response.writeHead(404).end();
    server ??= startPostgres();
    server.then(
      ({ url }) => response.end(url),
      (error: unknown) => response.writeHead(503).end(String(error)),
    );
  });
  door.listen(0, '127.0.0.1');
  await once(door, 'listening');
  process.env[VARIABLE] = `http://127.0.0.1:${(door.address() as AddressInfo).port}${path}`;
  return async () => {
    door.close();
    await (await server?.catch(() => undefined))?.stop();
  };
}

/** The URL of the server that all files of this run share, to which the name of a database is added. */
export async function sharedPostgres(): Promise<string> {
  const door = process.env[VARIABLE];
  if (door === undefined) throw new Error(`${VARIABLE} is not set: these tests run with the vitest.config.ts of the repository.`);
  const answer = await fetch(door);
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}
