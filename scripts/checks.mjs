import { run, tool } from './command.mjs';
import { build } from './workspace.mjs';

const node = (name, file, args) => run(process.execPath, [tool(name, file), ...args]);

/** The checks of `npm test`, in the order in which they run. `boundaries` follows imports into what `types` has built. */
export const checks = [
  {
    name: 'format and lint',
    repair: 'npm run format',
    check: () => node('@biomejs/biome', 'bin/biome', ['ci', '--colors=off', '--error-on-warnings', '.']),
  },
  { name: 'types and build', check: () => build(['.', 'test']) },
  { name: 'typed lint', check: () => node('oxlint', 'bin/oxlint', ['--type-aware', '--deny-warnings', '--format=unix', '.']) },
  {
    name: 'import boundaries',
    check: () => node('dependency-cruiser', 'bin/dependency-cruise.mjs', ['--config', '.dependency-cruiser.mjs', 'packages', 'test']),
  },
  { name: 'unused code', check: () => node('knip', 'bin/knip.js', ['--no-progress']) },
];
