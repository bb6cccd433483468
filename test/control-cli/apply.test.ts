import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { cleanUp } from '../../packages/cli/src/command-line.test.support.js';
import { newKeyPair, openStage, type Stage } from './stage.js';

afterEach(cleanUp);
const timeout = 240_000;

/** A directory to apply. */
function folderOf({ place }: Stage): { readonly path: string; write(name: string, text: string): void; remove(name: string): void } {
  const path = join(place.directory, 'access');
  mkdirSync(path);
  return {
    path,
    write(name, text) {
      mkdirSync(join(path, name, '..'), { recursive: true });
      writeFileSync(join(path, name), text);
    },
    remove: (name) => rmSync(join(path, name)),
  };
}

const team = `
kind: Actor
metadata: { namespace: root.team, name: ada, labels: { role: admin } }
spec:
  permissions:
    - { namespace: root.team.**, resources: [actors], verbs: [get, list] }
---
# Stands after what needs it: the order is found out.
apiVersion: sallyport/v1
kind: Namespace
metadata: { name: root.team, labels: { tier: gold } }
spec: { key: main }
`;
const key = (value: string): string =>
  JSON.stringify({ kind: 'Key', metadata: { namespace: 'root.team', name: 'main' }, spec: { key_data: { value } } });

describe('apply', () => {
  test('plans, applies, and has nothing to do the second time; a change is shown and made', { timeout }, async () => {
    const stage = await openStage();
    const { run, json, control } = stage;
    const folder = folderOf(stage);
    folder.write('team.yaml', team);
    folder.write('deep/key.json', key('the-first-secret-of-the-team'));
    folder.write('README.md', 'not a document');

    const planned = await run('apply', '-f', folder.path, '--plan');
    expect(planned.code).toBe(2);
    expect(
      planned.stdout
        .split('\n')
        .filter((line) => /^[+~-]/.test(line))
        .map((line) => line.replace(/ {2}\/.*/, '')),
    ).toEqual(['+ Namespace root.team', '+ Key root.team/main', '~ Namespace root.team', '+ Actor root.team/ada']);
    expect(planned.stdout).toContain('+ key: root.team/main');
    expect(planned.stdout).toMatch(/\+ key_data: \{"value":"\*{8}"\}/);
    expect(control.served.some(({ method }) => method !== 'GET')).toBe(false);

    const applied = await run('apply', '-f', folder.path, '--set', 'team-a');
    expect(applied).toMatchObject({ code: 0 });
    expect(applied.stdout + applied.stderr).not.toContain('first-secret');
    const again = await run('apply', '-f', folder.path, '--set', 'team-a', '--plan');
    expect(again).toMatchObject({ code: 0, stdout: 'Nothing to do: 3 as described.\n' });

    folder.write('team.yaml', team.replace('get, list', 'list, get, update').replace('tier: gold', 'tier: silver'));
    const changed = await run('apply', '-f', folder.path, '--dry-run', '-o', 'json');
    expect(changed.code).toBe(2);
    expect(JSON.parse(changed.stdout)).toMatchObject({
      steps: [
        { action: 'update', kind: 'Namespace', differences: [{ path: 'labels.tier', before: 'gold', after: 'silver' }] },
        { action: 'update', kind: 'Actor', differences: [{ path: 'permissions.0.verbs.2', after: 'update' }] },
      ],
      unchanged: 1,
    });
    expect((await run('apply', '-f', folder.path)).code).toBe(0);
    expect(await json('namespaces', 'get', 'root.team')).toMatchObject({ labels: { tier: 'silver', 'sallyport.io/applied-by': 'team-a' } });
    expect((await run('apply', '-f', folder.path, '--plan')).code).toBe(0);
  });

  test('a secret that is shown to whoever applies is compared, and never printed', { timeout }, async () => {
    const stage = await openStage();
    const folder = folderOf(stage);
    folder.write('all.yaml', `kind: Namespace\nmetadata: { name: root.team }\n---\n${key('the-first-secret-of-the-team')}\n`);
    expect((await stage.run('apply', '-f', folder.path)).code).toBe(0);
    folder.write('all.yaml', `kind: Namespace\nmetadata: { name: root.team }\n---\n${key('another-secret-of-the-team')}\n`);
    const planned = await stage.run('apply', '-f', folder.path, '--plan');
    expect(planned.code).toBe(2);
    expect(planned.stdout).toContain('~ key_data.value: ******** → ********');
    expect((await stage.run('apply', '-f', folder.path)).code).toBe(0);
    expect((await stage.run('apply', '-f', folder.path, '--plan')).code).toBe(0);
  });

  test('prune deletes what was applied with the same set and is gone, asks before, and leaves the rest', { timeout }, async () => {
    const stage = await openStage();
    const { run, json } = stage;
    const folder = folderOf(stage);
    folder.write('root.yaml', ['one', 'two'].map((name) => `kind: Actor\nmetadata: { name: ${name} }\n`).join('---\n'));
    folder.write('team.yaml', `${team.replace('spec: { key: main }', '')}---\nkind: Namespace\nmetadata: { name: root.team.below }\n`);
    expect((await run('apply', '-f', folder.path, '--set', 'team-a')).code).toBe(0);
    await json('actors', 'create', 'by-hand');
    folder.write('other.yaml', 'kind: Actor\nmetadata: { name: of-others }\n');
    expect((await run('apply', '-f', join(folder.path, 'other.yaml'), '--set', 'team-b')).code).toBe(0);

    expect((await run('apply', '-f', folder.path, '--prune')).stderr).toContain('--set');
    const taken = await run('apply', '-f', folder.path, '--set', 'team-a');
    expect(taken.stderr).toContain('code: manifest_conflict');
    folder.remove('other.yaml');
    folder.remove('team.yaml');
    folder.write('root.yaml', 'kind: Actor\nmetadata: { name: one }\n');
    const asked = await run('apply', '-f', folder.path, '--set', 'team-a', '--prune');
    expect(asked.code).toBe(1);
    expect(asked.stderr).toContain('code: confirmation_required');
    // What is in a namespace goes with it.
    expect(asked.stdout.split('\n').filter((line) => line.startsWith('-'))).toEqual([
      '- Actor root/two',
      '- Namespace root.team  with everything in it and below it',
    ]);
    expect((await run('apply', '-f', folder.path, '--set', 'team-a', '--prune', '--yes')).code).toBe(0);
    const left = (await json('actors', 'list', '--namespace', 'root')) as { external_id: string }[];
    expect(left.map(({ external_id: name }) => name).sort()).toEqual(['admin', 'by-hand', 'of-others', 'one', 'ops']);
    expect(await json('namespaces', 'get', 'root.team')).toMatchObject({ state: 'destroying' });
    folder.write('team.yaml', team);
    expect((await run('apply', '-f', folder.path)).stderr).toContain('is being deleted');
  });

  test('stops at the first step that fails, says what is done and what is not, and goes on from there', { timeout }, async () => {
    const stage = await openStage();
    const folder = folderOf(stage);
    const actor = (name: string, rest = ''): string => `kind: Actor\nmetadata: { name: ${name} }\n${rest}`;
    const broken = 'spec: { permissions: [{ namespace: "not a path", resources: [actors], verbs: [get] }] }\n';
    folder.write('a.yaml', [actor('first'), actor('second', broken), actor('third')].join('---\n'));
    const { code, stderr } = await stage.run('apply', '-f', folder.path);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^done \+ Actor root\/first\nfailed \+ Actor root\/second\nnot begun \+ Actor root\/third\n/);
    expect(stderr).toContain('code: permission_invalid');
    folder.write('a.yaml', [actor('first'), actor('second'), actor('third')].join('---\n'));
    expect((await stage.run('apply', '-f', folder.path)).stderr).toBe('done + Actor root/second\ndone + Actor root/third\n');
  });

  test('public keys are what is described: others are revoked', { timeout }, async () => {
    const stage = await openStage();
    const folder = folderOf(stage);
    const [old, next] = [newKeyPair().publicPem, newKeyPair().publicPem];
    const actor = (pem: string): string =>
      JSON.stringify({ kind: 'Actor', metadata: { name: 'bot' }, spec: { public_keys: [{ public_key: pem, name: 'bot' }] } });
    folder.write('bot.json', actor(old));
    expect((await stage.run('apply', '-f', folder.path)).code).toBe(0);
    folder.write('bot.json', actor(next));
    expect((await stage.run('apply', '-f', folder.path)).code).toBe(0);
    const keys = (await stage.json('actors', 'keys', 'bot')) as { revoked_at: string | null }[];
    expect(keys.filter(({ revoked_at: at }) => at === null)).toHaveLength(1);
    expect(keys).toHaveLength(2);
    folder.write('bot.json', actor(old));
    const again = await stage.run('apply', '-f', folder.path, '--plan');
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('never comes back');
    folder.write('bot.json', actor(next));
    expect((await stage.run('apply', '-f', folder.path, '--plan')).code).toBe(0);
  });
});

