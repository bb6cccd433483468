import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { type ServedControl, serveControl } from '../server/testing/served-control.test.support.js';

const MASK = '********';

describeOnBoth('/keys', (databases) => {
  let control: ServedControl | undefined;
  afterEach(async () => {
    await control?.close();
    control = undefined;
  });
  async function served(options: Parameters<typeof serveControl>[1] = {}): Promise<ServedControl> {
    control = await serveControl(await databases.open(), options);
    for (const path of ['root.a', 'root.a.b', 'root.ab']) await control.request('POST', '/namespaces', { as: control.admin, body: { path } });
    return control;
  }
  const random = { random: true };

  test('create, read, change and delete one', async () => {
    const { request, admin } = await served();
    const body = {
      namespace: 'root.a',
      name: 'main',
      key_data: { value: 'material of the tenant' },
      labels: { env: 'prod' },
      annotations: { note: 'x' },
    };
    const created = await request('POST', '/keys', { as: admin, body });
    const { key_data, ...shown } = body;
    expect(created).toMatchObject({
      status: 201,
      body: { ...shown, state: 'active', provider: 'value', labels: { env: 'prod', 'apxy/key/-/name': 'main' } },
    });
    const { id } = created.body;
    expect(created.headers.get('location')).toBe(`/keys/${id}`);
    const read = await request('GET', `/keys/${id}`, { as: admin });
    expect(read).toMatchObject({ status: 200, body: { ...created.body, key_data } });
    expect(read.text).not.toContain('ekv_');
    const etag = read.headers.get('etag') ?? '';
    const headers = { 'if-match': etag };
    const changed = await request('PATCH', `/keys/${id}`, { as: admin, body: { name: null, state: 'disabled', labels: {} }, headers });
    expect(changed).toMatchObject({ status: 200, body: { name: null, state: 'disabled', key_data: body.key_data, annotations: { note: 'x' } } });
    expect(changed.headers.get('etag')).not.toBe(etag);
    for (const method of ['PATCH', 'DELETE']) {
      const late = await request(method, `/keys/${id}`, { as: admin, ...(method === 'PATCH' ? { body: {} } : {}), headers });
      expect(late).toMatchObject({ status: 412, body: { code: 'precondition_failed' } });
    }
    const replaced = await request('PATCH', `/keys/${id}`, { as: admin, body: { key_data: { random: true, num_bytes: 24 } } });
    expect(replaced).toMatchObject({ status: 200, body: { provider: 'random', key_data: { random: true, num_bytes: 24 } } });
    expect(await request('DELETE', `/keys/${id}`, { as: admin })).toMatchObject({ status: 204, text: '' });
    expect(await request('GET', `/keys/${id}`, { as: admin })).toMatchObject({ status: 404, body: { code: 'key_not_found' } });
    expect(await request('DELETE', `/keys/${id}`, { as: admin })).toMatchObject({ status: 404, body: { code: 'key_not_found' } });
  });

  test('the same idempotency key makes one key, and a name is taken once', async () => {
    const { request, admin } = await served();
    const make = (headers: Record<string, string>) =>
      request('POST', '/keys', { as: admin, body: { namespace: 'root.a', name: 'main', key_data: random }, headers });
    const [first, second] = [await make({ 'idempotency-key': 'k1' }), await make({ 'idempotency-key': 'k1' })];
    expect(first.status).toBe(201);
    expect(second).toMatchObject({ status: 201, text: first.text });
    expect(await make({})).toMatchObject({ status: 409, body: { code: 'key_exists' } });
  });

  test('the answer that is kept for the same idempotency key shows nothing of what was shredded', async () => {
    const { request, admin, plane } = await served();
    const make = () => {
      const body = { namespace: 'root.a', key_data: { value: 'material of the tenant' } };
      return request('POST', '/keys', { as: admin, body, headers: { 'idempotency-key': 'k1' } });
    };
    const made = await make();
    expect(made.status).toBe(201);
    expect((await request('GET', `/keys/${made.body.id}`, { as: admin })).body.key_data).toEqual({ value: 'material of the tenant' });
    await request('DELETE', '/namespaces/root.a', { as: admin });
    while ((await plane.namespaces.destroyNextBatch())?.finished === false);
    const again = await make();
    expect(again).toMatchObject({ status: 201, text: made.text });
    expect(again.text).not.toContain('material');
    expect(again.text).not.toContain('key_data');
  });

  test('secrets in the data are masked unless the caller may replay secrets there, and no list has any', async () => {
    const { request, admin, actor } = await served();
    const secrets = { value: 'material of the tenant' };
    const { id } = (await request('POST', '/keys', { as: admin, body: { namespace: 'root.a', key_data: secrets } })).body;
    const manager = await actor('root', 'manager', [{ namespace: 'root.**', resources: ['keys'], verbs: ['*'] }]);
    const elsewhere = await actor('root', 'elsewhere', [
      { namespace: 'root.**', resources: ['keys'], verbs: ['*'] },
      { namespace: 'root.ab.**', resources: ['secrets'], verbs: ['replay'] },
    ]);
    for (const as of [manager, elsewhere]) {
      const read = await request('GET', `/keys/${id}`, { as });
      expect(read.body.key_data).toEqual({ value: MASK });
      expect(read.headers.get('x-sallyport-data-redacted')).toBe('true');
      const changed = await request('PATCH', `/keys/${id}`, { as, body: { key_data: { value: 'another material of it' } } });
      expect(changed).toMatchObject({ status: 200, body: { key_data: { value: MASK } } });
      const made = await request('POST', '/keys', { as, body: { namespace: 'root.a', key_data: secrets } });
      expect(made.status).toBe(201);
      expect(`${read.text}${changed.text}${made.text}`).not.toContain('material');
    }
    const listed = await request('GET', '/keys', { as: admin });
    expect(listed.body.items.length).toBeGreaterThan(1);
    expect(listed.text).not.toContain('key_data');
    expect(listed.text).not.toContain('material');
    const global = await request('GET', '/keys/key_global', { as: admin });
    expect(global).toMatchObject({ status: 200, body: { id: 'key_global', provider: 'value' } });
    expect(global.text).not.toContain('key_data');
  });

  test('a masked value that is sent back is refused', async () => {
    const { request, admin } = await served();
    const refused = { status: 400, body: { code: 'redacted_value_refused' } };
    const { id } = (await request('POST', '/keys', { as: admin, body: { namespace: 'root.a', key_data: random } })).body;
    const vault = { vault_address: 'https://vault.example', vault_token: MASK, vault_path: 'p' };
    const aws = {
      aws_kms_key_id: 'alias/x',
      aws_credentials: { type: 'access_key', access_key_id: 'A', secret_access_key: 'x', session_token: MASK },
    };
    for (const key_data of [{ value: MASK }, { base64: MASK }, vault, aws, { gcp_secret_name: 'x', gcp_credentials_json: MASK }]) {
      expect(await request('PATCH', `/keys/${id}`, { as: admin, body: { key_data } })).toMatchObject(refused);
      expect(await request('POST', '/keys', { as: admin, body: { namespace: 'root.a', key_data } })).toMatchObject(refused);
    }
    expect((await request('GET', `/keys/${id}`, { as: admin })).body.provider).toBe('random');
  });

  test('a tenant cannot have the server read its own variables, files and cloud credentials, or call an address', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-keys-'));
    try {
      const path = join(folder, 'key');
      writeFileSync(path, 'sixteen bytes of the server');
      const { request, actor } = await served({ env: { SERVER_SECRET: 'sixteen bytes of the server' } });
      const tenant = await actor('root.a', 'tenant');
      const made = await request('POST', '/keys', { as: tenant, body: { namespace: 'root.a', key_data: random } });
      const pointing = [
        { env_var: 'SERVER_SECRET' },
        { env_var_base64: 'SERVER_SECRET' },
        { path },
        { vault_address: 'http://127.0.0.1:8200', vault_token: 't', vault_path: 'p' },
        { vault_address: 'http://169.254.169.254', vault_token: 't', vault_transit_key_name: 'k' },
        { aws_kms_key_id: 'alias/x', aws_region: 'eu-central-1' },
        { aws_secret_id: 'x', aws_region: 'eu-central-1', aws_credentials: { type: 'implicit' } },
        { gcp_project: 'p', gcp_secret_name: 's' },
        { gcp_project: 'p', gcp_secret_name: 's', gcp_credentials_file: path },
      ];
      for (const key_data of pointing) {
        const answers = [
          await request('POST', '/keys', { as: tenant, body: { namespace: 'root.a', key_data } }),
          await request('PATCH', `/keys/${made.body.id}`, { as: tenant, body: { key_data } }),
        ];
        for (const answer of answers) expect([key_data, answer.status, answer.body.code]).toEqual([key_data, 403, 'key_provider_forbidden']);
      }
      expect((await request('GET', `/keys/${made.body.id}`, { as: tenant })).body.provider).toBe('random');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('deleting a key in use is refused, with what uses it', async () => {
    const { request, admin } = await served();
    const make = async (namespace: string) => (await request('POST', '/keys', { as: admin, body: { namespace, key_data: random } })).body.id;
    const id = await make('root.a');
    await request('PUT', '/namespaces/root.a/key', { as: admin, body: { key_id: id } });
    expect(await request('DELETE', `/keys/${id}`, { as: admin })).toMatchObject({ status: 409, body: { code: 'key_in_use', namespace: 'root.a' } });
    const below = await make('root.a.b');
    await request('DELETE', '/namespaces/root.a/key', { as: admin });
    expect(await request('DELETE', `/keys/${id}`, { as: admin })).toMatchObject({
      status: 409,
      body: { code: 'key_in_use', table: 'encryption_keys', column: 'key_data' },
    });
    expect(await request('GET', `/keys/${below}`, { as: admin })).toMatchObject({ status: 200, body: { key_data: random } });
    expect(await request('DELETE', '/keys/key_global', { as: admin })).toMatchObject({ status: 400, body: { code: 'key_global' } });
    expect(await request('PATCH', '/keys/key_global', { as: admin, body: { state: 'disabled' } })).toMatchObject({ body: { code: 'key_global' } });
  });

  test('what the caller may not read does not exist, and what it may not change is denied', async () => {
    const { request, admin, actor } = await served();
    const make = async (namespace: string) => (await request('POST', '/keys', { as: admin, body: { namespace, key_data: random } })).body.id;
    const [a, other] = [await make('root.a'), await make('root.ab')];
    const tenant = await actor('root.a', 'tenant');
    const single = await actor('root', 'single', [{ namespace: 'root.**', resources: ['keys'], verbs: ['get', 'list'], resource_ids: [other] }]);
    const calls = [
      ['GET', '', undefined],
      ['PATCH', '', { state: 'disabled' }],
      ['DELETE', '', undefined],
      ['GET', '/versions', undefined],
      ['POST', '/_rotate', undefined],
      ['GET', '/labels', undefined],
      ['PUT', '/labels/env', { value: 'x' }],
      ['DELETE', '/annotations/note', undefined],
    ] as const;
    for (const [method, path, body] of calls) {
      const none = await request(method, `/keys/key_none${path}`, { as: tenant, body });
      for (const id of [other, 'key_global']) {
        const answer = await request(method, `/keys/${id}${path}`, { as: tenant, body });
        expect([method, path, answer.status, answer.body.code]).toEqual([method, path, 404, 'key_not_found']);
        expect(answer.body.detail).toBe(none.body.detail);
      }
      const allowed = method === 'GET';
      const answer = await request(method, `/keys/${other}${path}`, { as: single, body });
      expect([method, path, answer.status]).toEqual([method, path, allowed ? 200 : 403]);
    }
    expect((await request('GET', `/keys/${other}`, { as: admin })).body).toMatchObject({
      state: 'active',
      labels: expect.not.objectContaining({ env: 'x' }),
    });
    const ids = async (query: string, as = tenant) =>
      (await request('GET', `/keys${query}`, { as })).body.items?.map((key: { id: string }) => key.id);
    expect(await ids('')).toEqual([a]);
    expect(await ids('', single)).toEqual([other]);
    expect(await ids('?namespace=root.**')).toEqual([a]);
    for (const query of ['?namespace=root.ab', '?namespace=root']) {
      expect(await request('GET', `/keys${query}`, { as: tenant })).toMatchObject({ status: 403, body: { code: 'permission_denied' } });
    }
    expect(await request('GET', '/keys?namespace=root.a%25', { as: tenant })).toMatchObject({
      status: 400,
      body: { code: 'namespace_path_invalid' },
    });
    for (const namespace of ['root', 'root.ab', 'root.a.**']) {
      const answer = await request('POST', '/keys', { as: tenant, body: { namespace, key_data: random } });
      expect(answer).toMatchObject({ status: 403, body: { code: 'permission_denied' } });
    }
    expect(await request('POST', '/keys', { as: tenant, body: { namespace: 'root.a.none', key_data: random } })).toMatchObject({ status: 404 });
    expect((await request('GET', '/keys', { as: admin }, 'api')).status).toBe(404);
  });

  test('the list in pages, by filter and by label', async () => {
    const { request, admin } = await served();
    for (const [index, namespace] of ['root.a', 'root.a.b', 'root.ab'].entries()) {
      const labels = { env: index === 1 ? 'prod' : 'dev' };
      await request('POST', '/keys', { as: admin, body: { namespace, name: `key${index}`, key_data: random, labels } });
    }
    const list = async (query: string) => request('GET', `/keys${query}`, { as: admin });
    const names = async (query: string) => (await list(query)).body.items?.map(({ name }: { name: string | null }) => name);
    expect(await names('')).toEqual([null, 'key0', 'key1', 'key2']);
    expect(await names('?label_selector=env%3Dprod')).toEqual(['key1']);
    expect(await names('?name=key2')).toEqual(['key2']);
    expect(await names('?state=disabled')).toEqual([]);
    expect(await names('?namespace=root.a.**&order_by=updated_at%20DESC')).toEqual(['key1', 'key0']);
    const first = await list('?limit=2');
    expect(await names(`?cursor=${first.body.cursor}`)).toEqual(['key1', 'key2']);
    expect(await list('?order_by=key_data')).toMatchObject({ status: 400, body: { code: 'list_order_invalid' } });
  });

  test('labels and annotations one by one', async () => {
    const { request, admin } = await served();
    const { id } = (await request('POST', '/keys', { as: admin, body: { namespace: 'root.a', key_data: random } })).body;
    expect(await request('PUT', `/keys/${id}/labels/env`, { as: admin, body: { value: 'prod' } })).toMatchObject({ status: 200 });
    expect((await request('GET', `/keys/${id}/labels`, { as: admin })).body).toMatchObject({ env: 'prod', 'apxy/key/-/id': id });
    expect(await request('PUT', `/keys/${id}/annotations/note`, { as: admin, body: { value: 'two words' } })).toMatchObject({ status: 200 });
    expect(await request('DELETE', `/keys/${id}/labels/env`, { as: admin })).toMatchObject({ status: 204 });
    expect(await request('GET', `/keys/${id}`, { as: admin })).toMatchObject({ body: { annotations: { note: 'two words' } } });
    expect(await request('PUT', '/keys/key_global/labels/env', { as: admin, body: { value: 'x' } })).toMatchObject({ body: { code: 'key_global' } });
  });

  test('rotating makes a new active version', async () => {
    const { request, admin } = await served();
    const { id } = (await request('POST', '/keys', { as: admin, body: { namespace: 'root.a', key_data: random } })).body;
    const headers = { 'idempotency-key': 'once' };
    const rotated = await request('POST', `/keys/${id}/_rotate`, { as: admin, headers });
    expect(rotated).toMatchObject({ status: 200, body: { state: 'active', messages: 0, destroyed: false } });
    expect((await request('POST', `/keys/${id}/_rotate`, { as: admin, headers })).text).toBe(rotated.text);
    const { body } = await request('GET', `/keys/${id}/versions`, { as: admin });
    expect(body.items.map(({ state }: { state: string }) => state)).toEqual(['active', 'retiring']);
    expect(body.items[0].id).toBe(rotated.body.id);
    expect(JSON.stringify(body)).not.toContain('wrapped');
    const page = await request('GET', `/keys/${id}/versions?limit=1`, { as: admin });
    expect((await request('GET', `/keys/${id}/versions?cursor=${page.body.cursor}`, { as: admin })).body.items).toEqual([body.items[1]]);
    expect(await request('POST', `/keys/${id}/_rotate`, { as: admin, headers: { 'if-match': '"1"' } })).toMatchObject({ status: 412 });
  });

  test('the key of a namespace is set by those who may change the namespace and read the key', async () => {
    const { request, admin, actor } = await served();
    const make = async (namespace: string) => (await request('POST', '/keys', { as: admin, body: { namespace, key_data: random } })).body.id;
    const [top, a, ab] = [await make('root'), await make('root.a'), await make('root.ab')];
    const key = (method: string, as = admin, key_id?: string, path = 'root.a') =>
      request(method, `/namespaces/${path}/key`, { as, ...(key_id === undefined ? {} : { body: { key_id } }) });
    expect(await key('GET')).toMatchObject({ status: 404, body: { code: 'key_not_found' } });
    expect(await key('PUT', admin, a)).toMatchObject({ status: 200, body: { namespace: 'root.a', key_id: a } });
    expect(await key('GET')).toMatchObject({ status: 200, body: { key_id: a } });
    expect(await key('PUT', admin, ab)).toMatchObject({ status: 400, body: { code: 'key_out_of_reach' } });
    expect(await key('PUT', admin, a, 'root.none')).toMatchObject({ status: 404, body: { code: 'namespace_not_found' } });
    const tenant = await actor('root.a', 'tenant');
    expect(await key('PUT', tenant, top)).toMatchObject({ status: 404, body: { code: 'key_not_found' } });
    expect(await key('PUT', tenant, a, 'root.ab')).toMatchObject({ status: 403, body: { code: 'permission_denied' } });
    expect(await key('PUT', tenant, a, 'root.a.b')).toMatchObject({ status: 200 });
    await key('PUT', admin, top);
    for (const method of ['GET', 'DELETE']) expect(await key(method, tenant)).toMatchObject({ status: 404, body: { code: 'key_not_found' } });
    const keysOnly = await actor('root.a', 'keys-only', [{ namespace: 'root.a.**', resources: ['keys'], verbs: ['*'] }]);
    for (const method of ['GET', 'DELETE']) expect((await key(method, keysOnly, undefined, 'root.a.b')).status).toBe(403);
    expect((await key('PUT', keysOnly, a)).status).toBe(403);
    expect((await key('GET')).body.key_id).toBe(top);
    for (const _ of [1, 2]) expect(await key('DELETE')).toMatchObject({ status: 204, text: '' });
    expect((await key('GET')).status).toBe(404);
  });

  test('a key whose data cannot be opened is shown without it, and says why', async () => {
    const { request, admin, plane } = await served();
    const make = async () =>
      (await request('POST', '/keys', { as: admin, body: { namespace: 'root.a', key_data: { value: 'material of the tenant' } } })).body.id;
    const [id, other] = [await make(), await make()];
    await sql`update encryption_keys set key_data = (select key_data from encryption_keys where id = ${other}) where id = ${id}`.execute(
      plane.database.db,
    );
    const read = await request('GET', `/keys/${id}`, { as: admin });
    expect(read).toMatchObject({ status: 200, body: { id, provider: 'value', key_data_error: 'ciphertext_invalid' } });
    expect(read.body).not.toHaveProperty('key_data');
    expect(await request('PATCH', `/keys/${id}`, { as: admin, body: { state: 'disabled' } })).toMatchObject({
      status: 200,
      body: { state: 'disabled' },
    });
  });
});
