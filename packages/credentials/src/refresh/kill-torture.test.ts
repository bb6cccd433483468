import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Secret } from '@sallyport/sdk';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { fileTokenStore } from '../stores/file-token-store.js';
import type { TokenStore } from '../stores/token-store.js';
import { type Children, children } from './child-process.test.support.js';
import { NEVER, recordOf, tokensOf } from './stored-record.test.support.js';
import { type TortureScene, tortureScene } from './torture-scene.test.support.js';

const script = fileURLToPath(new URL('./torture-child.test.support.ts', import.meta.url));
let scene: TortureScene;
let processes: Children;
let folder = '';
let file = '';
let store: TokenStore;

beforeAll(async () => {
  scene = await tortureScene();
  processes = children();
});
afterAll(async () => {
  await scene.close();
  processes.close();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-kill-'));
  file = join(folder, 'token');
  store = fileTokenStore(file);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { TORTURE_URL: `${scene.proxy.url}/token`, TORTURE_FILE: file, ...more };
}

/** What is promised after a process died in a refresh of `first`: the record is whole, and the next process can go on, or says that it cannot. */
async function expectNothingLost(first: Secret, rotated: boolean): Promise<'usable' | 'unknown'> {
  const record = await recordOf(store);
  const current = record.refreshToken;
  expect(tokensOf(record)).toContain(first.reveal());
  if (await scene.server.accepts(current)) {
    await scene.actor(store, { later: true }).grant.fetch(NEVER);
    const after = await recordOf(store);
    expect(after).toMatchObject({ lease: null, unknownSince: null });
    expect(await scene.server.accepts(after.refreshToken)).toBe(true);
    return 'usable';
  }
  // The server rotated, and the process died before its answer was on the disk.
  expect(rotated).toBe(true);
  expect(current.reveal()).toBe(first.reveal());
  expect(record.unknownSince).not.toBeNull();
  await expect(scene.actor(store, { later: true }).grant.fetch(NEVER)).rejects.toMatchObject({ code: 'refresh_outcome_unknown' });
  expect((await recordOf(store)).refreshToken.reveal()).toBe(first.reveal());
  return 'unknown';
}

test('kill -9 before every single change on the disk', { timeout: 300_000 }, async () => {
  const outcomes: string[] = [];
  for (let step = 1; ; step += 1) {
    const token = await scene.onboard(store);
    const before = scene.server.rotations();
    const end = await processes.run(script, environment({ TORTURE_KILL_AT: String(step) }));
    const rotated = scene.server.rotations() > before;
    if (!end.killed) {
      // It ran to its end: there is no step with that number.
      expect(Number(end.output)).toBe(step - 1);
      break;
    }
    outcomes.push(`${rotated ? 'after' : 'before'} the server, ${await expectNothingLost(token, rotated)}`);
  }
  // The steps up to the call; those between its answer and the link that makes it last; those after that.
  const counts = new Map<string, number>();
  for (const outcome of outcomes) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  expect([...counts.keys()]).toEqual(['before the server, usable', 'after the server, unknown', 'after the server, usable']);
  // Opening the temporary file, its content, sync, link: nothing else stands between the answer and its safety.
  expect(counts.get('after the server, unknown')).toBe(4);
});

test('kill -9 while the server has answered and the answer is on its way', { timeout: 60_000 }, async () => {
  const token = await scene.onboard(store);
  scene.proxy.plan('silence');
  const swallowed = scene.proxy.swallowed();
  const child = processes.start(script, environment());
  await swallowed;
  child.kill();
  expect(await child.ended).toMatchObject({ killed: true });
  expect(await expectNothingLost(token, true)).toBe('unknown');
});

test('kill -9 at any moment, again and again, one process after the other', { timeout: 300_000 }, async () => {
  for (let round = 1; round <= 10; round += 1) {
    const token = await scene.onboard(store);
    const rotations = scene.server.rotations();
    const child = processes.start(script, environment({ TORTURE_ROUNDS: '1000' }));
    // At some moment of its fourth refresh or later, or wherever it is by then.
    while (scene.server.rotations() < rotations + 3) await new Promise(setImmediate);
    for (let turn = 0; turn < round * 7; turn += 1) await new Promise(setImmediate);
    child.kill();
    expect(await child.ended).toMatchObject({ killed: true });
    const record = await recordOf(store);
    if (!(await scene.server.accepts(record.refreshToken))) expect(record.unknownSince).not.toBeNull();
    expect(record.superseded.length).toBeGreaterThanOrEqual(2);
    expect(record.refreshToken.reveal()).not.toBe(token.reveal());
  }
});

test('two processes refresh one file at once: every refresh succeeds, and the family lives', { timeout: 120_000 }, async () => {
  const token = await scene.onboard(store);
  const before = scene.server.rotations();
  const ends = await Promise.all([1, 2].map(() => processes.run(script, environment({ TORTURE_ROUNDS: '15' }))));
  expect(ends.map(({ killed }) => killed)).toEqual([false, false]);
  expect(scene.server.rotations() - before).toBe(30);
  const record = await recordOf(store);
  expect(record).toMatchObject({ lease: null, unknownSince: null });
  expect(record.refreshToken.reveal()).not.toBe(token.reveal());
  expect(await scene.server.accepts(record.refreshToken)).toBe(true);
});
