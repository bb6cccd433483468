import { afterEach, describe, expect, test } from 'vitest';
import { cleanUp } from '../../packages/cli/src/command-line.test.support.js';
import { systemRequester } from '../../packages/control/src/actors/actors.js';
import { newKeyPair, openStage } from './stage.js';

afterEach(cleanUp);
const timeout = 240_000;

describe('namespaces', () => {
  test('are made, labelled, listed and shown', { timeout }, async () => {
    const { run, json } = await openStage();
    expect(await json('namespaces', 'create', 'root.team', '--label', 'tier=gold', '--annotation', 'note=a b=c')).toMatchObject({
      path: 'root.team',
      annotations: { note: 'a b=c' },
    });
    expect(await json('namespaces', 'label', 'root.team', 'env=prod', 'tier-')).toMatchObject({ env: 'prod' });
    const listed = await run('namespaces', 'list', '--children-of', 'root');
    expect(listed.stdout).toMatch(/^PATH +STATE +LABELS +CREATED\nroot\.team +active +env=prod +[0-9TZ:-]+\n$/);
    const shown = await json('namespaces', 'get', 'root.team');
    expect(Object.keys(shown.labels as object).filter((key) => !key.startsWith('apxy/'))).toEqual(['env']);
    const some = await run('namespaces', 'list', '--limit', '1', '-o', 'yaml');
    expect(some.stdout).toMatch(/^- path: root\n/);
    expect(some.stderr).toContain('There are more');
    const none = await run('namespaces', 'list', '--name', 'nowhere');
    expect(none).toMatchObject({ code: 0, stdout: '', stderr: 'There is no such namespace.\n' });
  });

  test('go only when it is confirmed, and with --watch until they are gone', { timeout }, async () => {
    const { run, json, control } = await openStage();
    await json('namespaces', 'create', 'root.team');
    await json('namespaces', 'create', 'root.team.below');
    const asked = await run('namespaces', 'delete', 'root.team');
    expect(asked.code).toBe(1);
    expect(asked.stderr).toContain('code: confirmation_required');
    expect(await json('namespaces', 'get', 'root.team')).toMatchObject({ state: 'active' });
    const worker = (async () => {
      while (
        (await control.plane.namespaces.list({ limit: 10, filter: { state: 'destroying' } }, [{ path: 'root', subtree: true }])).items.length === 0
      ) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      for (let progress = await control.plane.namespaces.destroyNextBatch(); progress !== undefined; ) {
        progress = await control.plane.namespaces.destroyNextBatch();
      }
    })();
    const watched = await run('namespaces', 'delete', 'root.team', '--yes', '--watch');
    await worker;
    expect(watched).toMatchObject({ code: 0, stdout: '' });
    expect(watched.stderr).toMatch(/of 2 gone\n[\s\S]*root\.team is gone\.\n$/);
    expect((await run('namespaces', 'get', 'root.team')).stderr).toContain('code: namespace_not_found');
  });
});

describe('actors', () => {
  test('are made, changed, given keys and deleted', { timeout }, async () => {
    const { run, json, place, opsId } = await openStage();
    const made = await json('actors', 'create', 'ada', '--permission', 'root.** actors get,list', '--label', 'team=a');
    expect(made).toMatchObject({
      namespace: 'root',
      external_id: 'ada',
      permissions: [{ namespace: 'root.**', resources: ['actors'], verbs: ['get', 'list'] }],
    });
    const rules = place.file('rules.yaml', '- { namespace: root, resources: [namespaces], verbs: [get] }\n');
    await json('actors', 'update', 'root/ada', '--permissions-file', rules);
    expect(await json('actors', 'get', made.id as string)).toMatchObject({ permissions: [{ namespace: 'root', verbs: ['get'] }] });
    expect((await run('actors', 'list', '-l', 'team=a')).stdout).toMatch(/^ID .*\nact_\S+ +root +ada +api +team=a /);

    const [first, second] = [newKeyPair(), newKeyPair()].map(({ publicPem }, index) => place.file(`${index}.pub`, publicPem)) as [string, string];
    await json('actors', 'add-key', 'ada', '--public-key', first, '--name', 'laptop');
    const added = await json('actors', 'rotate-key', 'ada', '--public-key', second, '--grace', '1h');
    const keys = await json('actors', 'keys', 'ada');
    expect(keys).toHaveLength(2);
    expect(keys.find(({ name }: { name: string }) => name === 'laptop').expires_at).toEqual(expect.any(String));
    expect((await run('actors', 'revoke-key', 'ada', added.id as string, '-y')).code).toBe(0);
    expect((await json('actors', 'keys', 'ada')).find(({ id }: { id: string }) => id === added.id).revoked_at).toEqual(expect.any(String));

    expect((await run('actors', 'delete', 'ada', '--yes')).stderr).toBe('The actor root/ada is gone.\n');
    const gone = await run('actors', 'get', 'root/ada');
    expect(gone.code).toBe(1);
    expect(gone.stderr).toMatch(/code: actor_not_found\n {2}request: req_\S+\n {2}hint: /);
    const events = (await json('audit', 'list', '--actor-id', opsId)) as { action: string }[];
    expect(events.map(({ action }) => action)).toEqual(expect.arrayContaining(['actors.create', 'actors.update', 'actors.delete']));
    expect((await run('audit', 'list', '--action', 'actors.delete')).stdout).toMatch(/^TIME .*\n.* actors\.delete +root /);
  });

  test('cannot be given more than one has, and the hint says so', { timeout }, async () => {
    const { run, control, place } = await openStage();
    const { plane } = control;
    const small = await plane.actors.create(
      { namespace: 'root', external_id: 'small', permissions: [{ namespace: 'root', resources: ['actors'], verbs: ['create'] }] },
      systemRequester,
    );
    const { privatePem, publicPem } = newKeyPair();
    await plane.actorKeys.add(small.id, { public_key: publicPem }, systemRequester);
    const key = place.file('small.pem', privatePem);
    const refused = await run('actors', 'create', 'big', '--permission', 'root.** * *', '--actor', 'small', '--private-key', key);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('code: grant_exceeds_granter');
  });

  test('what the command line says is checked before anybody is asked', { timeout }, async () => {
    const { run, control } = await openStage();
    const before = control.served.length;
    for (const [args, said] of [
      [['actors', 'create'], "missing required argument 'external-id'"],
      [['actors', 'create', 'a', '--permission', 'root'], 'NAMESPACE RESOURCES VERBS'],
      [['actors', 'create', 'a', '--label', 'x'], 'key=value'],
      [['actors', 'list', '--limit', '0'], 'A number from 1 on'],
      [['actors', 'lst'], 'Did you mean list?'],
      [['actors', 'add-key', 'a', '--public-key', '/nowhere'], 'code: value_file_invalid'],
    ] as const) {
      const { code, stderr } = await run(...args);
      expect(stderr).toContain(said);
      expect(code).toBe(1);
    }
    expect(control.served.length).toBe(before);
  });
});

