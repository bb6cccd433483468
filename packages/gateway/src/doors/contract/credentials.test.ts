import { createHmac } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Plugin } from '@sallyport/sdk';
import { afterAll, describe, expect, test } from 'vitest';
import { echoed, stopEverything } from '../../testing/scene.test.support.js';
import { reply } from '../../testing/scripted-upstream.test.support.js';
import { temporaryDirectory } from '../../testing/temporary-directory.test.support.js';
import { contract, stopContracts } from './contract-scene.test.support.js';

afterAll(async () => {
  await stopContracts();
  await stopEverything();
});

const SECRET = 'tok-51Hx8CcKj9mQpLr7T';
const later = (): number => Date.now() + 3_600_000;
const vendor = (name: string) => ({ lines: [`X-Connect-Vendor-ID: ${name}`] });
/** A plugin with one way of giving credentials, and how often it was asked. */
function counted(give: NonNullable<Plugin['getCredentials']>): { plugin: Plugin; readonly calls: number } {
  const count = {
    calls: 0,
    plugin: {
      getCredentials: (context, request, options) => {
        count.calls++;
        return give(context, request, options);
      },
    } satisfies Plugin,
  };
  return count;
}

describe('the fast path', () => {
  test('sets each header, in the place of what the platform sent', async () => {
    const { plugin } = counted(() => ({ headers: { Authorization: `Bearer ${SECRET}`, 'X-Tenant': 'acme' }, expiresAt: later() }));
    const scene = await contract({ plugin });
    const { lines } = echoed(await scene.call('/', { lines: ['authorization: mine', 'X-TENANT: mine', 'x-tenant: mine'] }));
    expect(lines.filter((line) => /^(authorization|x-tenant)/i.test(line))).toEqual([`Authorization: Bearer ${SECRET}`, 'X-Tenant: acme']);
  });

  test('is kept and reused until it expires; there the plugin is asked for every request, though the documents say otherwise', async () => {
    const count = counted((context) => ({ headers: { 'X-Key': `${SECRET}-${context.vendorId}` }, expiresAt: later() }));
    const scene = await contract({ plugin: count.plugin });
    for (let i = 0; i < 3; i++) await scene.call('/', vendor('a'));
    expect(count.calls).toBe(1);
    const expiring = counted(() => ({ headers: { 'X-Key': SECRET }, expiresAt: Date.now() + 1 }));
    const short = await contract({ plugin: expiring.plugin });
    for (let i = 1; i <= 3; i++) {
      await short.call('/');
      const until = Date.now() + 2;
      while (Date.now() < until) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(expiring.calls).toBe(3);
  });

  test.each<[string, readonly string[], readonly string[]]>([
    ['vendor', ['X-Connect-Vendor-ID: a'], ['X-Connect-Vendor-ID: b']],
    ['environment', ['X-Connect-Environment-ID: a'], ['X-Connect-Environment-ID: b']],
    ['marketplace', ['X-Connect-Marketplace-ID: a'], ['X-Connect-Marketplace-ID: b']],
    ['product', ['X-Connect-Product-ID: a'], ['X-Connect-Product-ID: b']],
    ['subscription', ['X-Connect-Subscription-ID: a'], ['X-Connect-Subscription-ID: b']],
    ['data', [`X-Connect-Context-Data: ${btoa('{"a":1}')}`], [`X-Connect-Context-Data: ${btoa('{"a":2}')}`]],
    // They are one there: nothing is escaped in what is hashed.
    [
      'texts that look like more than one field',
      ['X-Connect-Vendor-ID: a|product:b', 'X-Connect-Product-ID: c'],
      ['X-Connect-Vendor-ID: a', 'X-Connect-Product-ID: b|product:c'],
    ],
  ])('is for one context only: another %s, another credential', async (_, one, other) => {
    let given = 0;
    const scene = await contract({ plugin: { getCredentials: () => ({ headers: { 'X-Key': `key-${++given}` }, expiresAt: later() }) } });
    const keys: (string | undefined)[] = [];
    for (const lines of [one, other, one, other]) keys.push(echoed(await scene.call('/', { lines })).lines.find((line) => line.startsWith('X-Key')));
    expect(keys).toEqual(['X-Key: key-1', 'X-Key: key-2', 'X-Key: key-1', 'X-Key: key-2']);
  });

  test('is for whichever correlation id, and for data whose keys come in another order', async () => {
    const count = counted(() => ({ headers: { 'X-Key': SECRET }, expiresAt: later() }));
    const scene = await contract({ plugin: count.plugin });
    for (const [id, data] of [
      ['one', '{"a":1,"b":{"c":2,"d":3}}'],
      ['two', '{"b":{"d":3,"c":2},"a":1}'],
    ] as const) {
      await scene.call('/', { lines: [`Connect-Request-ID: ${id}`, `X-Connect-Context-Data: ${btoa(data)}`] });
    }
    expect(count.calls).toBe(1);
  });
});

describe('the slow path', () => {
  test('has the request as the plugin left it: headers set and removed, query and body changed, all of it signed', async () => {
    const scene = await contract({
      plugin: {
        async getCredentials(_context, request) {
          const body = Buffer.from(await request.body.bytes());
          request.headers.set('X-Signature', createHmac('sha256', SECRET).update(body).digest('hex'));
          request.headers.delete('X-Gone');
          request.url.searchParams.set('api_key', SECRET);
          request.body.replace(`${body.toString()}!`);
          return null;
        },
      },
    });
    const response = await scene.call('/sign?a=b', { method: 'POST', body: 'payload', lines: ['X-Gone: x', 'X-Stays: y'] });
    const told = echoed(response);
    expect(told).toMatchObject({ target: `/sign?a=b&api_key=${SECRET}`, length: 8 });
    expect(told.lines).toEqual(
      expect.arrayContaining(['X-Stays: y', 'Content-Length: 8', `X-Signature: ${createHmac('sha256', SECRET).update('payload').digest('hex')}`]),
    );
    expect(told.lines.join()).not.toContain('X-Gone');
    expect(await scene.log()).not.toContain(SECRET);
  });

  test('has no keeping: the plugin is asked for every request', async () => {
    const count = counted((_context, request) => {
      request.headers.set('X-Key', SECRET);
      return null;
    });
    const scene = await contract({ plugin: count.plugin });
    for (let i = 0; i < 3; i++) await scene.call('/');
    expect(count.calls).toBe(3);
  });

  test('hides what it added like what is injected, and what it gave beside a credential too, which is not hidden there', async () => {
    const scene = await contract({
      plugin: {
        getCredentials(context, request) {
          request.headers.set('X-Added', `${SECRET}-added`);
          return context.vendorId === 'both' ? { headers: { 'X-Key': `${SECRET}-key` }, expiresAt: later() } : null;
        },
      },
      script: async (request, socket) => {
        await request.body();
        const lines = request.lines.filter((line) => /^x-(added|key)/i.test(line));
        socket.write(reply(200, 'ok', [...lines, `X-Echo: ${lines.join()}`]));
      },
    });
    for (const name of ['both', 'one']) {
      const response = await scene.call('/', vendor(name));
      expect(response.status).toBe(200);
      expect(response.lines.join()).not.toContain(SECRET);
      expect(response.all('X-Added')).toEqual([]);
    }
  });
});

test('without a plugin everything is forwarded as it is', async () => {
  const scene = await contract();
  const { lines } = echoed(await scene.call('/', vendor('a')));
  expect(lines.map((line) => line.slice(0, line.indexOf(':')))).toEqual(['Host', 'Connect-Request-ID']);
});

test('the plugin may be a module that the file names', async () => {
  const directory = await temporaryDirectory();
  const module = join(directory, 'acme.mjs');
  await writeFile(module, `export default { getCredentials: (context) => ({ headers: { 'X-Key': context.vendorId }, expiresAt: ${later()} }) };\n`);
  const scene = await contract({ keys: { plugin: module } });
  expect(echoed(await scene.call('/', vendor('acme'))).lines).toContain('X-Key: acme');
});
