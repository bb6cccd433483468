import { afterEach, expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { type ServedControl, serveControl } from '../server/testing/served-control.test.support.js';

describeOnBoth('/namespaces', (databases) => {
  let control: ServedControl | undefined;
  afterEach(async () => control?.close());
  const served = async (): Promise<ServedControl> => {
    control = await serveControl(await databases.open());
    return control;
  };

  test('create, read, change and delete one', async () => {
    const { request, admin } = await served();
    const created = await request('POST', '/namespaces', {
      as: admin,
      body: { path: 'root.a', labels: { env: 'prod' }, annotations: { note: 'first' } },
    });
    expect(created).toMatchObject({ status: 201, body: { path: 'root.a', name: 'a', state: 'active', annotations: { note: 'first' } } });
    expect(created.body.labels).toMatchObject({ env: 'prod', 'apxy/ns/-/id': 'root.a' });
    expect(created.headers.get('location')).toBe('/namespaces/root.a');
    const read = await request('GET', '/namespaces/root.a', { as: admin });
    expect(read).toMatchObject({ status: 200, body: created.body });
    const etag = read.headers.get('etag') ?? '';
    const changed = await request('PATCH', '/namespaces/root.a', { as: admin, body: { labels: { env: 'dev' } }, headers: { 'if-match': etag } });
    expect(changed).toMatchObject({ status: 200, body: { labels: { env: 'dev' }, annotations: { note: 'first' } } });
    const late = await request('PATCH', '/namespaces/root.a', { as: admin, body: { labels: {} }, headers: { 'if-match': etag } });
    expect(late).toMatchObject({ status: 412, body: { code: 'precondition_failed' } });
    const deleting = await request('DELETE', '/namespaces/root.a', { as: admin });
    expect(deleting).toMatchObject({ status: 202, body: { path: 'root.a', total: 1, finished: false } });
    expect(deleting.headers.get('location')).toBe(`/namespace-deletions/${deleting.body.id}`);
    expect(await request('GET', '/namespaces/root.a', { as: admin })).toMatchObject({ body: { state: 'destroying' } });
  });

  test('a deletion shows how far it is, also when the namespace is gone, to whoever may read the namespace', async () => {
    const { request, admin, actor, plane } = await served();
    for (const path of ['root.a', 'root.a.b', 'root.ab']) await request('POST', '/namespaces', { as: admin, body: { path } });
    const reader = await actor('root', 'reader', [{ namespace: 'root.a', resources: ['namespaces'], verbs: ['get'] }]);
    const neighbour = await actor('root.ab', 'neighbour');
    const lister = await actor('root', 'lister', [{ namespace: 'root.**', resources: ['namespaces'], verbs: ['list', 'delete'] }]);
    const begun = await request('DELETE', '/namespaces/root.a', { as: admin });
    const path = begun.headers.get('location') ?? '';
    const expected = { id: begun.body.id, path: 'root.a', total: 2, destroyed: 0, finished: false, failures: 0, failure: null };
    expect(await request('GET', path, { as: reader })).toMatchObject({ status: 200, body: expected });
    const absent = await request('GET', '/namespace-deletions/nsd_none', { as: admin });
    expect(absent).toMatchObject({ status: 404, body: { code: 'namespace_not_found' } });
    for (const as of [neighbour, lister]) {
      const answer = await request('GET', path, { as });
      expect([answer.status, answer.body.code, answer.body.detail]).toEqual([404, absent.body.code, absent.body.detail]);
    }
    while ((await plane.namespaces.destroyNextBatch({ batchSize: 1 }))?.finished === false);
    expect(await request('GET', '/namespaces/root.a', { as: admin })).toMatchObject({ status: 404 });
    expect(await request('GET', path, { as: reader })).toMatchObject({ status: 200, body: { ...expected, destroyed: 2, finished: true } });
  });

  test('labels and annotations one by one', async () => {
    const { request, admin } = await served();
    await request('POST', '/namespaces', { as: admin, body: { path: 'root.a' } });
    expect(await request('PUT', '/namespaces/root.a/labels/example.com%2Fteam', { as: admin, body: { value: 'x' } })).toMatchObject({
      status: 200,
      body: { key: 'example.com/team', value: 'x' },
    });
    expect(await request('GET', '/namespaces/root.a/labels/example.com%2Fteam', { as: admin })).toMatchObject({ body: { value: 'x' } });
    expect(await request('PUT', '/namespaces/root.a/annotations/note', { as: admin, body: { value: 'two words' } })).toMatchObject({ status: 200 });
    expect((await request('GET', '/namespaces/root.a/annotations', { as: admin })).body).toEqual({ note: 'two words' });
    expect(await request('PUT', '/namespaces/root.a/labels/apxy%2Fns%2F-%2Fid', { as: admin, body: { value: 'x' } })).toMatchObject({
      status: 400,
      body: { code: 'label_invalid' },
    });
    expect(await request('DELETE', '/namespaces/root.a/labels/example.com%2Fteam', { as: admin })).toMatchObject({ status: 204, text: '' });
    expect(await request('DELETE', '/namespaces/root.a/labels/example.com%2Fteam', { as: admin })).toMatchObject({ status: 204 });
    expect(await request('GET', '/namespaces/root.a/labels/example.com%2Fteam', { as: admin })).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    });
  });

  test('a list shows what the caller may see, in pages', async () => {
    const { request, admin, actor } = await served();
    for (const path of ['root.a', 'root.a.b', 'root.ab', 'root.c', 'root.c.d']) await request('POST', '/namespaces', { as: admin, body: { path } });
    const paths = async (query: string, as = admin) =>
      (await request('GET', `/namespaces${query}`, { as })).body.items?.map(({ path }: { path: string }) => path);
    expect(await paths('')).toEqual(['root', 'root.a', 'root.a.b', 'root.ab', 'root.c', 'root.c.d']);
    expect(await paths('?namespace=root.a.**')).toEqual(['root.a', 'root.a.b']);
    expect(await paths('?children_of=root')).toEqual(['root.a', 'root.ab', 'root.c']);
    const limited = await actor('root', 'limited', [
      { namespace: 'root.a.**', resources: ['namespaces'], verbs: ['list'] },
      { namespace: 'root.**', resources: ['namespaces'], verbs: ['list'], resource_ids: ['root.c.d'] },
    ]);
    expect(await paths('', limited)).toEqual(['root.a', 'root.a.b', 'root.c.d']);
    const first = await request('GET', '/namespaces?limit=4', { as: admin });
    expect(first.body.items).toHaveLength(4);
    expect(await paths(`?cursor=${first.body.cursor}`)).toEqual(['root.c', 'root.c.d']);
    expect(await request('GET', `/namespaces?cursor=${first.body.cursor}x`, { as: admin })).toMatchObject({
      status: 400,
      body: { code: 'cursor_invalid' },
    });
  });

  test('the same idempotency key creates one namespace, and gets the same answer', async () => {
    const { request, admin } = await served();
    const create = (path: string) => request('POST', '/namespaces', { as: admin, body: { path }, headers: { 'idempotency-key': 'k1' } });
    const [first, second] = [await create('root.a'), await create('root.a')];
    expect(first.status).toBe(201);
    expect(second).toMatchObject({ status: 201, text: first.text });
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'));
    expect(await create('root.b')).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
  });
});
