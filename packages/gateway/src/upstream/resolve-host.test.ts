import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { SallyportError } from '@sallyport/sdk';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Network, parseNetwork } from '../policy/network.js';
import type { UpstreamConnection } from '../wire/upstream-connection.js';
import { type DialSettings, dial } from './dial.js';
import { resolveHost } from './resolve-host.js';

const NONE: ReadonlyMap<string, string> = new Map();

function resolved(host: string, hosts: ReadonlyMap<string, string>): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    resolveHost(host, hosts, (error, addresses) => (error === null ? resolve(addresses) : reject(error)));
  });
}

test('a name that is given an address has that one and no other', async () => {
  await fc.assert(
    fc.asyncProperty(fc.domain(), fc.oneof(fc.ipV4(), fc.ipV6()), async (name, address) => {
      expect(await resolved(name, new Map([[name, address]]))).toEqual([address]);
    }),
  );
});

test('an address stays what it is', async () => {
  expect(await resolved('192.0.2.1', new Map([['192.0.2.1', '192.0.2.2']]))).toEqual(['192.0.2.1']);
});

test('the system is asked for every other name', async () => {
  expect(await resolved('localhost', new Map([['api.test', '192.0.2.1']]))).toEqual(
    expect.arrayContaining([expect.stringMatching(/^(127\.0\.0\.1|::1)$/)]),
  );
  await expect(resolved('api.test', NONE)).rejects.toMatchObject({ syscall: 'getaddrinfo' });
});

interface Dialed {
  readonly error: SallyportError | null;
  readonly connection: UpstreamConnection | null;
}

function dialed(port: number, permits: readonly Network[]): Promise<Dialed> {
  const settings: DialSettings = {
    hosts: new Map([['api.test', '127.0.0.1']]),
    secureContext: createSecureContext(),
    headLimits: { size: 8_192, count: 100 },
    connectTimeout: 0,
    tlsTimeout: 0,
    timeouts: { responseHead: 0, idle: 0 },
    sessions: new Map(),
  };
  return new Promise((resolve) => {
    dial({ tls: false, host: 'api.test', port, permits }, settings, (error, connection) => resolve({ error, connection }));
  });
}

test('the address that is given is judged like any other, and dialed', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(await dialed(port, [])).toMatchObject({ error: { code: 'address_denied' }, connection: null });
  const { error, connection } = await dialed(port, [parseNetwork('127.0.0.1')]);
  expect(error).toBeNull();
  expect(connection?.address).toBe('127.0.0.1');
  connection?.destroy();
  server.close();
  await once(server, 'close');
});
