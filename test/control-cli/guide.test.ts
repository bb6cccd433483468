import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../packages/cli/src/command-line.test.support.js';
import { newKeyPair, openStage } from './stage.js';

afterEach(cleanUp);

/** The words of a line as a shell reads those of the guide. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

test('every command of the guide does what the guide says', { timeout: 240_000 }, async () => {
  const { control, place, privateKey } = await openStage();
  const guide = readFileSync(new URL('../../docs/control-cli.md', import.meta.url), 'utf8');
  mkdirSync(place.home, { recursive: true });
  const adaKey = place.file('ada.pub', newKeyPair().publicPem);
  const blocks = [...guide.matchAll(/^```(sh|yaml)\n(.*?)^```$/gms)];
  let commands = 0;
  for (const [, kind, text = ''] of blocks) {
    if (kind === 'yaml') {
      const path = join(place.directory, /^# (\S+)\n/.exec(text)?.[1] ?? 'unnamed');
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      continue;
    }
    for (const line of text.trimEnd().split('\n')) {
      commands += 1;
      const [program, ...args] = words(line).map((word) =>
        word.replace('http://127.0.0.1:8082', control.url()).replace('~/.ssh/id_ed25519', privateKey).replace('~/.ssh/ada.pub', adaKey),
      );
      expect(program).toBe('sallyport');
      const { code, stderr } = await place.run(args);
      expect({ line, code, stderr: code === 0 || code === 2 ? '' : stderr }).toEqual({ line, code: line.endsWith('--plan') ? 2 : 0, stderr: '' });
    }
  }
  expect(commands).toBeGreaterThan(9);
  const planned = await place.run(['apply', '-f', 'access/', '--plan']);
  expect(planned).toMatchObject({ code: 0, stdout: 'Nothing to do: 4 as described.\n' });
});
