import { inspect } from 'node:util';
import { SallyportError, Secret } from '@sallyport/sdk';
import { describe, expect, test, vi } from 'vitest';
import type { TokenRecord, TokenStore } from '../stores/token-store.js';
import { answering, CoordinatorStage, foreign, holding, passSeconds, refresh, refused, result } from './coordinator-stage.test.support.js';
import type { Exchange, ExchangeOutcome } from './exchange.js';
import { gate } from './gate.test.support.js';
import { storeNewToken } from './store-new-token.js';
import { NEVER, tokensOf } from './stored-record.test.support.js';

const unavailable = new SallyportError('token_endpoint_unavailable');

const stage = CoordinatorStage.forEachTest();

describe('before the call', () => {
  test('lease and journal are written, in one write', async () => {
    const writes: TokenRecord[] = [];
    const watched: TokenStore = {
      ...stage.store,
      replace: (key, expected, record, signal) => {
        writes.push(record);
        return stage.store.replace(key, expected, record, signal);
      },
    };
    const before = Date.now();
    let during: TokenRecord | null = null;
    await refresh(stage.coordinator({ store: watched }), async () => {
      during = await stage.record();
      return { kind: 'answered', refreshToken: new Secret('t1'), result };
    });
    expect(writes).toHaveLength(2);
    expect(during).toEqual(writes[0]);
    expect(writes[0].refreshToken.reveal()).toBe('t0');
    expect(writes[0].unknownSince).toBeGreaterThanOrEqual(before);
    expect(writes[0].lease?.expiresAt).toBeGreaterThanOrEqual(before + 18_000);
    expect(writes[1]).toMatchObject({ lease: null, unknownSince: null });
    expect(tokensOf(writes[1])).toEqual(['t1', 't0']);
  });

  test('without a lease nothing is presented', async () => {
    const readOnly: TokenStore = { ...stage.store, replace: () => Promise.reject(new Error('MARKER: read-only')) };
    const { exchange, presented } = answering('t1');
    const error: unknown = await refresh(stage.coordinator({ store: readOnly }), exchange).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'token_store_failed', message: 'The token store (memory) failed unexpectedly: Error.' });
    expect(inspect(error, { depth: null })).not.toContain('MARKER');
    expect(presented).toEqual([]);
  });

  test('the lease of a sibling is waited for, and what it stored is adopted', async () => {
    await stage.put({ lease: foreign(Date.now() + 60_000), unknownSince: 1 });
    const { exchange, presented } = answering('t2');
    const waiting = refresh(stage.coordinator(), exchange);
    await stage.seen();
    await stage.put({ refreshToken: new Secret('t1'), lease: null, unknownSince: null });
    await waiting;
    expect(presented).toEqual(['t1']);
  });

  test('an abort ends the wait with its reason', async () => {
    await stage.put({ lease: foreign(Date.now() + 60_000) });
    const abort = new AbortController();
    const reason = new Error('gone');
    const waiting = refresh(stage.coordinator(), answering().exchange, abort.signal);
    await stage.seen();
    abort.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect((await stage.record()).lease).toEqual(foreign(expect.any(Number) as number));
  });

  test.each<[string, number, boolean]>([
    ['over by more than clocks may differ', -5_001, true],
    ['over by less', -4_000, false],
    ['not over', 60_000, false],
  ])('a lease that is %s', async (_name, fromNow, taken) => {
    const start = Date.now();
    await stage.put({ lease: foreign(start + fromNow), unknownSince: 7 });
    const { exchange, presented } = answering('t1');
    const abort = new AbortController();
    const work = refresh(stage.coordinator({ now: () => start }), exchange, abort.signal).catch(() => {});
    await stage.seen();
    abort.abort(new Error('enough'));
    await work;
    expect(presented).toEqual(taken ? ['t0'] : []);
    if (taken) expect(await stage.record()).toMatchObject({ lease: null, unknownSince: null });
  });

  test('a lease from a clock that is far ahead is not waited for without end', async () => {
    await stage.put({ lease: foreign(Date.now() + 3_600_000), unknownSince: 7 });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const { exchange, presented } = answering('t1');
    const work = refresh(stage.coordinator(), exchange);
    let done = false;
    void work.then(() => {
      done = true;
    });
    for (let second = 0; second < 119; second += 1) await passSeconds(1);
    expect(presented).toEqual([]);
    for (let second = 0; second < 10 && !done; second += 1) await passSeconds(1);
    expect(presented).toEqual(['t0']);
  });

  test('a lease that could not be given back is no obstacle to its own process', async () => {
    await stage.put({ unknownSince: 7 });
    const stubborn: TokenStore = {
      ...stage.store,
      replace: (key, expected, record, signal) =>
        record.lease === null ? Promise.reject(new Error('busy')) : stage.store.replace(key, expected, record, signal),
    };
    const coordinator = stage.coordinator({ store: stubborn });
    await expect(refresh(coordinator, async () => ({ kind: 'unused', error: unavailable }))).rejects.toBe(unavailable);
    expect((await stage.record()).lease).not.toBeNull();
    const { exchange, presented } = answering('t1');
    await refresh(coordinator, exchange);
    expect(presented).toEqual(['t0']);
  });

  test('who goes away while the lease is written presents nothing, and leaves no lease', async () => {
    const abort = new AbortController();
    const leaving: TokenStore = {
      ...stage.store,
      replace: (...args) => {
        abort.abort(new Error('gone'));
        return stage.store.replace(...args);
      },
    };
    const coordinator = stage.coordinator({ store: leaving });
    const { exchange, presented } = answering('t1');
    await expect(refresh(coordinator, exchange, abort.signal)).rejects.toThrow('gone');
    await coordinator.close();
    expect(presented).toEqual([]);
    expect(await stage.record()).toMatchObject({ lease: null, unknownSince: null });
  });

  test('a process that was paused with its lease gives it back before it presents anything', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    let writes = 0;
    const slow: TokenStore = {
      ...stage.store,
      async replace(...args) {
        writes += 1;
        const written = await stage.store.replace(...args);
        if (writes === 1) vi.advanceTimersByTime(8_001);
        return written;
      },
    };
    const { exchange, presented } = answering('t1');
    await refresh(stage.coordinator({ store: slow }), exchange);
    // Lease, given back, lease, answer.
    expect([writes, presented]).toEqual([4, ['t0']]);
  });
});

