import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { npm, root, run } from './command.mjs';

const directory = path.join(root, '.cache', 'node24');
const binary = path.join(directory, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');

/**
 * A Node 24 beside the one that runs this, installed on first use. It stays out of the workspace: as a dependency its `node` would
 * take the place of the system's in every npm script.
 *
 * @returns {Promise<{ node: string, reason: null } | { node: null, reason: string }>} the path of the program, or why there is none
 */
export async function findNode24() {
  if (process.versions.node.startsWith('24.')) return { node: null, reason: 'because all tests ran on Node 24 already' };
  if (!existsSync(binary)) {
    console.log('\nInstalling Node 24 for the tests into .cache/node24 …');
    mkdirSync(directory, { recursive: true });
    // The package fetches the program for this platform in an install script, which newer versions of npm run only on request.
    writeFileSync(path.join(directory, 'package.json'), JSON.stringify({ private: true, allowScripts: { node: true } }));
    const { ok, output } = await npm([
      'install',
      '--prefix',
      directory,
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
      // 24.21 does not show the intermediates that clients send (nodejs/node#65579).
      'node@24.20',
    ]);
    if (!ok) return { node: null, reason: `because it could not be installed: ${output.trim().split('\n')[0]}` };
  }
  const { ok, output } = await run(binary, ['--version']);
  return ok ? { node: binary, reason: null } : { node: null, reason: `because ${binary} does not run here: ${output.trim().split('\n')[0]}` };
}
