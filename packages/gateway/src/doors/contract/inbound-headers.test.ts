import type { Plugin, TransactionContext } from '@sallyport/sdk';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { echoed, problem, stopEverything } from '../../testing/scene.test.support.js';
import { type Contract, contract, stopContracts } from './contract-scene.test.support.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let seen: TransactionContext[] = [];
/** A plugin that gives nothing and notes what it is told. */
const plugin: Plugin = {
  getCredentials(context) {
    seen.push(context);
    return null;
  },
};

let scene: Contract;
beforeAll(async () => {
  scene = await contract({ plugin });
});
beforeEach(() => {
  seen = [];
});
afterAll(async () => {
  await stopContracts();
  await stopEverything();
});

const json = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');

describe('X-Connect-Target-URL', () => {
  test('is required', async () => {
    expect(problem(await scene.call(null))).toMatchObject({ status: 400, error: 'missing Target-URL header' });
  });

  test('reaches the plugin as it was written', async () => {
    await scene.call('/a%2Fb?c=d');
    expect(seen[0]?.targetUrl).toBe(`${scene.origin}/a%2Fb?c=d`);
  });
});

describe('a context header', () => {
  test.each([
    ['Vendor-ID', 'vendorId'],
    ['Environment-ID', 'environmentId'],
    ['Marketplace-ID', 'marketplaceId'],
    ['Product-ID', 'productId'],
    ['Subscription-ID', 'subscriptionId'],
  ] as const)('X-Connect-%s is %s of the context, in any case, the first of several, and stays here', async (suffix, member) => {
    const response = await scene.call('/', { lines: [`x-CONNECT-${suffix.toLowerCase()}: first`, `X-Connect-${suffix}: second`] });
    expect(seen[0]?.[member]).toBe('first');
    expect(echoed(response).lines.filter((line) => /^x-connect/i.test(line))).toEqual([]);
    await scene.call('/');
    expect(seen[1]?.[member]).toBe('');
  });

  test('of which nothing is known stays here too, Service-ID included, which leaks there', async () => {
    const response = await scene.call('/', { lines: ['X-Connect-Service-ID: s', 'X-Connect-New: n', 'X-Connected: mine'] });
    expect(echoed(response).lines.filter((line) => /^x-connect/i.test(line))).toEqual(['X-Connected: mine']);
  });

  test('has the prefix that is configured', async () => {
    const other = await contract({ plugin, keys: { 'upstream.header_prefix': 'X-Acme', 'upstream.trace_header': 'X-Trace' } });
    const response = await other.call('/', { lines: ['X-Acme-Vendor-ID: v', 'X-Trace: t', 'X-Connect-Vendor-ID: of another world'] });
    expect(seen[0]).toMatchObject({ vendorId: 'v', traceId: 't' });
    expect(echoed(response).lines).toEqual(expect.arrayContaining(['X-Trace: t', 'X-Connect-Vendor-ID: of another world']));
    expect(problem(await other.call(null, { lines: [`X-Connect-Target-URL: ${scene.origin}/`] }))).toMatchObject({ code: 'target_missing' });
  });
});

describe('X-Connect-Context-Data', () => {
  test.each<[string, readonly string[], unknown]>([
    ['absent', [], null],
    ['empty', ['X-Connect-Context-Data:'], null],
    ['null', [`X-Connect-Context-Data: ${json(null)}`], null],
    ['an empty object', [`X-Connect-Context-Data: ${json({})}`], {}],
    [
      'an object with everything in it',
      [`X-Connect-Context-Data: ${json({ a: 'b', n: 1.5, nested: { list: [1, null] }, nothing: null })}`],
      { a: 'b', n: 1.5, nested: { list: [1, null] }, nothing: null },
    ],
    [
      'the first of two',
      [`X-Connect-Context-Data: ${json({ which: 'first' })}`, `X-Connect-Context-Data: ${json({ which: 'second' })}`],
      { which: 'first' },
    ],
  ])('is data of the context: %s', async (_, lines, data) => {
    const response = await scene.call('/', { lines });
    expect(response.status).toBe(200);
    expect(seen[0]?.data).toEqual(data);
  });

  test.each([
    ['a list', json([1]), 'not a JSON object'],
    ['a text', json('a'), 'not a JSON object'],
    ['a number', json(1), 'not a JSON object'],
    ['invalid JSON', Buffer.from('{').toString('base64'), 'invalid JSON'],
    ['bad Base64', '{"a":1}', 'invalid base64 encoding'],
    ['the URL-safe alphabet', 'eyJhIjoiPz8_In0=', 'invalid base64 encoding'],
    ['missing padding', 'e30', 'invalid base64 encoding'],
  ])('is 400 when it is %s, and says what is wrong with it', async (_, value, reason) => {
    const response = await scene.call('/', { lines: [`X-Connect-Context-Data: ${value}`] });
    expect(problem(response)).toMatchObject({ status: 400, code: 'context_data_invalid', error: 'invalid Context-Data' });
    expect(problem(response).detail).toContain(reason);
    expect(seen).toEqual([]);
  });

  test('may be as long as heads are there: up to 1 MiB in all', async () => {
    const data = { long: 'x'.repeat(500_000) };
    expect((await scene.call('/', { lines: [`X-Connect-Context-Data: ${json(data)}`] })).status).toBe(200);
    expect(seen[0]?.data).toEqual(data);
    expect((await scene.call('/', { lines: [`X-Connect-Context-Data: ${'A'.repeat(1_048_576)}`] })).status).toBe(431);
  });
});