describe('in one process', () => {
  test('callers of one key take turns, each with the token of the one before', async () => {
    const coordinator = stage.coordinator();
    const { exchange, presented } = answering('t1', 't2', 't3');
    await Promise.all([1, 2, 3].map(() => refresh(coordinator, exchange)));
    expect(presented).toEqual(['t0', 't1', 't2']);
  });

  test('keys have nothing to do with each other', async () => {
    await storeNewToken(stage.store, 'other', new Secret('o0'), NEVER);
    const coordinator = stage.coordinator();
    const otherDone = gate();
    const first = refresh(coordinator, async () => {
      await otherDone.opened;
      return { kind: 'answered', refreshToken: null, result };
    });
    await coordinator.refresh({ key: 'other', exchange: answering('o1').exchange, timeoutMs: 10_000, signal: NEVER });
    otherDone.open();
    await first;
  });

  test('who goes away while waiting for a turn presents nothing', async () => {
    const coordinator = stage.coordinator();
    const hold = gate();
    const begun = gate();
    const first = refresh(coordinator, holding(hold, begun));
    await begun.opened;
    const { exchange, presented } = answering('t2');
    const abort = new AbortController();
    const second = refresh(coordinator, exchange, abort.signal);
    abort.abort(new Error('gone'));
    await expect(second).rejects.toThrow('gone');
    hold.open();
    await first;
    expect(presented).toEqual([]);
  });
});

