import { Secret } from '@sallyport/sdk';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freshRecord } from '../stores/token-record-json.js';
import type { TokenRecord, TokenStore } from '../stores/token-store.js';
import type { Fault } from './fault-proxy.test.support.js';
import { gate } from './gate.test.support.js';
import { NEVER, recordOf, tokensOf } from './stored-record.test.support.js';
import { KEY } from './torture-grant.test.support.js';
import { type TortureScene, tortureScene } from './torture-scene.test.support.js';

/** A place where tokens are kept, empty at first. */
export interface TorturedPlace {
  /** A new handle of the same place, as another process has one. */
  open(): TokenStore;
  /** Ends everything that was started for it. */
  close(): Promise<void>;
}

/** Faults after which the server may have rotated, with nobody knowing. */
const LOSING: readonly Fault[] = ['reset after', 'cut', 'error after', 'page after', 'silence'];
/** Faults that the server knows nothing of. */
const HARMLESS: readonly Fault[] = ['reset before', 'refuse'];

/**
 * Registers the tests that every token store has to pass: first what its interface promises, then the refresh of a token at a server with rotation and
 * reuse detection while everything goes wrong that can. `makePlace` is called for each test.
 */
export function tortureStore(name: string, makePlace: () => Promise<TorturedPlace>): void {
  let place: TorturedPlace;
  beforeEach(async () => {
    place = await makePlace();
  });
  afterEach(() => place.close());

  describe(`${name}: the promises of a token store`, () => {
    storePromises(() => place.open());
  });
  describe(`${name}: no refresh token is lost`, () => {
    refreshTorture(() => place.open());
  });
}

function storePromises(open: () => TokenStore): void {
  const full: TokenRecord = {
    refreshToken: new Secret('token-"\\ü\u{1f511}'),
    superseded: ['7', '6', '5', '4', '3', '2', '1', '0'].map((text) => new Secret(text)),
    lease: { owner: 'somebody/1', expiresAt: 1_700_000_000_000 },
    unknownSince: 1_600_000_000_000,
  };
  const shown = (record: TokenRecord): unknown => ({ ...record, refreshToken: null, superseded: tokensOf(record) });

  test('nothing is found before anything was stored', async () => {
    await expect(open().read(KEY, NEVER)).rejects.toMatchObject({ code: 'token_not_found' });
    expect(await open().replace(KEY, 'a-version-that-never-was', full, NEVER)).toBeNull();
    await expect(open().read(KEY, NEVER)).rejects.toMatchObject({ code: 'token_not_found' });
  });

  test('what was written is read, everywhere, whole', async () => {
    const stored = await open().replace(KEY, null, full, NEVER);
    const read = await open().read(KEY, NEVER);
    expect(shown(read.record)).toEqual(shown(full));
    expect(read.version).toBe(stored?.version);
  });

  test('only what was read last can be replaced', async () => {
    const first = await open().replace(KEY, null, full, NEVER);
    expect(await open().replace(KEY, null, freshRecord(new Secret('late')), NEVER)).toBeNull();
    const second = await open().replace(KEY, first?.version ?? null, { ...full, lease: null }, NEVER);
    // The same content again is another version all the same.
    const third = await open().replace(KEY, second?.version ?? null, { ...full, lease: null }, NEVER);
    expect(new Set([first?.version, second?.version, third?.version]).size).toBe(3);
    expect(await open().replace(KEY, second?.version ?? null, freshRecord(new Secret('late')), NEVER)).toBeNull();
    expect(shown((await open().read(KEY, NEVER)).record)).toEqual(shown({ ...full, lease: null }));
  });

  test('of many who replace the same version exactly one wins', async () => {
    let version: string | null = null;
    for (let round = 1; round <= 5; round += 1) {
      const writers = Array.from({ length: 8 }, (_, writer) => new Secret(`round ${round} writer ${writer}`));
      const results = await Promise.all(writers.map((token) => open().replace(KEY, version, freshRecord(token), NEVER)));
      const winners = results.flatMap((result, writer) => (result === null ? [] : [writers[writer].reveal()]));
      const read = await open().read(KEY, NEVER);
      expect(winners).toEqual([read.record.refreshToken.reveal()]);
      version = read.version;
    }
  });

  test('an abort rejects with its reason', async () => {
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(open().read(KEY, gone)).rejects.toThrow('gone');
    await expect(open().replace(KEY, null, full, gone)).rejects.toThrow('gone');
  });
}

