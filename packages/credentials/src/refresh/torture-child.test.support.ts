// Run as a process of its own: refreshes the token in a file, and kills itself at a given step. See `kill-torture.test.ts`.
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { fileTokenStore } from '../stores/file-token-store.js';
import { refreshCoordinator } from './coordinator.js';
import { tortureGrant } from './torture-grant.test.support.js';

const { TORTURE_URL = '', TORTURE_FILE = '', TORTURE_ROUNDS = '1', TORTURE_KILL_AT = '0', TORTURE_CLOCK_AHEAD = '0' } = process.env;
const killAt = Number(TORTURE_KILL_AT);
let steps = 0;

/** Before each call that changes something on the disk. What was changed by the call before is then on the disk, and nothing after it. */
function step(): void {
  steps += 1;
  if (steps === killAt) process.kill(process.pid, 'SIGKILL');
}

/** Puts `step` before an operation. A kill takes effect before the system call that would follow. */
function counted<Arguments extends unknown[], Result>(target: object, name: string, counts: (...args: Arguments) => boolean = () => true): void {
  const operation = Reflect.get(target, name) as (...args: Arguments) => Result;
  Reflect.set(target, name, function (this: unknown, ...args: Arguments): Result {
    if (counts(...args)) step();
    return operation.apply(this, args);
  });
}

async function countSteps(): Promise<void> {
  const handle = await fs.open(process.execPath);
  const prototype: unknown = Object.getPrototypeOf(handle);
  await handle.close();
  if (typeof prototype !== 'object' || prototype === null) throw new Error('a file handle without a prototype');
  for (const name of ['writeFile', 'sync']) counted(prototype, name);
  for (const name of ['link', 'rename', 'rm', 'mkdir']) counted(fs, name);
  counted(fs, 'open', (_path: string, flags: unknown) => flags === 'wx');
  syncBuiltinESMExports();
}

await countSteps();
const coordinator = refreshCoordinator({ store: fileTokenStore(TORTURE_FILE), now: () => Date.now() + Number(TORTURE_CLOCK_AHEAD) });
const grant = tortureGrant(TORTURE_URL, coordinator);
for (let round = 1; round <= Number(TORTURE_ROUNDS); round += 1) await grant.fetch(new AbortController().signal);
await coordinator.close();
process.stdout.write(String(steps));