describe('after the call', () => {
  test.each<[string, ExchangeOutcome, number | null, number | null | 'now', string]>([
    ['unused', { kind: 'unused', error: unavailable }, null, null, 'token_endpoint_unavailable'],
    ['unused, after an unknown one', { kind: 'unused', error: unavailable }, 7, 7, 'token_endpoint_unavailable'],
    ['unknown', { kind: 'unknown', error: unavailable }, null, 'now', 'token_endpoint_unavailable'],
    ['unknown, after an unknown one', { kind: 'unknown', error: unavailable }, 7, 7, 'token_endpoint_unavailable'],
    ['refused', refused, null, null, 'refresh_token_refused'],
    ['refused, after an unknown one', refused, 7, 7, 'refresh_outcome_unknown'],
  ])('%s', async (_name, outcome, before, after, code) => {
    await stage.put({ unknownSince: before });
    await expect(refresh(stage.coordinator(), async () => outcome)).rejects.toMatchObject({ code });
    const record = await stage.record();
    expect(record).toMatchObject({ lease: null, unknownSince: after === 'now' ? (expect.any(Number) as number) : after });
    expect(tokensOf(record)).toEqual(['t0']);
  });

  test('a refused token is not presented again; a newer one is, at once', async () => {
    const presented: string[] = [];
    await refresh(stage.coordinator(), async (token) => {
      presented.push(token.reveal());
      if (presented.length > 1) return { kind: 'answered', refreshToken: new Secret('t9'), result };
      await stage.consent('t8');
      return refused;
    });
    expect(presented).toEqual(['t0', 't8']);
    expect(tokensOf(await stage.record())).toEqual(['t9', 't8', 't0']);
  });

  test('superseded tokens are never presented', async () => {
    await stage.put({ superseded: [new Secret('older'), new Secret('oldest')] });
    const presented: string[] = [];
    const exchange: Exchange = async (token) => {
      presented.push(token.reveal());
      return refused;
    };
    const coordinator = stage.coordinator();
    for (let attempt = 1; attempt <= 2; attempt += 1) await refresh(coordinator, exchange).catch(() => {});
    expect(presented).toEqual(['t0', 't0']);
    expect(tokensOf(await stage.record())).toEqual(['t0', 'older', 'oldest']);
  });

  test('a token that changes without end is given up', async () => {
    let changes = 0;
    const exchange: Exchange = async () => {
      changes += 1;
      await stage.consent(`new ${changes}`);
      return refused;
    };
    await expect(refresh(stage.coordinator(), exchange)).rejects.toMatchObject({ code: 'refresh_token_refused' });
    expect(changes).toBe(4);
  });

  test('a new consent during the call stays current, and what the call brought is kept beside it', async () => {
    await refresh(stage.coordinator(), async () => {
      await stage.consent('consented');
      return { kind: 'answered', refreshToken: new Secret('t1'), result };
    });
    const record = await stage.record();
    expect(record).toMatchObject({ lease: null, unknownSince: null });
    expect(tokensOf(record)).toEqual(['consented', 't1', 't0']);
  });

  test('an exchange that hangs is given up as unknown, and what it brings later is saved', async () => {
    const hold = gate();
    const saved = gate();
    const coordinator = stage.coordinator();
    const work = refresh(coordinator, holding(hold), NEVER, 50);
    await expect(work).rejects.toMatchObject({ code: 'token_endpoint_unavailable' });
    expect((await stage.record()).unknownSince).not.toBeNull();
    hold.open();
    void (async () => {
      while ((await stage.record()).refreshToken.reveal() !== 't1') await new Promise(setImmediate);
      saved.open();
    })();
    await saved.opened;
  });

  test('an exchange that throws is unknown, and what it throws is not quoted', async () => {
    const error: unknown = await refresh(stage.coordinator(), () => Promise.reject(new TypeError('MARKER'))).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'credential_unavailable', message: 'The exchange failed unexpectedly: TypeError.' });
    expect(inspect(error, { depth: null })).not.toContain('MARKER');
    expect((await stage.record()).unknownSince).not.toBeNull();
  });
});
