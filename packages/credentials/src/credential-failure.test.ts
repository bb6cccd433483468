import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { Credential } from './credential.js';
import { rejection, Stage } from './credential-stage.test.support.js';
import { fileSource } from './sources/file.js';

describe('failure', () => {
  test('the back-off doubles from 1 s to 60 s, and the remembered error comes at once', async () => {
    const stage = new Stage();
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
      const fetched = stage.fetches.length;
      const waiting = rejection(stage.credential.resolve());
      await stage.fail();
      expect((await waiting).members).toEqual({ credential: 'github', retry_after: seconds });
      stage.time += seconds * 1_000 - 1;
      const remembered = await rejection(stage.credential.resolve());
      expect(remembered).toMatchObject({ code: 'credential_unavailable', hint: 'Repair it.', members: { credential: 'github', retry_after: 1 } });
      expect(stage.fetches).toHaveLength(fetched + 1);
      stage.time += 1;
    }
    await stage.hold('one', 1_000);
    stage.time += 1_000;
    const waiting = rejection(stage.credential.resolve());
    await stage.fail();
    expect((await waiting).members.retry_after).toBe(1);
  });

  test('jitter adds up to a quarter', async () => {
    const stage = new Stage({ random: () => 0.999 });
    const waiting = rejection(stage.credential.resolve());
    await stage.fail();
    expect((await waiting).members.retry_after).toBe(2);
    stage.time += 1_249;
    await rejection(stage.credential.resolve());
    expect(stage.fetches).toHaveLength(1);
    stage.time += 1;
    void rejection(stage.credential.resolve());
    expect(stage.fetches).toHaveLength(2);
    stage.credential.close();
  });

  test('a clock that is set back does not lengthen the back-off', async () => {
    const stage = new Stage();
    const waiting = rejection(stage.credential.resolve());
    await stage.fail();
    await waiting;
    stage.time -= 3_600_000;
    await stage.hold('one');
  });

  test('an error that is not ours is reported by its code or class alone', async () => {
    const stage = new Stage();
    const waiting = rejection(stage.credential.resolve());
    await stage.fail(new TypeError('the-secret is not a number'));
    const error = await waiting;
    expect(error).toMatchObject({ code: 'credential_unavailable', message: expect.stringMatching(/\(scripted source\).*TypeError/) });
    expect(error).not.toHaveProperty('cause');
    expect(String(error.stack)).not.toContain('the-secret');
  });

  test('a source that throws instead of rejecting', async () => {
    const credential = new Credential({
      name: 'github',
      source: {
        type: 'broken',
        description: 'broken source',
        fetch: () => {
          throw new TypeError('no');
        },
      },
    });
    expect((await rejection(credential.resolve())).members.retry_after).toBeGreaterThan(0);
    expect((await rejection(credential.resolve())).message).toContain('TypeError');
  });

  test('a fetch that does not end is ended', async () => {
    const stage = new Stage({ flightTimeoutMs: 5 });
    const error = await rejection(stage.credential.resolve());
    expect(error).toMatchObject({ code: 'credential_unavailable', message: expect.stringMatching(/scripted source.*did not answer within 0.005 s/) });
    expect(stage.last.signal.aborted).toBe(true);
  });
});

describe('abort', () => {
  test('releases the one caller, and the fetch goes on for the others', async () => {
    const stage = new Stage();
    const abort = new AbortController();
    const reason = new Error('gone');
    const leaver = stage.credential.resolve(abort.signal);
    const stayer = stage.credential.resolve(new AbortController().signal);
    abort.abort(reason);
    await expect(leaver).rejects.toBe(reason);
    expect(stage.last.signal.aborted).toBe(false);
    const material = await stage.succeed('one');
    expect(await stayer).toBe(material);
  });

  test('the fetch goes on even when all have left', async () => {
    const stage = new Stage();
    const abort = new AbortController();
    const leaver = stage.credential.resolve(abort.signal);
    abort.abort();
    await expect(leaver).rejects.toBe(abort.signal.reason);
    const material = await stage.succeed('one');
    expect(stage.credential.current()).toBe(material);
  });

  test('a signal that has aborted begins nothing', async () => {
    const stage = new Stage();
    const reason = new Error('gone');
    await expect(stage.credential.resolve(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(stage.fetches).toHaveLength(0);
  });
});

describe('change at the source', () => {
  test('fetches at once and serves the old material meanwhile', async () => {
    const stage = new Stage();
    const first = await stage.hold('one');
    stage.change();
    expect(stage.fetches).toHaveLength(2);
    expect(stage.credential.current()).toBe(first);
    const second = await stage.succeed('two');
    expect(stage.credential.current()).toBe(second);
  });

  test('during a fetch causes another one', async () => {
    const stage = new Stage();
    const waiting = stage.credential.resolve();
    stage.change();
    stage.change();
    const first = await stage.succeed('one');
    expect(await waiting).toBe(first);
    expect(stage.fetches).toHaveLength(2);
    const second = await stage.succeed('two');
    expect(stage.credential.current()).toBe(second);
    expect(stage.fetches).toHaveLength(2);
  });

  test('ends the back-off', async () => {
    const stage = new Stage();
    const waiting = rejection(stage.credential.resolve());
    await stage.fail();
    await waiting;
    stage.change();
    expect(stage.fetches).toHaveLength(1);
    await stage.hold('one');
  });

  test('is tried again with the next uses when the fetch after it fails', async () => {
    const stage = new Stage();
    const first = await stage.hold('one');
    stage.change();
    await stage.fail();
    expect(stage.credential.current()).toBe(first);
    expect(stage.fetches).toHaveLength(2);
    stage.time += 1_000;
    expect(stage.credential.current()).toBe(first);
    expect(stage.fetches).toHaveLength(3);
  });

  test('a real file that is replaced', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sallyport-credential-'));
    const path = join(dir, 'token');
    await writeFile(path, 'one\n');
    const credential = new Credential({ name: 'github', source: fileSource({ path }) });
    try {
      expect((await credential.resolve()).secret.reveal()).toBe('one');
      await writeFile(path, 'two\n');
      await vi.waitFor(() => expect(credential.current()?.secret.reveal()).toBe('two'), { timeout: 10_000 });
    } finally {
      credential.close();
      await rm(dir, { recursive: true });
    }
  });
});
