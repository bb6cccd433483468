import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { folder } from '../control/control-server.test.support.js';
import { createProgram } from '../program.js';
import { bashCompletion } from './completion-bash.js';
import { fishCompletion } from './completion-fish.js';
import { completionTables } from './completion-tables.js';
import { zshCompletion } from './completion-zsh.js';

const tables = completionTables(createProgram(() => {}));
const has = (shell: string): boolean => spawnSync(shell, ['-c', 'exit 0']).status === 0;

/** What comes after these words; the last one is what the cursor stands at the end of. */
type Complete = (...words: string[]) => string[];

const inBash: Complete = (...words) => {
  // bash takes --name=value apart.
  const apart = ['sallyport', ...words].flatMap((word) => word.split(/(?<==)|(?==)/));
  const script = `${bashCompletion(tables)}\nCOMP_WORDS=("$@"); COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); _sallyport; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return lines(execFileSync('bash', ['--norc', '-c', script, 'bash', ...apart], { encoding: 'utf8' }));
};

const inZsh: Complete = (...words) => {
  const doubles = `
compdef() { : }
_files() { print FILES }
compset() { current="\${current#*=}" }
_describe() { shift $(( $# - 1 )); print -rl -- "\${(P@)1}" }
`;
  const script = `${doubles}${zshCompletion(tables)}\nwords=(sallyport "$@"); CURRENT=\${#words}; _sallyport`;
  const found = lines(execFileSync('zsh', ['-f', '-c', script, 'zsh', ...words], { encoding: 'utf8' }));
  const begun = (words.at(-1) ?? '').replace(/^--[^=]*=/, '');
  // Which of them fit is for the functions of zsh, which are not asked here.
  return found.map((line) => line.split(':')[0] ?? '').filter((word) => word.startsWith(begun) && word !== 'FILES');
};

const inFish: Complete = (...words) => {
  const line = ['sallyport', ...words].join(' ').replaceAll("'", "\\'");
  const found = lines(
    execFileSync('fish', ['--no-config', '-c', `${fishCompletion(tables)}\ncomplete --do-complete '${line}'`], { encoding: 'utf8' }),
  );
  return found.map((one) => (one.split('\t')[0] ?? '').replace(/^--[^=]*=/, ''));
};

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

describe.each([
  ['bash', inBash],
  ['zsh', inZsh],
  ['fish', inFish],
])('%s', (shell, complete) => {
  const present = has(shell);
  if (!present) process.stderr.write(`${shell} is not installed: its completion is not tested here\n`);

  test.skipIf(!present)('commands, and those below a command', () => {
    expect(complete('who')).toEqual(['whoami']);
    expect(complete('')).toEqual(expect.arrayContaining(['serve', 'login', 'proxy', 'help']));
    expect(complete('config', 'c')).toEqual(['check']);
    expect(complete('completion', '').sort()).toEqual(expect.arrayContaining(['bash', 'fish', 'zsh']));
  });

  test.skipIf(!present)('options, those that are hidden left out', () => {
    expect(complete('whoami', '--priv')).toEqual(['--private-key']);
    expect(complete('proxy', '--p').sort()).toEqual(['--plaintext', '--port', '--private-key']);
    expect(complete('config', 'check', '--s')).toEqual(['--sources']);
    expect(complete('proxy', '--')).not.toContain('--proxyTo');
  });

  test.skipIf(!present)('choices of an option, in both ways to write it', () => {
    expect(complete('proxy', '--to', '').sort()).toEqual(['admin-api', 'api', 'public']);
    expect(complete('proxy', '--to', 'ad')).toEqual(['admin-api']);
    expect(complete('proxy', '--to=ad')).toEqual(['admin-api']);
    expect(complete('whoami', '-o', 'y')).toEqual(['yaml']);
  });

  test.skipIf(!present)('what stands before does not confuse it', () => {
    expect(complete('whoami', '--actor', 'serve', '--outp')).toEqual(['--output']);
    expect(complete('ca', '--to', 'exp')).toEqual(['export']);
    expect(complete('run', '--', 'who')).not.toContain('whoami');
  });

  test.skipIf(!present)('the script is one that the shell reads', () => {
    const script = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }[shell as 'bash']?.(tables) ?? '';
    const { status, stderr } = spawnSync(shell, ['-n', folder().file('script', script)], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});

test('every option of every command is known', () => {
  for (const [path, options] of tables.options) {
    // `help` is a command that commander makes.
    if (!path.startsWith('help') && !path.endsWith(' help'))
      expect({ path, flags: options.map(({ word }) => word) }).toMatchObject({ flags: expect.arrayContaining(['--help']) as string[] });
  }
  expect(tables.values.get('whoami --output')).toEqual(['table', 'json', 'yaml']);
});
