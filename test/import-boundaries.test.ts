import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';

let house = '';

afterEach(() => rmSync(house, { recursive: true, force: true }));

/** Builds a house in which each file imports those listed for it, and returns the imports that break a rule: `from → to: rule`. */
function brokenRules(imports: Record<string, readonly string[]>): string[] {
  house = mkdtempSync(path.join(tmpdir(), 'sallyport-house-'));
  const files = new Set([...Object.keys(imports), ...Object.values(imports).flat()]);
  for (const file of files) {
    const place = path.join(house, 'packages', file);
    mkdirSync(path.dirname(place), { recursive: true });
    const lines = (imports[file] ?? []).map((to) => {
      const relative = path.relative(path.dirname(file), to).replace(/\.ts$/, '.js');
      return `import '${relative.startsWith('.') ? relative : `./${relative}`}';\n`;
    });
    writeFileSync(place, `${lines.join('')}export {};\n`);
  }
  const cruiser = path.resolve('node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = [cruiser, '--config', path.resolve('.dependency-cruiser.mjs'), '--output-type', 'json', 'packages'];
  const { stdout } = spawnSync(process.execPath, args, { cwd: house, encoding: 'utf8', maxBuffer: 2 ** 26 });
  const { summary } = JSON.parse(stdout) as { summary: { violations: { from: string; to: string; rule: { name: string } }[] } };
  const short = (file: string): string => file.replace('packages/', '').replace('/src', '').replace('.ts', '');
  return summary.violations.map(({ from, to, rule }) => `${short(from)} → ${short(to)}: ${rule.name}`);
}

test('a house whose imports all point down breaks no rule', () => {
  expect(
    brokenRules({
      'cli/src/main.ts': ['gateway/src/index.ts', 'credentials/src/index.ts', 'sdk/src/index.ts'],
      'gateway/src/index.ts': ['gateway/src/doors/forward.ts', 'gateway/src/config/schema.ts'],
      'gateway/src/doors/forward.ts': ['gateway/src/pipeline/pipeline.ts', 'gateway/src/wire/head.ts', 'gateway/src/tls/authority.ts'],
      'gateway/src/pipeline/pipeline.ts': ['gateway/src/pipeline/admit.ts', 'gateway/src/pipeline/forward.ts'],
      'gateway/src/pipeline/admit.ts': ['gateway/src/policy/rules.ts', 'gateway/src/exchange.ts'],
      'gateway/src/pipeline/forward.ts': ['gateway/src/upstream/pool.ts', 'gateway/src/wire/head.ts'],
      'gateway/src/upstream/pool.ts': ['gateway/src/wire/head.ts', 'gateway/src/exchange.ts'],
      'gateway/src/wire/head.ts': ['gateway/src/exchange.ts'],
      'gateway/src/exchange.ts': ['sdk/src/index.ts'],
      'gateway/src/pipeline/pipeline.test.ts': ['gateway/src/pipeline/admit.ts', 'gateway/src/doors/forward.ts'],
    }),
  ).toEqual([]);
});

test('an import that points anywhere else is found', () => {
  const broken = brokenRules({
    'sdk/src/secret.test.ts': ['credentials/src/index.ts'],
    'credentials/src/index.ts': ['gateway/src/index.ts'],
    'gateway/src/index.ts': ['sdk/src/secret.ts'],
    'gateway/src/pipeline/admit.ts': ['gateway/src/pipeline/select.ts', 'gateway/src/doors/forward.ts'],
    'gateway/src/pipeline/select.ts': ['gateway/src/pipeline/pipeline.ts'],
    'gateway/src/policy/rules.ts': ['gateway/src/pipeline/inject.ts', 'gateway/src/policy/hosts.test.ts'],
    'gateway/src/wire/head.ts': ['gateway/src/policy/guard.ts'],
    'gateway/src/exchange.ts': ['gateway/src/wire/body.ts'],
    'cli/src/a.ts': ['cli/src/b.ts'],
    'cli/src/b.ts': ['cli/src/a.ts'],
  });
  expect(broken).toEqual(
    expect.arrayContaining([
      'sdk/secret.test → credentials/index: package-sdk-looks-down-only',
      'credentials/index → gateway/index: package-credentials-looks-down-only',
      'gateway/index → sdk/secret: packages-by-name-only',
      'gateway/pipeline/admit → gateway/pipeline/select: stages-do-not-know-each-other',
      'gateway/pipeline/admit → gateway/doors/forward: gateway-pipeline-looks-down-only',
      'gateway/pipeline/select → gateway/pipeline/pipeline: stages-do-not-know-each-other',
      'gateway/policy/rules → gateway/pipeline/inject: gateway-helpers-looks-down-only',
      'gateway/policy/rules → gateway/policy/hosts.test: tests-are-not-imported',
      'gateway/wire/head → gateway/policy/guard: wire-stands-alone',
      'gateway/exchange → gateway/wire/body: exchange-stands-alone',
      'cli/a → cli/b: no-circles',
    ]),
  );
});
