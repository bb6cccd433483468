import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { manifestSchema, nameOf } from './manifest.js';
import { parseManifests, readManifests } from './read-manifests.js';

describe('a text', () => {
  test('of any kind gives documents or says what is wrong, with its place', async () => {
    const document = fc.record(
      { kind: fc.constantFrom('Actor', 'Namespace', 'Key', 'actor', 3), metadata: fc.anything(), spec: fc.anything() },
      { requiredKeys: [] },
    );
    const texts = fc.oneof(
      fc.string(),
      fc
        .array(fc.constantFrom('kind: Actor', 'metadata: ', '  name: x', '---', '- ', '&a', '*a', '{', '[', '"', '\t', '<<: *a', '? ', ': '))
        .map((lines) => lines.join('\n')),
      document.filter(canBeWritten).map((value) => stringify(value)),
    );
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const problems: string[] = [];
        const manifests = await parseManifests(text, 'x.yaml', problems);
        for (const problem of problems) expect(problem).toMatch(/^ {2}x\.yaml:[0-9]+:[0-9]+ {2}./);
        for (const manifest of manifests) expect(nameOf(manifest)).not.toBe('');
      }),
    );
  });

  test('comes back as it was written', async () => {
    const problems: string[] = [];
    const text = '# nothing yet\n---\nkind: Actor\nmetadata: { name: ada }\n---\n\n---\nkind: Namespace\nmetadata: { name: root.a }\n';
    const manifests = await parseManifests(text, 'x.yaml', problems);
    expect(problems).toEqual([]);
    expect(manifests.map((manifest) => [manifest.kind, nameOf(manifest), manifest.place.line])).toEqual([
      ['Actor', 'root/ada', 3],
      ['Namespace', 'root.a', 8],
    ]);
  });

  test('does not become larger than it is', async () => {
    const problems: string[] = [];
    const bomb = `a: &a [x, x, x, x, x, x, x, x, x, x]\n${['b', 'c', 'd', 'e'].map((name, index) => `${name}: &${name} [${Array.from({ length: 10 }, () => `*${'abcd'[index]}`).join(', ')}]`).join('\n')}\n`;
    await parseManifests(bomb, 'x.yaml', problems);
    expect(problems.join()).toContain('alias');
  });
});

describe('files', () => {
  test('are found in directories, hidden ones and links in circles left out', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-manifests-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    mkdirSync(join(folder, 'b/.git'), { recursive: true });
    const write = (name: string, actor: string): void => writeFileSync(join(folder, name), `kind: Actor\nmetadata: { name: ${actor} }\n`);
    write('b/two.yml', 'two');
    write('one.yaml', 'one');
    write('b/.git/config.yaml', 'hidden');
    write('notes.txt', 'text');
    symlinkSync(folder, join(folder, 'b/round'));
    symlinkSync(join(folder, 'notes.txt'), join(folder, 'zlink.json'));
    expect((await readManifests([folder])).map(nameOf)).toEqual(['root/two', 'root/one', 'root/text']);
    await expect(readManifests([join(folder, 'nowhere')])).rejects.toMatchObject({ code: 'value_file_invalid' });
  });
});

test('the schema takes what it describes', () => {
  expect(manifestSchema.parse({ apiVersion: 'sallyport/v1', kind: 'Actor', metadata: { name: 'ada' } })).toEqual({
    apiVersion: 'sallyport/v1',
    kind: 'Actor',
    metadata: { name: 'ada', namespace: 'root' },
    spec: {},
  });
});

function canBeWritten(value: unknown): boolean {
  try {
    stringify(value);
    return true;
  } catch {
    return false;
  }
}