function refreshTorture(open: () => TokenStore): void {
  let scene: TortureScene;
  beforeAll(async () => {
    scene = await tortureScene();
  });
  afterAll(() => scene.close());
  afterEach(() => scene.proxy.plan());

  test('every refresh leaves the successor in the store, and no trace of itself', async () => {
    const store = open();
    const first = await scene.onboard(store);
    const { grant } = scene.actor(store);
    for (let round = 1; round <= 3; round += 1) await grant.fetch(NEVER);
    const record = await recordOf(open());
    expect(record).toMatchObject({ lease: null, unknownSince: null });
    expect(record.superseded).toHaveLength(3);
    expect(tokensOf(record).at(-1)).toBe(first.reveal());
    expect(await scene.server.accepts(record.refreshToken)).toBe(true);
  });

  test.each(HARMLESS)('%s: the token stays, and the next refresh uses it', async (fault) => {
    const first = await scene.onboard(open());
    const { grant } = scene.actor(open());
    scene.proxy.plan(fault, fault);
    await expect(grant.fetch(NEVER)).rejects.toMatchObject({ code: 'token_endpoint_unavailable' });
    await expect(grant.fetch(NEVER)).rejects.toMatchObject({ code: 'token_endpoint_unavailable' });
    expect((await recordOf(open())).refreshToken.reveal()).toBe(first.reveal());
    await scene.actor(open()).grant.fetch(NEVER);
    const record = await recordOf(open());
    expect(record).toMatchObject({ lease: null, unknownSince: null });
    expect(await scene.server.accepts(record.refreshToken)).toBe(true);
  });

  test.each(LOSING)('%s: the journal says so, the token is kept, and is presented again only as the current one', async (fault) => {
    const first = await scene.onboard(open());
    const { grant } = scene.actor(open(), { grant: { timeoutMs: fault === 'silence' ? 1_500 : 10_000 } });
    const before = Date.now();
    scene.proxy.plan(fault);
    await expect(grant.fetch(NEVER)).rejects.toMatchObject({ code: /^token_(endpoint_unavailable|response_invalid)$/ });
    const record = await recordOf(open());
    expect(record.refreshToken.reveal()).toBe(first.reveal());
    expect(record.lease).toBeNull();
    expect(record.unknownSince).toBeGreaterThanOrEqual(before);
    // The server did rotate, and its answer is gone: all that can be done is to say so, and to keep the token.
    for (const actor of [scene.actor(open()), scene.actor(open())]) {
      await expect(actor.grant.fetch(NEVER)).rejects.toMatchObject({ code: 'refresh_outcome_unknown', hint: /onboard/ });
    }
    expect(await recordOf(open())).toMatchObject({ unknownSince: record.unknownSince, lease: null });
    expect(tokensOf(await recordOf(open()))).toEqual([first.reveal()]);
    // After a new consent everything is as it was, and the old token is still there for a person to see.
    await scene.onboard(open());
    await grant.fetch(NEVER);
    expect(await recordOf(open())).toMatchObject({ unknownSince: null, lease: null });
    expect(tokensOf(await recordOf(open()))).toContain(first.reveal());
  });

  test('two at once take turns: neither is refused, and the family lives', async () => {
    await scene.onboard(open());
    const before = scene.server.rotations();
    const turns = [scene.actor(open()), scene.actor(open())].map(async ({ grant }) => {
      for (let round = 1; round <= 5; round += 1) await grant.fetch(NEVER);
    });
    await Promise.all(turns);
    expect(scene.server.rotations() - before).toBe(10);
    const record = await recordOf(open());
    expect(record).toMatchObject({ lease: null, unknownSince: null });
    expect(await scene.server.accepts(record.refreshToken)).toBe(true);
  });

  test('a process that was paused during its call comes back after another one took over: its successor is adopted', async () => {
    const first = await scene.onboard(open());
    const sleep = gate();
    const sibling = scene.actor(open(), { later: true });
    const slow = scene.actor(waitingStore(open(), sleep.opened));
    const late = slow.grant.fetch(NEVER);
    await leaseTaken(open());
    // The lease is over by the sibling's clock. It finds the token used, and cannot know by whom.
    const takeover = sibling.grant.fetch(NEVER).catch((error: unknown) => error);
    sleep.open();
    await late;
    await takeover;
    const record = await recordOf(open());
    expect(tokensOf(record)).toContain(first.reveal());
    expect(record.refreshToken.reveal()).not.toBe(first.reveal());
  });

  test('while the store takes nothing, the successor is held in memory and used, and saved as soon as the store is back', async () => {
    await scene.onboard(open());
    const broken = breakableStore(open());
    const reported: string[] = [];
    const actor = scene.actor(broken.store, { coordinator: { onSaveError: (key, { code }) => reported.push(`${key}: ${code}`) } });
    broken.breakAfter(1);
    await actor.grant.fetch(NEVER);
    expect(reported).toEqual([`${KEY}: token_store_failed`]);
    expect((await recordOf(open())).unknownSince).not.toBeNull();
    // No call without a note in the store that it is made: nothing is presented now.
    const rotations = scene.server.rotations();
    await expect(actor.grant.fetch(NEVER)).rejects.toMatchObject({ code: 'token_store_failed' });
    expect(scene.server.rotations()).toBe(rotations);
    broken.repair();
    await actor.grant.fetch(NEVER);
    const record = await recordOf(open());
    expect(record).toMatchObject({ lease: null, unknownSince: null });
    expect(record.superseded).toHaveLength(2);
    expect(await scene.server.accepts(record.refreshToken)).toBe(true);
  });

  test('close saves what could not be saved before', async () => {
    await scene.onboard(open());
    const broken = breakableStore(open());
    const actor = scene.actor(broken.store);
    broken.breakAfter(1);
    await actor.grant.fetch(NEVER);
    broken.repair();
    await actor.coordinator.close();
    const record = await recordOf(open());
    expect(record).toMatchObject({ lease: null, unknownSince: null });
    expect(await scene.server.accepts(record.refreshToken)).toBe(true);
  });
}

/** Resolves once somebody holds the lease. */
async function leaseTaken(store: TokenStore): Promise<void> {
  while ((await recordOf(store)).lease === null) await new Promise(setImmediate);
}

/** The store of a process that sleeps before it writes the answer. */
function waitingStore(store: TokenStore, woken: Promise<void>): TokenStore {
  let writes = 0;
  return {
    ...store,
    async replace(key, expected, record, signal) {
      writes += 1;
      if (writes > 1) await woken;
      return await store.replace(key, expected, record, signal);
    },
  };
}

interface BreakableStore {
  readonly store: TokenStore;
  /** So many more writes succeed. */
  breakAfter(writes: number): void;
  repair(): void;
}

/** A store that stops taking writes when it is told to. */
function breakableStore(store: TokenStore): BreakableStore {
  let left = Number.POSITIVE_INFINITY;
  return {
    store: {
      ...store,
      async replace(key, expected, record, signal) {
        left -= 1;
        if (left < 0) throw new Error('the disk is full');
        return await store.replace(key, expected, record, signal);
      },
    },
    breakAfter(writes) {
      left = writes;
    },
    repair() {
      left = Number.POSITIVE_INFINITY;
    },
  };
}