describe('the correlation id', () => {
  test.each([
    ['a UUID', '0b9a3f2e-9a7b-4c57-9d5c-4a3d1f0e2b11'],
    ['all that is allowed', 'AZaz09-_.:/=+ ok'],
    ['256 bytes', 'x'.repeat(256)],
  ])('is accepted: %s', async (_, id) => {
    const response = await scene.call('/', { lines: [`Connect-Request-ID: ${id}`] });
    expect(echoed(response).lines).toContain(`Connect-Request-ID: ${id}`);
    expect(seen[0]?.traceId).toBe(id);
    // Not there: the original does not send it back, though its documents say so.
    expect(response.all('Connect-Request-ID')).toEqual([id]);
  });

  test.each([
    ['257 bytes', ['Connect-Request-ID: '.concat('x'.repeat(257))]],
    ['a character that is not allowed', ['Connect-Request-ID: a;b']],
    ['a tabulator', ['Connect-Request-ID: a\tb']],
    ['a quote', ['Connect-Request-ID: "a"']],
    ['bytes above ASCII', ['Connect-Request-ID: \xe9']],
    ['an empty value', ['Connect-Request-ID:']],
    ['no such header', []],
  ])('is replaced by a new UUID: %s', async (_, lines) => {
    const response = await scene.call('/', { lines });
    const [id] = response.all('Connect-Request-ID');
    expect(id).toMatch(UUID);
    expect(echoed(response).lines.filter((line) => /^connect-request-id/i.test(line))).toEqual([`Connect-Request-ID: ${id}`]);
    expect(seen[0]?.traceId).toBe(id);
  });

  test('is the first of two, and in every refusal', async () => {
    const response = await scene.call('https://not.listed/', { lines: ['Connect-Request-ID: one', 'connect-request-id: two'] });
    expect([response.field('Connect-Request-ID'), problem(response).request_id]).toEqual(['one', 'one']);
  });
});

describe('what the platform sends beside that', () => {
  test.each(['traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'tracestate: a=b', 'baggage: c=d'])(
    'passes while tracing is off: %s',
    async (line) => {
      expect(echoed(await scene.call('/', { lines: [line] })).lines).toContain(line);
    },
  );

  test.each(['X-Forwarded-For: 10.9.8.7', 'X-Real-IP: 10.9.8.7', 'Forwarded: for=10.9.8.7', 'X-Forwarded-Host: h', 'X-Forwarded-Proto: http'])(
    'stays here and decides nothing: %s',
    async (line) => {
      const recorded = scene.exchanges.length;
      const response = await scene.call('/', { lines: [line] });
      expect(echoed(response).lines.join()).not.toContain(line.slice(0, line.indexOf(':')));
      expect((await scene.recorded(recorded + 1)).clientAddress).toBe('127.0.0.1');
    },
  );

  test('and is not known to anybody passes as it is', async () => {
    expect(echoed(await scene.call('/', { lines: ['X-Whatever:  a  b'] })).lines).toContain('X-Whatever:  a  b');
  });

  test('as a body has no bound', async () => {
    expect(echoed(await scene.call('/', { method: 'POST', body: 'x'.repeat(4_000_000) })).length).toBe(4_000_000);
  });
});
