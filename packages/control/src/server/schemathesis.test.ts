import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { migrateTaskEngine } from '../tasks/task-engine.js';
import { serveControl } from './testing/served-control.test.support.js';

const program = fileURLToPath(new URL('../../../../.cache/python/bin/st', import.meta.url));
const missing = existsSync(program) ? '' : ' (skipped: schemathesis is not there, `node scripts/install-test-tools.mjs` installs it)';

/** On each of the two databases. */
const SECONDS = 25;

/** What makes no sense here. */
const EXCLUDED = [
  // The grammar of paths, labels, selectors and permissions, and what exists, is more than a schema can say: 400 and 404 are right for such data.
  'positive_data_acceptance',
];

// It does not know that a query can be refused before it is read, because the head is too long.
const CONFIGURATION = '[checks]\nnegative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, 431]\n';

/** Everything that schemathesis thinks of, for so many seconds, with the document that the service itself serves. */
async function attack(url: string, token: string, seconds: number): Promise<{ readonly passed: boolean; readonly output: string }> {
  // It leaves a folder of what it has seen where it runs.
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-schemathesis-'));
  writeFileSync(join(folder, 'schemathesis.toml'), CONFIGURATION);
  try {
    const limits = [
      '--max-time',
      String(seconds),
      '--phases',
      'coverage,fuzzing',
      '--seed',
      '1',
      '--request-timeout',
      '20',
      '--no-shrink',
      '--continue-on-failure',
    ];
    const checks = ['--checks', 'all', '--exclude-checks', EXCLUDED.join(','), '--suppress-health-check', 'all', '--warnings', 'off'];
    const args = ['run', `${url}/openapi.json`, '-H', `Authorization: Bearer ${token}`, ...limits, ...checks];
    const env = { PATH: process.env.PATH, HOME: folder, NO_COLOR: '1', PYTHONUNBUFFERED: '1' };
    const child = spawn(program, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    const code = await new Promise<number | null>((resolve, reject) => void child.once('close', resolve).once('error', reject));
    return { passed: code === 0, output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describeOnBoth('schemathesis', (databases) => {
  // What the other services have, this one has too, but for what the browser of an end user needs, which is the same code.
  test.skipIf(missing !== '')(`finds nothing wrong with the service that has most${missing}`, { timeout: 120_000 }, async () => {
    const database = await databases.open();
    await migrateTaskEngine(database);
    const browser = { baseUrl: 'http://127.0.0.1:9' };
    const control = await serveControl(database, { browsers: { public: browser, 'admin-api': browser } });
    try {
      const { passed, output } = await attack(control.url('admin-api'), await control.admin.token(), SECONDS);
      const failures = control.served.filter(({ status }) => status >= 500).map(({ route, error }) => [route, error?.code, error?.cause]);
      expect({ failures, passed, output }).toMatchObject({ failures: [], passed: true });
      // It has really asked.
      expect(control.served.length).toBeGreaterThan(50);
    } finally {
      await control.close();
    }
  });
});
