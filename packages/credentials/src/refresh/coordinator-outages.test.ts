import { inspect } from 'node:util';
import { SallyportError, Secret } from '@sallyport/sdk';
import { describe, expect, test, vi } from 'vitest';
import type { Material } from '../material.js';
import { freshRecord } from '../stores/token-record-json.js';
import type { TokenStore } from '../stores/token-store.js';
import type { RefreshCoordinator } from './coordinator.js';
import { answering, CoordinatorStage, foreign, holding, passSeconds, refresh, refused, result } from './coordinator-stage.test.support.js';
import type { Exchange } from './exchange.js';
import { gate } from './gate.test.support.js';
import { storeNewToken } from './store-new-token.js';
import { NEVER, recordOf, tokensOf } from './stored-record.test.support.js';

const KEY = 'somebody';
const stage = CoordinatorStage.forEachTest();

describe('while the store takes nothing', () => {
  test('each failure to save is told, and close tries once more', async () => {
    let down = false;
    const told: string[] = [];
    const broken: TokenStore = {
      ...stage.store,
      replace: (...args) => (down ? Promise.reject(new SallyportError('token_store_failed', { detail: 'full' })) : stage.store.replace(...args)),
    };
    const coordinator = stage.coordinator({ store: broken, onSaveError: (key, { message }) => told.push(`${key}: ${message}`) });
    await refresh(coordinator, async () => {
      down = true;
      return { kind: 'answered', refreshToken: new Secret('t1'), result };
    });
    expect(told).toEqual([`${KEY}: full`]);
    await coordinator.close();
    expect(told).toHaveLength(2);
    down = false;
    await coordinator.close();
    expect(told).toHaveLength(2);
    expect(tokensOf(await stage.record())).toEqual(['t1', 't0']);
  });

  test('the retry comes by itself', async () => {
    let failures = 3;
    const broken: TokenStore = {
      ...stage.store,
      replace: (key, expected, record, signal) => {
        if (record.lease !== null || failures <= 0) return stage.store.replace(key, expected, record, signal);
        failures -= 1;
        return Promise.reject(new Error('busy'));
      },
    };
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await refresh(stage.coordinator({ store: broken }), answering('t1').exchange);
    expect(failures).toBe(2);
    while ((await stage.record()).lease !== null) await passSeconds(1);
    expect(failures).toBe(0);
    expect(tokensOf(await stage.record())).toEqual(['t1', 't0']);
  });

  test('a store that never answers is given up', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const silent: TokenStore = { ...stage.store, read: () => new Promise(() => {}) };
    const work = refresh(stage.coordinator({ store: silent }), answering().exchange).catch((reason: unknown) => reason);
    await passSeconds(9);
    expect(await work).toMatchObject({ code: 'token_store_failed', message: 'The token store (memory) did not answer within 8 s.' });
  });
});

describe('reusable tokens', () => {
  const share = (coordinator: RefreshCoordinator, exchange: Exchange): Promise<Material> =>
    coordinator.refreshReusable({ key: KEY, exchange, timeoutMs: 10_000, signal: NEVER });

  test('any number at a time, no lease, no journal, no token lost', async () => {
    const coordinator = stage.coordinator();
    const all = gate();
    let count = 0;
    const work = Array.from({ length: 5 }, (_, index) =>
      share(coordinator, async () => {
        count += 1;
        if (count === 5) all.open();
        await all.opened;
        expect(await stage.record()).toMatchObject({ lease: null, unknownSince: null });
        return { kind: 'answered', refreshToken: new Secret(`s${index}`), result };
      }),
    );
    await Promise.all(work);
    expect(tokensOf(await stage.record()).sort()).toEqual(['s0', 's1', 's2', 's3', 's4', 't0']);
  });

  test('what is refused is read again, and adopted when it changed', async () => {
    const presented: string[] = [];
    const exchange: Exchange = async (token) => {
      presented.push(token.reveal());
      if (presented.length > 1) return { kind: 'answered', refreshToken: null, result };
      await stage.consent('t1');
      return refused;
    };
    await share(stage.coordinator(), exchange);
    expect(presented).toEqual(['t0', 't1']);
    await expect(share(stage.coordinator(), async () => refused)).rejects.toMatchObject({ code: 'refresh_token_refused' });
  });

  test('a token that could not be saved is the one that is presented next', async () => {
    let down = true;
    const broken: TokenStore = { ...stage.store, replace: (...args) => (down ? Promise.reject(new Error('full')) : stage.store.replace(...args)) };
    const coordinator = stage.coordinator({ store: broken });
    const { exchange, presented } = answering('t1', 't2');
    await share(coordinator, exchange);
    await share(coordinator, exchange);
    expect(presented).toEqual(['t0', 't1']);
    down = false;
    await coordinator.close();
    expect(tokensOf(await stage.record())).toEqual(['t2', 't1', 't0']);
  });
});

