import { Secret } from '@sallyport/sdk';
import { describe, expect, test } from 'vitest';
import { rejection, Stage } from './credential-stage.test.support.js';

describe('cache', () => {
  test('nothing is fetched before the first use, and then once', async () => {
    const stage = new Stage();
    expect(stage.credential.current()).toBeNull();
    expect(stage.fetches).toHaveLength(0);
    await stage.hold('one');
    expect(stage.fetches).toHaveLength(1);
  });

  test('material that does not expire stays', async () => {
    const stage = new Stage();
    const material = await stage.hold('one');
    stage.time += 10 ** 12;
    expect(stage.credential.current()).toBe(material);
    expect(await stage.credential.resolve()).toBe(material);
    expect(stage.fetches).toHaveLength(1);
  });

  test('all callers share one fetch', async () => {
    const stage = new Stage();
    const callers = Array.from({ length: 50 }, () => stage.credential.resolve());
    const material = await stage.succeed('one');
    expect(new Set(await Promise.all(callers))).toEqual(new Set([material]));
    expect(stage.fetches).toHaveLength(1);
  });

  test('expired material is not handed out, to the millisecond', async () => {
    const stage = new Stage();
    const material = await stage.hold('one', 1_000);
    stage.time += 999;
    expect(stage.credential.current()).toBe(material);
    await stage.fail();
    stage.time += 1;
    expect(stage.credential.current()).toBeNull();
  });

  test('material that has expired on arrival is a failure', async () => {
    const stage = new Stage();
    const waiting = stage.credential.resolve();
    await Promise.all([expect(waiting).rejects.toThrow(/material that had expired/), stage.succeed('one', 0)]);
    expect(stage.credential.current()).toBeNull();
  });

  test('the generation changes with the material and only then', async () => {
    const stage = new Stage();
    const seen = [stage.credential.generation];
    const material = await stage.hold('one', 1_000);
    seen.push(stage.credential.generation);
    stage.credential.current();
    expect(stage.credential.generation).toBe(seen[1]);
    stage.credential.invalidate(material);
    seen.push(stage.credential.generation);
    await stage.hold('two', 1_000);
    seen.push(stage.credential.generation);
    stage.time += 1_000;
    stage.credential.current();
    seen.push(stage.credential.generation);
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
  });

  test('invalidate forgets only what it names', async () => {
    const stage = new Stage();
    const first = await stage.hold('one');
    stage.credential.invalidate(first);
    expect(stage.credential.current()).toBeNull();
    const second = await stage.hold('two');
    stage.credential.invalidate(first);
    expect(stage.credential.current()).toBe(second);
  });
});

describe('refresh', () => {
  test.each([
    ['75 % of a long lifetime', 3_600_000, 2_700_000],
    ['60 s before the expiry', 200_000, 140_000],
    ['but not in the first half', 100_000, 50_000],
  ])('%s', async (_name, lifetime, due) => {
    const stage = new Stage();
    const first = await stage.hold('one', lifetime);
    stage.time += due - 1;
    expect(stage.credential.current()).toBe(first);
    expect(stage.fetches).toHaveLength(1);
    stage.time += 1;
    expect(stage.credential.current()).toBe(first);
    expect(stage.credential.current()).toBe(first);
    expect(stage.fetches).toHaveLength(2);
    const second = await stage.succeed('two', lifetime);
    expect(stage.credential.current()).toBe(second);
  });

  test('`refreshAheadMs` moves it', async () => {
    const stage = new Stage({ refreshAheadMs: 40_000 });
    await stage.hold('one', 100_000);
    stage.time += 60_000;
    stage.credential.current();
    expect(stage.fetches).toHaveLength(2);
  });

  test('when it fails the old material stays in use, and the next attempt waits', async () => {
    const stage = new Stage();
    const first = await stage.hold('one', 3_600_000);
    stage.time += 2_700_000;
    expect(await stage.credential.resolve()).toBe(first);
    await stage.fail();
    expect(stage.failures.map((error) => error.message)).toEqual(['Credential github: The scripted source is broken.']);
    expect(await stage.credential.resolve()).toBe(first);
    expect(stage.fetches).toHaveLength(2);
    stage.time += 1_000;
    expect(stage.credential.current()).toBe(first);
    expect(stage.fetches).toHaveLength(3);
  });

  test('a caller who finds the material expired joins the refresh under way', async () => {
    const stage = new Stage();
    await stage.hold('one', 1_000);
    stage.time += 500;
    stage.credential.current();
    stage.time += 500;
    const waiting = stage.credential.resolve();
    const second = await stage.succeed('two');
    expect(await waiting).toBe(second);
    expect(stage.fetches).toHaveLength(2);
  });
});

describe('close', () => {
  test('forgets, ends the watch and the fetch, and rejects those who wait and those who come', async () => {
    const stage = new Stage();
    const material = await stage.hold('one');
    stage.credential.invalidate(material);
    const waiting = rejection(stage.credential.resolve());
    expect(stage.watching).toBe(true);
    stage.credential.close();
    stage.credential.close();
    expect(stage.watching).toBe(false);
    expect(stage.last.signal.aborted).toBe(true);
    expect((await waiting).message).toBe('Credential github: closed.');
    await expect(stage.credential.resolve()).rejects.toThrow('closed');
    expect([stage.credential.current(), stage.failures.length, stage.fetches.length]).toEqual([null, 0, 2]);
  });

  test('an answer that is on its way is not taken any more, however far it has come', async () => {
    for (let ticks = 0; ticks < 12; ticks += 1) {
      const stage = new Stage();
      const waiting = stage.credential.resolve().catch(() => {});
      stage.last.succeed({ secret: new Secret('one'), fields: new Map(), expiresAt: null });
      for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
      stage.credential.close();
      stage.change();
      await waiting;
      expect(stage.credential.current()).toBeNull();
      expect(stage.fetches).toHaveLength(1);
    }
  });
});