describe('keys', () => {
  test('are made, assigned, rotated, re-encrypted and deleted', { timeout }, async () => {
    const { run, json, place, control } = await openStage();
    await json('namespaces', 'create', 'root.team');
    const made = await json('keys', 'create', 'main', '--namespace', 'root.team');
    expect(made).toMatchObject({ namespace: 'root.team', name: 'main', provider: 'random' });
    expect(await json('namespaces', 'set-key', 'root.team', 'root.team/main')).toEqual({ namespace: 'root.team', key_id: made.id });
    expect(await json('namespaces', 'key', 'root.team')).toMatchObject({ key_id: made.id });
    await json('keys', 'rotate', 'root.team/main');
    expect((await run('keys', 'versions', 'root.team/main')).stdout).toMatch(/^ID .*\nekv_\S+ +active .*\nekv_\S+ +retiring /);
    await json('keys', 'label', 'root.team/main', 'tier=gold');
    expect((await run('keys', 'list', '-l', 'tier=gold')).stdout).toMatch(/\nkey_\S+ +root\.team +main +active +random +tier=gold\n$/);
    const data = place.file('data.yaml', 'value: a-secret-that-nobody-may-see-here\n');
    const changed = await run('keys', 'update', 'root.team/main', '--data-file', data, '--state', 'disabled');
    expect(changed.stderr + changed.stdout).toMatch(/provider +value/);

    const inUse = await run('keys', 'delete', 'root.team/main', '--yes');
    expect(inUse.stderr).toContain('code: key_in_use');
    expect((await run('namespaces', 'unset-key', 'root.team')).code).toBe(0);
    expect((await run('keys', 'delete', 'root.team/main', '--yes')).code).toBe(0);
    expect((await run('keys', 'get', 'root.team/main')).stderr).toContain('code: key_not_found');

    const { task_id: task } = await json('keys', 'reencrypt');
    expect((await json('tasks', 'get', task as string)).state).toBe('pending');
    expect((await json('tasks', 'cancel', task as string, '--yes')).state).toBe('cancelled');
    expect((await run('tasks', 'get', task as string, '--watch')).code).toBe(1);
    expect((await json('tasks', 'retry', task as string)).state).toBe('pending');
    expect((await run('tasks', 'list', '--state', 'pending')).stdout).toContain(task);
    expect(await json('keys', 'reencrypt', '--status')).toEqual([]);
    expect(control.served.every(({ error }) => error === undefined)).toBe(true);
  });
});

describe('permissions and tokens', () => {
  test('explain says why, as a tree, and with its exit code', { timeout }, async () => {
    const { run, json } = await openStage();
    await json('actors', 'create', 'bot', '--permission', 'root.team.** actors get', '--permission', 'root namespaces list');
    const denied = await run('permissions', 'explain', 'get', 'actors', '--for', 'bot');
    expect(denied.code).toBe(1);
    expect(denied.stdout).toBe(
      [
        'get actors in root: denied',
        '└─ ✗ the actor: no entry allows it',
        '   ├─ ✗ root.team.**: get actors',
        '   │    namespace root is not in root.team.**',
        '   └─ ✗ root: list namespaces',
        '        resource actors is not among namespaces; verb get is not among list',
        '',
      ].join('\n'),
    );
    const allowed = await run('permissions', 'explain', 'get', 'actors', '--namespace', 'root.team.x', '--for', 'root/bot');
    expect(allowed.code).toBe(0);
    expect(allowed.stdout).toContain('get actors in root.team.x: allowed\n└─ ✓ the actor: entry 0 allows it');
  });

  test('a token is printed alone, and holds for what it is limited to', { timeout }, async () => {
    const { run, json, control } = await openStage();
    const { stdout, code } = await run('tokens', 'create', '--permission', 'root namespaces list', '--for', 'admin-api', '--expires-in', '5m');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const token = stdout.trim();
    expect((await control.request('GET', '/namespaces', { token })).status).toBe(200);
    expect((await control.request('GET', '/actors', { token })).status).toBe(403);
    expect(Object.keys((await json('tokens', 'create')) as object)).toEqual(['token', 'jti', 'expires_at']);
  });
});
