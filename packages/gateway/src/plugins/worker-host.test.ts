import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { ask, closeHosts, folderWith, hostOf, troubles } from './plugin-fixtures.test.support.js';
import type { PluginHost } from './plugin-host.js';
import { restartDelay } from './restart-delay.js';

afterEach(closeHosts);

const source = `
import * as threads from 'node:worker_threads';
const fast = () => ({ headers: { 'X-Thread': String(threads.threadId) }, expiresAt: Date.now() + 60_000 });
const doings = {
  '/fast': fast,
  '/block': () => { while (true) {} },
  '/block-later': async () => { await null; while (true) {} },
  '/exit': () => { process.exit(3); },
  '/crash': () => new Promise(() => setTimeout(() => { throw new Error('crashed'); })),
  '/memory': () => { const hold = []; while (true) hold.push(new Array(1e5).fill(hold.length)); },
  '/hang': () => new Promise(() => {}),
  '/forget': () => { void Promise.reject(new Error('forgotten')); return fast(); },
  '/port': () => ({ headers: { 'X-Port': typeof threads.workerData.port }, expiresAt: Date.now() + 60_000 }),
};
export default { getCredentials: (context, request) => doings[request.url.pathname]() };
`;

async function start(more: object = {}, content = source): Promise<{ host: PluginHost; folder: string }> {
  const folder = await folderWith({ 'acme.mjs': content });
  return { host: await hostOf({ plugin: './acme.mjs', folder, isolation: 'worker', ...more }), folder };
}

const threadOf = async (asked: ReturnType<typeof ask>) => (await asked).credential?.fields.lines;

describe('a thread of a plugin', () => {
  test.each(['/block', '/block-later'])('that is blocked is ended; calls behind it are answered by the next: %s', async (at) => {
    const { host } = await start({ timeoutMs: 300 });
    const first = await threadOf(ask(host, '/fast'));
    const blocking = ask(host, at);
    const behind = at === '/block' ? [ask(host, '/fast'), ask(host, '/fast')] : [];
    await expect(blocking).rejects.toMatchObject({ code: 'plugin_timeout', members: { method: 'getCredentials' } });
    for (const one of [...behind, ask(host, '/fast')]) {
      const thread = await threadOf(one);
      expect(thread).toMatch(/^X-Thread: \d+\r\n$/);
      expect(thread).not.toBe(first);
    }
    expect(troubles).toMatchObject([{ code: 'plugin_failed', message: 'the thread of the plugin was ended because it was blocked' }]);
  });

  test('that is blocked by a call whose client has gone is ended as well', async () => {
    const { host } = await start({ timeoutMs: 300 });
    const client = new AbortController();
    const blocking = ask(host, '/block', client.signal);
    client.abort();
    await expect(blocking).rejects.toMatchObject({ code: 'client_aborted' });
    expect(await threadOf(ask(host, '/fast'))).toMatch(/^X-Thread/);
  });

  test('that only waits is not ended', async () => {
    const { host } = await start({ timeoutMs: 300 });
    const first = await threadOf(ask(host, '/fast'));
    await expect(ask(host, '/hang')).rejects.toMatchObject({ code: 'plugin_timeout' });
    expect(await threadOf(ask(host, '/fast'))).toBe(first);
    expect(troubles).toEqual([]);
  });

  test.each([
    ['/exit', /exit code of the thread was 3/],
    ['/crash', /crashed/],
    ['/memory', /memory/],
  ])('that ends by %s fails what it had begun, and is replaced', async (at, cause) => {
    const { host } = await start();
    const first = await threadOf(ask(host, '/fast'));
    const begun = ask(host, '/hang');
    const ending = ask(host, at);
    for (const one of [begun, ending]) {
      const error = await one.catch((caught: unknown) => caught as { code: string; message: string; cause: Error });
      expect(error).toMatchObject({ code: 'plugin_failed', message: 'the thread of the plugin ended' });
      expect(String((error as { cause: Error }).cause)).toMatch(cause);
    }
    const next = await threadOf(ask(host, '/fast'));
    expect(next).toMatch(/^X-Thread/);
    expect(next).not.toBe(first);
    expect(troubles).toHaveLength(1);
  });

  test('that ends again and again harms nobody but those who end it', async () => {
    const { host } = await start();
    for (let i = 0; i < 4; i++) {
      const [ending, other] = await Promise.allSettled([ask(host, '/exit'), ask(host, '/fast')]);
      expect(ending).toMatchObject({ status: 'rejected', reason: { code: 'plugin_failed' } });
      expect(other.status).toBe('fulfilled');
    }
    expect(troubles).toHaveLength(4);
  });

  test('cannot be started again from a file that broke; it is tried until the file is good', async () => {
    const { host, folder } = await start();
    await writeFile(path.join(folder, 'acme.mjs'), 'export default 1;');
    await expect(ask(host, '/exit')).rejects.toMatchObject({ code: 'plugin_failed' });
    const error = await ask(host, '/fast').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'plugin_failed', message: 'the plugin could not be started again', cause: { code: 'plugin_load_failed' } });
    await writeFile(path.join(folder, 'acme.mjs'), source);
    let answer: unknown = null;
    while (answer === null) answer = await ask(host, '/fast').catch(() => null);
    expect(answer).toMatchObject({ changes: { path: null } });
  });

  test('lives on when its plugin forgets a promise that is rejected, and says so', async () => {
    const { host } = await start();
    const first = await threadOf(ask(host, '/forget'));
    expect(await threadOf(ask(host, '/fast'))).toBe(first);
    expect(troubles).toMatchObject([{ code: 'plugin_failed', message: expect.stringContaining('a promise of the plugin was rejected') as string }]);
    expect(String(troubles[0].cause)).toContain('forgotten');
  });

  test('keeps the port to the gateway from its plugin', async () => {
    const { host } = await start();
    expect(await threadOf(ask(host, '/port'))).toBe('X-Port: undefined\r\n');
  });

  test('that is closed fails what is under way and whatever comes', async () => {
    const { host } = await start();
    const hanging = ask(host, '/hang');
    const closing = host.close();
    await expect(hanging).rejects.toMatchObject({ code: 'plugin_failed', message: expect.stringContaining('closed') as string });
    await expect(ask(host, '/fast')).rejects.toMatchObject({ code: 'plugin_failed' });
    await closing;
    await host.close();
    expect(troubles).toEqual([]);
  });
});

describe('the pause before a thread is started again', () => {
  test('is none at first, then grows to a bound, and is forgotten after a steady minute', () => {
    const delay = restartDelay();
    const pauses = Array.from({ length: 12 }, () => delay.next(0, 1));
    expect(pauses).toEqual([0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
    expect(delay.next(0, 60_000)).toBe(0);
    expect(delay.next(60_000, 60_001)).toBe(100);
  });
});
