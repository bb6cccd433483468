import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import openapiTypescript, { astToString } from 'openapi-typescript';
import { expect, test } from 'vitest';
import { controlDocument } from '../document.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');
const { version } = JSON.parse(read('packages/control/package.json')) as { version: string };

// What is checked in is made by `npm run build && node scripts/generate-openapi.mjs`.
test('docs/openapi.json is what the operations say; otherwise run scripts/generate-openapi.mjs', async () => {
  expect(JSON.parse(read('docs/openapi.json'))).toEqual(JSON.parse(JSON.stringify(await controlDocument(version))));
});

test('the types of the client are those of the document; otherwise run scripts/generate-openapi.mjs', async () => {
  const types = astToString(await openapiTypescript(structuredClone(await controlDocument(version)) as never, { alphabetize: false }));
  // The formatter has its own mind about the rest.
  const words = (text: string): string => text.replaceAll(/[\s;,'"|()]/g, '');
  expect(words(read('packages/client/src/api.ts').split('\n').slice(1).join('\n')) === words(types)).toBe(true);
});

test('the document is one that other tools understand', { timeout: 120_000 }, async () => {
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true', NO_COLOR: '1' };
  const redocly = [`${root}node_modules/@redocly/cli/bin/cli.js`, 'lint', '--format=stylish', 'docs/openapi.json'];
  const said = await promisify(execFile)(process.execPath, redocly, { cwd: root, env }).catch(
    (error: unknown) => error as { stdout: string; stderr: string },
  );
  expect(`${said.stdout}${said.stderr}`).toContain('Your API description is valid');
});

test('every operation has a name of its own, a sentence, and says who may call it and where', async () => {
  const { paths } = (await controlDocument(version)) as { paths: Record<string, Record<string, Record<string, unknown>>> };
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
  const names = operations.map(({ operationId }) => operationId);
  expect(new Set(names).size).toBe(names.length);
  for (const operation of operations) {
    expect(operation.operationId).toMatch(/^[a-z][A-Za-z]+$/);
    expect(operation.summary).toMatch(/^[A-Z].*[^.]$/);
    expect(operation['x-sallyport-access']).toBeDefined();
    expect(operation['x-sallyport-services']).not.toEqual([]);
  }
});
