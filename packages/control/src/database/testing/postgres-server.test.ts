import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { expect, test } from 'vitest';
import { postgresProgram } from './postgres-server.test.support.js';

test('a server goes with whoever started it, and so does its data', async () => {
  const starter = `require('node:child_process').spawn(process.execPath, [${JSON.stringify(postgresProgram)}], { stdio: ['pipe', 'inherit', 'inherit'] })`;
  const holder = spawn(process.execPath, ['-e', starter], { stdio: ['ignore', 'pipe', 'inherit'] });
  // The program has it too, so that it ends with the program.
  const output = createInterface({ input: holder.stdout });
  const ended = once(output, 'close');
  const [url] = (await once(output, 'line')) as [string];
  const client = new pg.Client(`${url}postgres`);
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ data_directory: string }>('show data_directory');
  const folder = rows[0]?.data_directory ?? '';
  expect(existsSync(folder)).toBe(true);

  holder.kill('SIGKILL');
  await ended;
  expect(existsSync(folder)).toBe(false);
  await expect(new pg.Client(`${url}postgres`).connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});