test('many at a time are no leak, as far as Node.js can tell', async () => {
  const warnings: string[] = [];
  const note = (warning: Error): void => void warnings.push(warning.message);
  process.on('warning', note);
  const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`);
  await Promise.all(keys.map((key) => storeNewToken(stage.store, key, new Secret(key), NEVER)));
  const coordinator = stage.coordinator();
  const all = gate();
  let count = 0;
  const exchange: Exchange = async () => {
    count += 1;
    if (count === keys.length) all.open();
    await all.opened;
    return { kind: 'answered', refreshToken: null, result };
  };
  await Promise.all(keys.map((key) => coordinator.refresh({ key, exchange, timeoutMs: 10_000, signal: new AbortController().signal })));
  await new Promise(setImmediate);
  process.off('warning', note);
  expect(warnings).toEqual([]);
});

describe('close', () => {
  test('waits for a call that has begun, and refuses new ones', async () => {
    const coordinator = stage.coordinator();
    const hold = gate();
    const begun = gate();
    const work = refresh(coordinator, holding(hold, begun));
    await begun.opened;
    let over = false;
    const closed = coordinator.close().then(() => {
      over = true;
    });
    await expect(refresh(coordinator, answering().exchange)).rejects.toMatchObject({ code: 'credential_unavailable' });
    await stage.seen();
    expect(over).toBe(false);
    hold.open();
    await closed;
    expect((await work).secret.reveal()).toBe('access');
    expect(tokensOf(await stage.record())).toEqual(['t1', 't0']);
  });

  test('ends the wait for the lease of a sibling', async () => {
    await stage.put({ lease: foreign(Date.now() + 60_000) });
    const coordinator = stage.coordinator();
    const work = refresh(coordinator, answering().exchange);
    const outcome = work.catch((reason: unknown) => reason);
    await stage.seen();
    await coordinator.close();
    expect(await outcome).toMatchObject({ code: 'credential_unavailable', message: 'The refresh coordinator is closed.' });
  });
});

test('nothing that is printed holds a token', async () => {
  const coordinator = stage.coordinator({ store: { ...stage.store, replace: () => Promise.reject(new Error('full')) } });
  await coordinator
    .refreshReusable({ key: KEY, exchange: answering('MARKER').exchange, timeoutMs: 10_000, signal: NEVER })
    .then((material) => expect(inspect(material, { depth: null })).not.toContain('MARKER'));
  expect(inspect(coordinator, { depth: null, showHidden: true })).not.toContain('MARKER');
  expect(inspect(await stage.record(), { depth: null })).not.toContain('t0');
});

test('a new token goes over whatever is there', async () => {
  await storeNewToken(stage.store, 'fresh', new Secret('f0'), NEVER);
  expect(await recordOf(stage.store, 'fresh')).toEqual(freshRecord(expect.any(Secret) as Secret));
  await stage.put({ lease: foreign(1), unknownSince: 7 });
  await stage.consent('n');
  expect(await stage.record()).toMatchObject({ lease: null, unknownSince: null });
  expect(tokensOf(await stage.record())).toEqual(['n', 't0']);
});