test('what is wrong with documents is named with its place, and nobody is asked: 1', { timeout }, async () => {
  const stage = await openStage();
  const folder = folderOf(stage);
  folder.write(
    'a.yaml',
    [
      'kind: Aktor\nmetadata: { name: x }',
      'kind: Actor\nmetadata:\n  nam: x\n  labels: { apxy/x: y }',
      'kind: Actor\nmetadata: { name: x }\nspec:\n  permisions: []\n  permissions: [{ namespace: root }]',
      'kind: Namespace\nmetadata: { name: rot.team }',
      'kind: Key\nmetadata: { name: k }\nspec: { key_data: { wert: 1 } }',
      'kind: Actor\nmetadata: { name: twice }',
      'kind: Actor\nmetadata: { name: twice }',
      'kind: Actor\nmetadata: { name: k }\nspec: { public_keys: [{ public_key: nonsense }] }',
      'kind: [',
    ].join('\n---\n'),
  );
  const before = stage.control.served.length;
  const { code, stderr, stdout } = await stage.run('apply', '-f', folder.path, '--plan');
  expect(code).toBe(1);
  expect(stdout).toBe('');
  const file = join(folder.path, 'a.yaml');
  for (const said of [
    `${file}:1:1  kind  is one of Namespace, Actor, Key, did you mean "Actor"?`,
    `${file}:6:3  metadata.nam  unknown key, did you mean "name"?`,
    `${file}:12:3  spec.permisions  unknown key, did you mean "permissions"?`,
    `${file}:13:17  spec.permissions.0.resources  is missing`,
    `${file}:16:13  metadata.name  is not the path of a namespace, such as root.team`,
    `${file}:20:9  spec.key_data  The key data is not valid.`,
    `${file}:25  Actor root/twice is at ${file}:22 already`,
    `${file}:30:25  spec.public_keys.0.public_key  `,
  ]) {
    expect(stderr).toContain(said);
  }
  expect(stderr).toMatch(/a\.yaml:3[23]:/);
  expect(stderr).not.toContain('metadata.name  is missing');
  expect(stage.control.served.length).toBe(before);
});

test('the schema is one of JSON', { timeout }, async () => {
  const { run } = await openStage();
  const { code, stdout } = await run('apply', '--schema');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema', oneOf: [{}, {}, {}] });
  expect((await run('apply')).stderr).toContain('-f');
});
