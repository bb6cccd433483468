import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { chromiumSuite } from './chromium.js';
import { curlSuite } from './curl.js';
import { gitSuite } from './git.js';
import { goSuite } from './go.js';
import { javaSuite } from './java.js';
import { nodeSuites } from './node.js';
import { npmSuite } from './npm.js';
import { compatibilityPage, versionsIn } from './page.js';
import { pipSuite } from './pip.js';
import { pythonSuites } from './python.js';
import { wgetSuite } from './wget.js';
import { startWorld, type World } from './world.js';

const suites = [
  curlSuite(),
  wgetSuite(),
  gitSuite(),
  ...nodeSuites(),
  npmSuite(),
  ...pythonSuites(),
  pipSuite(),
  goSuite(),
  javaSuite(),
  chromiumSuite(),
];
const pageFile = fileURLToPath(new URL('../../docs/compatibility.md', import.meta.url));
const passed = new Set<object>();
let world: World;

beforeAll(async () => {
  world = await startWorld();
});
beforeEach(() => world.forget());
afterAll(() => world.stop());

for (const { client, cases } of suites) {
  const missing = client.version === null;
  if (missing) console.warn(`skipped: ${client.name} is not installed (get it from ${client.source})`);

  describe(`${client.name}`, () => {
    for (const one of cases) {
      test.skipIf(missing)(`${one.way}: ${one.title}`, { timeout: 120_000 }, async () => {
        await one.run(world);
        passed.add(one);
      });
    }
  });
}

test('docs/compatibility.md lists exactly the clients and cases that are run', () => {
  if (process.env.UPDATE_DOCS === '1') {
    const open = suites.flatMap(({ client, cases }) => cases.filter((one) => !passed.has(one)).map(({ title }) => `${client.name}: ${title}`));
    expect(open, 'what the page would claim without having been shown').toEqual([]);
    writeFileSync(pageFile, compatibilityPage(suites, new Map(suites.map(({ client }) => [client.name, client.version ?? '']))));
  }
  const page = existsSync(pageFile) ? readFileSync(pageFile, 'utf8') : '';
  expect(page, 'make it again with UPDATE_DOCS=1 npx vitest run test/clients').toBe(compatibilityPage(suites, versionsIn(page)));
});
