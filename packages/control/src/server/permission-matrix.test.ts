import { beforeAll, expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { controlDocument } from '../document.js';
import { nothing, type Permission, type Permissions } from '../permissions/permission.js';
import { migrateTaskEngine } from '../tasks/task-engine.js';
import { newSigner, sign } from '../tokens/tokens.test.support.js';
import type { ServiceName } from './operation.js';
import { type DocumentedOperation, documentedOperations } from './testing/permission-matrix.test.support.js';
import { expectedProblems, matrixFixtures, type Place } from './testing/permission-matrix-fixtures.test.support.js';
import { type ServedControl, serveControl, type TestActor, type TestAnswer } from './testing/served-control.test.support.js';

// The cases come from the document: an operation that is added is in the matrix.
const operations = documentedOperations(await controlDocument('0.0.0'));
const [TENANT, OTHER, LOOKALIKE] = ['root.tenanta', 'root.tenantb', 'root.tenantab'] as const;
const ALL: readonly ServiceName[] = ['public', 'api', 'admin-api', 'worker'];
const EVERYTHING: Permission = { namespace: 'root.**', resources: ['*'], verbs: ['*'] };

interface Shown {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function codeOf(answer: TestAnswer): unknown {
  return (answer.body as { readonly code?: string } | undefined)?.code;
}

describeOnBoth('the permission matrix', (databases) => {
  let control: ServedControl;
  let fixtures: ReturnType<typeof matrixFixtures>;
  const people = new Map<string, Promise<TestActor>>();

  beforeAll(async () => {
    const database = await databases.open();
    await migrateTaskEngine(database);
    const browser = { baseUrl: 'http://127.0.0.1:9' };
    control = await serveControl(database, { browsers: { public: browser, 'admin-api': browser } });
    fixtures = matrixFixtures(control, database);
    for (const path of [TENANT, OTHER, LOOKALIKE]) await control.request('POST', '/namespaces', { as: control.admin, body: { path } });
    return () => control.close();
  });

  /** Somebody who may do exactly this. */
  function whoMay(...permissions: readonly Permission[]): Promise<TestActor> {
    const key = JSON.stringify(permissions);
    const known = people.get(key) ?? control.actor('root', `person-${people.size}`, permissions);
    people.set(key, known);
    return known;
  }

  function ask(operation: DocumentedOperation, { path, query, body }: Place, { token, headers }: Shown): Promise<TestAnswer> {
    const service = operation.services.includes('admin-api') ? 'admin-api' : (operation.services[0] ?? 'api');
    const search = new URLSearchParams(query).toString();
    const asked = {
      ...(token === undefined ? {} : { token }),
      ...(headers === undefined ? {} : { headers }),
      ...(body === undefined ? {} : { body }),
    };
    return control.request(operation.method, search === '' ? path : `${path}?${search}`, asked, service);
  }

  async function newestEvent(): Promise<string | undefined> {
    const { items } = await control.plane.audit.list({ limit: 1 }, [{ path: 'root', subtree: true }]);
    return items[0]?.id;
  }

  /** The permission that the document says the operation needs, for what it concerns here. */
  function needed({ access }: DocumentedOperation, { namespace }: Place): Permission {
    if (typeof access === 'string') throw new Error('Only operations with a permission are asked this.');
    return { namespace, resources: [access.resource], verbs: [access.verb] };
  }

  /** People who hold something that is nearly what is needed. */
  async function nearMisses(operation: DocumentedOperation, place: Place): Promise<ReadonlyMap<string, Shown>> {
    const right = needed(operation, place);
    const by = async (permission: Permission): Promise<Shown> => ({ token: await (await whoMay(permission)).token() });
    const all = await whoMay(EVERYTHING);
    const narrowed = async (permissions: readonly Permission[]): Promise<Shown> => ({ token: await all.token({ permissions }) });
    const wrongVerb = right.verbs.includes('list') ? 'get' : 'list';
    return new Map([
      ['another namespace', await by({ ...right, namespace: `${OTHER}.**` })],
      ['a namespace with a name that begins alike', await by({ ...right, namespace: `${LOOKALIKE}.**` })],
      ['what is below alone', await by({ ...right, namespace: `${place.namespace === 'root' ? OTHER : place.namespace}.below.**` })],
      ['another resource', await by({ ...right, resources: ['connectors'] })],
      ['another verb', await by({ ...right, verbs: [wrongVerb] })],
      ['other ids', await by({ ...right, resource_ids: ['another_1', 'another_2'] })],
      ['methods of requests through a connection', await by({ ...right, methods: ['GET', 'POST'] })],
      ['a token that is limited to another verb', await narrowed([{ ...right, verbs: [wrongVerb] }])],
      ['a token that is limited to another namespace', await narrowed([{ ...right, namespace: `${OTHER}.**` }])],
      ['a token that is limited to nothing', await narrowed([])],
    ]);
  }

  /** What does not say who is asking. */
  async function nobodies({ services }: DocumentedOperation): Promise<ReadonlyMap<string, Shown>> {
    const now = Math.floor(Date.now() / 1000);
    const all = await whoMay(EVERYTHING);
    const claims = { iss: all.externalId, sub: all.externalId, namespace: all.namespace, aud: [...ALL], iat: now, exp: now + 300 };
    return new Map([
      ['garbage', { token: 'garbage' }],
      ['a token of another audience', { token: await all.token({ aud: ALL.filter((service) => !services.includes(service)) }) }],
      ['a token that has ended', { token: await all.token({ iat: now - 600, exp: now - 300 }) }],
      ['a token that somebody else has signed', { token: await sign(newSigner('ed25519'), claims) }],
      ['a token of an actor that is not there', { token: await all.token({ sub: 'nobody', iss: 'nobody' }) }],
    ]);
  }

  const isList = ({ access, pathParameters }: DocumentedOperation): boolean =>
    typeof access === 'object' && access.verb === 'list' && pathParameters.length === 0;

  /** Denied; a list may also show others than ours, and what names a thing may also not know of it. */
  function expectDenied(operation: DocumentedOperation, answer: TestAnswer, why: string): void {
    if (isList(operation) && answer.status === 200) expect({ why, shown: /.*tenanta\b.*/.exec(answer.text)?.[0] }).toEqual({ why });
    else {
      const denied = operation.pathParameters.length > 0 ? [403, 404] : [403];
      expect({ why, answer: answer.text, denied: denied.includes(answer.status) }).toMatchObject({ denied: true });
    }
  }

  function expectAllowed({ name, statuses }: DocumentedOperation, answer: TestAnswer): void {
    expect({ answer: answer.text, documented: statuses.includes(answer.status) }).toMatchObject({ documented: true });
    // A problem that is right is to be added to `expectedProblems`.
    if (answer.status >= 400) expect({ answer: answer.text, expected: expectedProblems[name] }).toMatchObject({ expected: codeOf(answer) });
  }

  test.each(operations)('$name is where the document says and nowhere else', async (operation) => {
    for (const service of ALL.filter((each) => !operation.services.includes(each))) {
      const path = operation.path.replaceAll(/[{}]/g, '');
      const answer = await control.request(operation.method, path, { as: control.admin }, service);
      // Another operation may be at this path there.
      expect([404, 405]).toContain(answer.status);
      expect(['not_found', 'method_not_allowed']).toContain(codeOf(answer));
    }
  });

  test.each(operations.filter(({ access }) => access !== 'anyone'))('$name is nothing for nobody', async (operation) => {
    const place = await fixtures.place(operation, TENANT);
    const shown = await nobodies(operation);
    const before = await newestEvent();
    for (const [why, by] of [['nothing', {}] as const, ...shown]) {
      const answer = await ask(operation, place, by);
      const told = answer.headers.get('www-authenticate')?.startsWith('Bearer');
      expect({ why, answer: answer.text, status: answer.status, told }).toMatchObject({ status: 401, told: true });
    }
    expect(await newestEvent()).toBe(before);
  });

  test.each(operations.filter(({ access }) => access === 'anyone'))('$name is for anyone, but for no bad token', async (operation) => {
    const place = await fixtures.place(operation, TENANT);
    const answer = await ask(operation, place, {});
    // To begin a session without a token is what 401 and the place to sign in are for.
    if (codeOf(answer) !== 'session_required') expect([401, 403]).not.toContain(answer.status);
    // What answers watchers looks at no token at all, and says so by not having 401.
    const watched = operation.name === 'ping' || operation.name === 'getHealth' || operation.name === 'getReadiness';
    for (const [why, by] of await nobodies(operation)) {
      const { status } = await ask(operation, place, by);
      expect({ why, status }).toEqual({ why, status: watched ? 200 : 401 });
    }
  });

  const withPermission = operations.filter(({ access }) => typeof access === 'object');

  test.each(withPermission)('$name is denied to those who hold something else, and nothing happens', async (operation) => {
    const place = await fixtures.place(operation, TENANT);
    const shown = await nearMisses(operation, place);
    const before = await newestEvent();
    for (const [why, by] of shown) {
      const answer = await ask(operation, place, by);
      expectDenied(operation, answer, why);
      if (operation.pathParameters.length === 0) continue;
      // Nobody learns from a refusal whether there is such a thing.
      const absent = await ask(operation, { ...place, path: place.absentPath }, by);
      expect([why, absent.status, codeOf(absent)]).toEqual([why, answer.status, codeOf(answer)]);
    }
    expect(await newestEvent()).toBe(before);
  });

  test.each(withPermission)('$name needs nothing but what the document says', async (operation) => {
    const place = await fixtures.place(operation, TENANT);
    const exact = await whoMay(needed(operation, place));
    expectAllowed(operation, await ask(operation, place, { token: await exact.token() }));
    const again = await fixtures.place(operation, TENANT);
    const all = await whoMay(EVERYTHING);
    expectAllowed(operation, await ask(operation, again, { token: await all.token({ permissions: [needed(operation, again)] }) }));
    if (place.id === undefined) return;
    const single = await fixtures.place(operation, TENANT);
    const one = await control.actor('root', `single-${operation.name}`, [{ ...needed(operation, single), resource_ids: [single.id ?? ''] }]);
    expectAllowed(operation, await ask(operation, single, { token: await one.token() }));
  });

  test.each(operations.filter(({ access }) => access === 'authenticated'))('$name is for everybody who is known', async (operation) => {
    const place = await fixtures.place(operation, TENANT);
    const stranger = await whoMay();
    expectAllowed(operation, await ask(operation, place, { token: await stranger.token() }));
  });

  /** What a browser sends whose person is signed in, with and without the XSRF token. */
  async function signedIn(person: TestActor, restriction?: Permissions): Promise<{ readonly plain: Shown; readonly proven: Shown }> {
    const { plane } = control;
    const actor = await plane.actors.find(person.namespace, person.externalId);
    const cookie = plane.browsers.get('admin-api')?.cookie;
    if (actor === undefined || cookie === undefined) throw new Error('Nobody can be signed in here.');
    const opened = await plane.sessions.open({ actor, restriction, service: 'admin-api', signedInBy: 'token' });
    const field = cookie.write(opened.cookie.reveal(), 60_000).split(';')[0] ?? '';
    return {
      plain: { headers: { cookie: field } },
      proven: { headers: { cookie: field, 'x-xsrf-token': opened.xsrf.token.reveal() } },
    };
  }

  const forSessions = withPermission.filter(({ services }) => services.includes('admin-api'));

  test.each(forSessions)('$name in a session: as its actor may and the session allows, and only from our own pages', async (operation) => {
    const place = await fixtures.place(operation, TENANT);
    const right = needed(operation, place);
    const person = await control.actor('root', `signed-in-${operation.name}`, [right]);
    const wrong = await signedIn(await whoMay({ ...right, verbs: ['nothing'] }));
    const limited = await signedIn(person, nothing);
    const good = await signedIn(person);
    const before = await newestEvent();
    expectDenied(operation, await ask(operation, place, wrong.proven), 'another verb');
    expectDenied(operation, await ask(operation, place, limited.proven), 'a session that is limited to nothing');
    const plain = operation.method === 'GET' || operation.withoutXsrf;
    if (!plain) {
      const foreign = await ask(operation, place, good.plain);
      expect(foreign).toMatchObject({ status: 403, body: { code: 'xsrf_token_missing' } });
      const stolen = { headers: { ...good.plain.headers, 'x-xsrf-token': wrong.proven.headers?.['x-xsrf-token'] ?? '' } };
      expect(await ask(operation, place, stolen)).toMatchObject({ status: 403, body: { code: 'xsrf_token_invalid' } });
    }
    expect(await newestEvent()).toBe(before);
    expectAllowed(operation, await ask(operation, place, plain ? good.plain : good.proven));
  });

  test.each(operations.filter(isList))('$name shows each tenant its own and nothing of the other', async (operation) => {
    for (const tenant of [TENANT, OTHER]) await fixtures.fill(operation, tenant);
    const names = { [TENANT]: 'tenanta', [OTHER]: 'tenantb' } as const;
    const cursors: string[] = [];
    for (const [tenant, foreign] of [[TENANT, OTHER] as const, [OTHER, TENANT] as const]) {
      const person = await whoMay({ ...EVERYTHING, namespace: `${tenant}.**` });
      const token = await person.token();
      const place = await fixtures.place(operation, tenant);
      const own = new RegExp(`${names[tenant]}\\b`);
      const others = new RegExp(`${names[foreign]}\\b|${LOOKALIKE}`);
      const page = await ask(operation, { ...place, query: {} }, { token });
      expect(page.status).toBe(200);
      // If it showed nothing, what follows would prove nothing.
      expect(page.text).toMatch(own);
      expect(page.text).not.toMatch(others);
      const first = await ask(operation, { ...place, query: { limit: '1' } }, { token });
      const theirs = [foreign, `${foreign}.**`].map((namespace) => ({ namespace }));
      for (const query of [...theirs, { namespace: 'root.**' }, { limit: '1000' }, ...cursors.map((cursor) => ({ cursor }))]) {
        const answer = await ask(operation, { ...place, query }, { token });
        expect([200, 403]).toContain(answer.status);
        if (answer.status === 200) expect(answer.text).not.toMatch(others);
      }
      if (typeof first.body.cursor === 'string') cursors.push(first.body.cursor);
    }
  });
});
