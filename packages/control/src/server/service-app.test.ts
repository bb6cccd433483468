import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { operation } from './operation.js';
import { type OwnService, serveOperations } from './testing/own-operations.test.support.js';
import { type ServedControl, serveControl, type TestActor } from './testing/served-control.test.support.js';

const common = { services: ['admin-api'], tag: 'own', summary: 'Of this test', access: 'authenticated' } as const;

interface Asked {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly item?: string;
  readonly query?: string;
}

describeOnBoth('a service', (databases) => {
  let control: ServedControl;
  let own: OwnService | undefined;
  afterEach(async () => {
    await own?.app.close();
    own = undefined;
    await control.close();
  });

  /** A service that counts: each order that is placed has the next number. */
  async function counting(): Promise<OwnService & { readonly order: (as: TestActor, key: string, asked?: Asked) => Promise<Response> }> {
    control = await serveControl(await databases.open());
    const { plane } = control;
    let placed = 0;
    const place = operation({
      ...{ ...common, name: 'placeOrder', method: 'POST', path: '/orders', status: 201, idempotencyKey: true },
      query: z.strictObject({ size: z.string().optional() }),
      body: z.strictObject({ item: z.string() }),
      result: z.object({ number: z.int(), item: z.string() }),
      handle: async ({ body: { item }, caller }) => {
        if (item === 'nothing') throw new Error('there is nothing');
        placed += 1;
        const number = placed;
        await plane.database.transaction((trx) =>
          plane.audit.record(trx, caller.by.context, {
            action: 'orders.create',
            resourceType: 'orders',
            resourceId: String(number),
            namespace: 'root',
          }),
        );
        return { body: { number, item }, version: number, headers: { location: `/orders/${number}` } };
      },
    });
    own = await serveOperations(control, [place]);
    const { url } = own;
    const order = async (as: TestActor, key: string, { claims = {}, item = 'tea', query = '' }: Asked = {}): Promise<Response> =>
      fetch(`${url}/orders${query}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${await as.token(claims)}`, 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify({ item }),
      });
    return { ...own, order };
  }

  const codeOf = async (answer: Response): Promise<unknown> => ((await answer.json()) as { code?: string }).code;

  test('does the same request once, and gives the same answer with the same fields', async () => {
    const { order } = await counting();
    const [first, second] = [await order(control.admin, 'k'), await order(control.admin, 'k')];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(await second.text()).toBe(await first.text());
    for (const name of ['etag', 'location', 'content-type']) expect(second.headers.get(name)).toBe(first.headers.get(name));
    expect(second.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
  });

  test('takes a key for another request to be a mistake: another body, query, method or path, and another width of the token', async () => {
    const { order } = await counting();
    expect((await order(control.admin, 'k')).status).toBe(201);
    const narrow = { permissions: [{ namespace: 'root', resources: ['orders'], verbs: ['create'] }] };
    for (const asked of [{ item: 'milk' }, { query: '?size=2' }, { claims: narrow }, { claims: { permissions: [] } }]) {
      const answer = await order(control.admin, 'k', asked);
      expect(answer.status).toBe(422);
      expect(await codeOf(answer)).toBe('idempotency_key_reused');
    }
    // Another token of the same width is the same caller.
    expect((await order(control.admin, 'k', { claims: { jti: 'another' } })).status).toBe(201);
  });

  test('keeps the keys of actors apart', async () => {
    const { order } = await counting();
    const other = await control.actor('root', 'other');
    const numbers = [await order(control.admin, 'k'), await order(other, 'k')].map((answer) => answer.json() as Promise<{ number: number }>);
    expect((await Promise.all(numbers)).map(({ number }) => number)).toEqual([1, 2]);
  });

  test('does it once when it is asked twice at the same time', async () => {
    const { order } = await counting();
    const answers = await Promise.all(Array.from({ length: 5 }, () => order(control.admin, 'k')));
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    const bodies = await Promise.all(answers.map((answer) => answer.text()));
    expect(new Set(bodies).size).toBe(1);
    const { items } = await control.plane.audit.list({ filter: { action: 'orders.create' } }, [{ path: 'root', subtree: true }]);
    expect(items).toHaveLength(1);
  });

  test('lets what has failed be tried again with the same key', async () => {
    const { order } = await counting();
    expect((await order(control.admin, 'k', { item: 'nothing' })).status).toBe(500);
    expect((await order(control.admin, 'k')).status).toBe(201);
  });

  test.each(['', 'a b', 'ä', 'k'.repeat(256)])('refuses %j as a key', async (key) => {
    const { url } = await counting();
    const answer = await fetch(`${url}/orders`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await control.admin.token()}`, 'content-type': 'application/json', 'idempotency-key': key },
      body: '{"item":"tea"}',
    });
    expect(answer.status).toBe(400);
    expect(await codeOf(answer)).toBe('idempotency_key_invalid');
  });

  test.each([
    ['the version', '"1"', 200],
    ['any', '*', 200],
    ['the version among others', '"7", "1"', 200],
    ['another version', '"7"', 412],
    ['a weak tag, which never matches', 'W/"1"', 412],
    ['a tag that is not ours', '"a.b"', 412],
    ['a tag with a comma, which none of ours has', '"a,b"', 400],
    ['a number without quotes', '1', 400],
    ['a tag without an end', '"1', 400],
    ['nothing', '', 400],
    ['any beside one', '*, "1"', 400],
  ])('heeds If-Match with %s', async (_, condition, status) => {
    control = await serveControl(await databases.open());
    const { request, admin } = control;
    await request('POST', '/namespaces', { as: admin, body: { path: 'root.a' } });
    const answer = await request('PATCH', '/namespaces/root.a', { as: admin, body: { labels: { a: 'b' } }, headers: { 'if-match': condition } });
    expect(answer.status).toBe(status);
    const { body } = await request('GET', '/namespaces/root.a', { as: admin });
    expect('a' in body.labels).toBe(status === 200);
  });

  test('says on every kind of answer what browsers have to know, and serves its document', async () => {
    control = await serveControl(await databases.open());
    const { request, admin } = control;
    const answers = [
      await request('GET', '/ping'),
      await request('GET', '/me', { as: admin }),
      await request('GET', '/openapi.json'),
      await request('POST', '/namespaces', { as: admin, body: { path: 'root.a' } }),
      await request('DELETE', '/namespaces/root.a', { as: admin }),
      await request('GET', '/me'),
      await request('GET', '/nothing'),
      await request('PUT', '/me'),
      await request('GET', '/actors/%ff', { as: admin }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 201, 202, 401, 404, 405, 400]);
    for (const { headers } of answers) {
      expect(headers.get('x-request-id')).toMatch(/^req_/);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
      expect(headers.get('strict-transport-security')).toBeNull();
    }
    expect(answers[2]?.body).toMatchObject({ openapi: '3.1.0', paths: { '/me': {} } });
  });
});
