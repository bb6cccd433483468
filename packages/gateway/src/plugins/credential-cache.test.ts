import { inspect } from 'node:util';
import { SallyportError, TransactionContext } from '@sallyport/sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { rawContextKey } from './context-hash.js';
import { type AskPlugin, CredentialCache, type CredentialKey } from './credential-cache.js';
import { PlacedFields } from './placed-fields.js';
import type { CredentialsAnswer, RequestChanges } from './plugin-host.js';

const LIFE = 100_000;
const refreshFailures: SallyportError[] = [];
let cache: CredentialCache;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
  cache = new CredentialCache({ entries: 100, onRefreshFailure: (error) => refreshFailures.push(error) });
});
afterEach(() => {
  cache.close();
  refreshFailures.length = 0;
  vi.useRealTimers();
});

const unchanged: RequestChanges = { fields: new PlacedFields([]), path: null, query: null, bodyRead: null, replacement: null };
const fast = (value: string, life = LIFE): CredentialsAnswer => ({
  credential: { fields: new PlacedFields([{ name: 'X-Key', values: [value] }]), expiresAt: Date.now() + life },
  changes: unchanged,
});
const slow: CredentialsAnswer = { credential: null, changes: { ...unchanged, query: '?sig=1' } };
const broken = (code: 'plugin_failed' | 'context_data_missing' = 'plugin_failed') => new SallyportError(code, { detail: 'the vault is down' });

function keyOf(vendorId: string, { caller = 'platform', data = '' } = {}): CredentialKey {
  const context = new TransactionContext({
    targetUrl: 'https://h',
    vendorId,
    data: data === '' ? null : (JSON.parse(data) as Record<string, unknown>),
  });
  return { raw: rawContextKey(caller, ['https://h', vendorId, data]), context, caller };
}

const open = () => new AbortController().signal;
/** Answers one after the other; fails when it is asked more often. */
function plugin(...answers: (CredentialsAnswer | Error)[]) {
  return vi.fn<AskPlugin>(() => {
    const answer = answers.shift();
    if (answer === undefined) return Promise.reject(new Error('asked too often'));
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  });
}
function deferred() {
  let resolve: (answer: CredentialsAnswer) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<CredentialsAnswer>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { ask: vi.fn<AskPlugin>(() => promise), resolve, reject };
}
const linesOf = async (obtained: ReturnType<CredentialCache['obtain']>) => (await obtained).credential?.fields.lines;
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('a credential of the fast path', () => {
  test('is kept, and is the same object with the same lines for every use', async () => {
    const ask = plugin(fast('one'));
    const key = keyOf('v');
    expect(cache.cached(key.raw)).toBeNull();
    const { credential, changes } = await cache.obtain(key, ask, open());
    expect(changes).toBe(unchanged);
    expect(cache.cached(key.raw)).toBe(credential);
    expect(cache.cached(key.raw)?.fields.lines).toBe('X-Key: one\r\n');
    expect((await cache.obtain(key, ask, open())).credential).toBe(credential);
    expect(ask).toHaveBeenCalledTimes(1);
  });

  test('is found under another spelling of the same data', async () => {
    const ask = plugin(fast('one'));
    await cache.obtain(keyOf('v', { data: '{"a":1,"b":2}' }), ask, open());
    const other = keyOf('v', { data: '{"b":2,"a":1}' });
    expect(cache.cached(other.raw)).toBeNull();
    expect(await linesOf(cache.obtain(other, ask, open()))).toBe('X-Key: one\r\n');
    expect(cache.cached(other.raw)).not.toBeNull();
  });

  test('is never given to another caller, nor to another context', async () => {
    const ask = plugin(fast('a'), fast('b'), fast('c'));
    expect(await linesOf(cache.obtain(keyOf('v', { caller: 'a' }), ask, open()))).toBe('X-Key: a\r\n');
    expect(await linesOf(cache.obtain(keyOf('v', { caller: 'b' }), ask, open()))).toBe('X-Key: b\r\n');
    expect(await linesOf(cache.obtain(keyOf('w', { caller: 'a' }), ask, open()))).toBe('X-Key: c\r\n');
  });

  test('is dropped at its expiry', async () => {
    const ask = plugin(fast('one'), fast('two'));
    const key = keyOf('v');
    await cache.obtain(key, ask, open());
    vi.advanceTimersByTime(LIFE - 1);
    expect(cache.cached(key.raw)).not.toBeNull();
    vi.advanceTimersByTime(1);
    expect(cache.cached(key.raw)).toBeNull();
    expect(await linesOf(cache.obtain(key, ask, open()))).toBe('X-Key: two\r\n');
  });

  test('prints no value, wherever it is', async () => {
    await cache.obtain(keyOf('v'), plugin(fast('hunter2')), open());
    expect(inspect(cache, { depth: 20, showHidden: true }) + inspect(cache.cached(keyOf('v').raw), { depth: 20, showHidden: true })).not.toContain(
      'hunter2',
    );
  });

  test('makes room for others: the least recently used goes', async () => {
    cache.close();
    cache = new CredentialCache({ entries: 2, onRefreshFailure: () => {} });
    for (const vendor of ['a', 'b']) await cache.obtain(keyOf(vendor), plugin(fast(vendor)), open());
    expect(cache.cached(keyOf('a').raw)).not.toBeNull();
    await cache.obtain(keyOf('c'), plugin(fast('c')), open());
    expect(cache.cached(keyOf('b').raw)).toBeNull();
    expect(cache.cached(keyOf('a').raw)?.fields.lines).toBe('X-Key: a\r\n');
  });
});

describe('one call for many', () => {
  test('is made when many ask for the same', async () => {
    const { ask, resolve } = deferred();
    const asked = [1, 2, 3].map(() => cache.obtain(keyOf('v'), ask, open()));
    resolve(fast('one'));
    for (const one of asked) expect(await linesOf(one)).toBe('X-Key: one\r\n');
    expect(ask).toHaveBeenCalledTimes(1);
  });

  test('goes on when the one who began it goes away', async () => {
    const { ask, resolve } = deferred();
    const client = new AbortController();
    const first = cache.obtain(keyOf('v'), ask, client.signal);
    const second = cache.obtain(keyOf('v'), ask, open());
    client.abort(new SallyportError('client_aborted'));
    await expect(first).rejects.toMatchObject({ code: 'client_aborted' });
    expect(ask.mock.calls[0][0].aborted).toBe(false);
    resolve(fast('one'));
    expect(await linesOf(second)).toBe('X-Key: one\r\n');
    expect(cache.cached(keyOf('v').raw)).not.toBeNull();
  });

  test('fails for all when the plugin fails, and for one when one request was at fault', async () => {
    const down = deferred();
    const both = Promise.allSettled([cache.obtain(keyOf('v'), down.ask, open()), cache.obtain(keyOf('v'), down.ask, open())]);
    down.reject(broken());
    for (const one of await both) expect(one).toMatchObject({ reason: { code: 'plugin_failed' } });

    const faulty = deferred();
    const first = cache.obtain(keyOf('w'), faulty.ask, open());
    const second = cache.obtain(keyOf('w'), plugin(fast('own')), open());
    faulty.reject(new SallyportError('body_too_large'));
    await expect(first).rejects.toMatchObject({ code: 'body_too_large' });
    expect(await linesOf(second)).toBe('X-Key: own\r\n');
  });
});

describe('an answer for one request only', () => {
  test('is not kept: every request is asked about, in parallel', async () => {
    await cache.obtain(keyOf('v'), plugin(slow), open());
    expect(cache.cached(keyOf('v').raw)).toBeNull();
    const calls = [deferred(), deferred(), deferred()];
    const asked = calls.map(({ ask }) => cache.obtain(keyOf('v'), ask, open()));
    for (const { ask } of calls) expect(ask).toHaveBeenCalledTimes(1);
    calls[2].resolve(slow);
    expect(await asked[2]).toEqual({ credential: null, changes: slow.changes });
    calls[0].reject(broken());
    await expect(asked[0]).rejects.toMatchObject({ code: 'plugin_failed' });
    // The failure of one says nothing about the next, as nobody shares anything.
    calls[1].resolve(slow);
    expect((await asked[1]).changes).toBe(slow.changes);
    expect((await cache.obtain(keyOf('v'), plugin(slow), open())).credential).toBeNull();
  });

  test('is not shared with those who waited for it: each is asked about for itself', async () => {
    const { ask, resolve } = deferred();
    const first = cache.obtain(keyOf('v'), ask, open());
    const own = { credential: null, changes: { ...unchanged, query: '?sig=2' } };
    const second = cache.obtain(keyOf('v'), plugin(own), open());
    resolve(slow);
    expect((await first).changes).toBe(slow.changes);
    expect((await second).changes).toBe(own.changes);
  });

  test('goes with its request: the call is aborted when the client is gone', async () => {
    await cache.obtain(keyOf('v'), plugin(slow), open());
    const { ask } = deferred();
    const client = new AbortController();
    void cache.obtain(keyOf('v'), ask, client.signal);
    client.abort();
    expect(ask.mock.calls[0][0].aborted).toBe(true);
  });

  test.each([{ path: '/x' }, { query: '' }, { replacement: new Uint8Array(1) }, { fields: new PlacedFields([{ name: 'A', values: [] }]) }])(
    'is a credential together with changes, too',
    async (change) => {
      const both = { ...fast('one'), changes: { ...unchanged, ...change } };
      const { credential, changes } = await cache.obtain(keyOf('v'), plugin(both), open());
      expect(credential?.fields.lines).toBe('X-Key: one\r\n');
      expect(changes).toBe(both.changes);
      expect(cache.cached(keyOf('v').raw)).toBeNull();
    },
  );

  test('but a credential that is answered later on is kept', async () => {
    await cache.obtain(keyOf('v'), plugin(slow), open());
    await cache.obtain(keyOf('v'), plugin(fast('one')), open());
    expect(cache.cached(keyOf('v').raw)).not.toBeNull();
  });
});

describe('a refresh', () => {
  const key = keyOf('v');

  test('is due in the last tenth of the life, is made once, and puts the new credential in the place of the old', async () => {
    await cache.obtain(key, plugin(fast('one')), open());
    const one = cache.cached(key.raw);
    expect(one?.refreshAt).toBe(Date.now() + LIFE * 0.9);
    const { ask, resolve } = deferred();
    cache.refresh(key.raw, ask);
    cache.refresh(key.raw, ask);
    expect(cache.cached(key.raw)).toBe(one);
    expect((await cache.obtain(key, ask, open())).credential).toBe(one);
    resolve(fast('two'));
    await settled();
    expect(cache.cached(key.raw)?.fields.lines).toBe('X-Key: two\r\n');
    expect(ask).toHaveBeenCalledTimes(1);
  });

  test('that fails leaves the old one in use, says so, and is not tried again at once', async () => {
    await cache.obtain(key, plugin(fast('one')), open());
    const ask = plugin(broken('context_data_missing'), fast('two'));
    cache.refresh(key.raw, ask);
    await settled();
    cache.refresh(key.raw, ask);
    await settled();
    expect(ask).toHaveBeenCalledTimes(1);
    expect(refreshFailures).toMatchObject([{ code: 'context_data_missing' }]);
    expect(cache.cached(key.raw)?.fields.lines).toBe('X-Key: one\r\n');
    vi.advanceTimersByTime(1_000);
    cache.refresh(key.raw, ask);
    await settled();
    expect(cache.cached(key.raw)?.fields.lines).toBe('X-Key: two\r\n');
  });

  test('that answers nothing to keep leaves the old one until it expires, and is not repeated', async () => {
    await cache.obtain(key, plugin(fast('one')), open());
    const ask = plugin(slow);
    cache.refresh(key.raw, ask);
    await settled();
    cache.refresh(key.raw, ask);
    expect(ask).toHaveBeenCalledTimes(1);
    expect(cache.cached(key.raw)).not.toBeNull();
  });

  test('of what is not there is none', () => {
    const ask = plugin();
    cache.refresh('nothing', ask);
    expect(ask).not.toHaveBeenCalled();
  });
});

describe('after a failed call', () => {
  test('none is made for a while, which doubles up to half a minute; a success ends it', async () => {
    const key = keyOf('v');
    for (const pause of [1, 2, 4, 8, 16, 30, 30]) {
      await expect(cache.obtain(key, plugin(broken()), open())).rejects.toMatchObject({ code: 'plugin_failed' });
      vi.advanceTimersByTime(pause * 1_000 - 1);
      const ask = plugin();
      await expect(cache.obtain(key, ask, open())).rejects.toMatchObject({
        code: 'plugin_failed',
        message: 'the vault is down',
        members: { retry_after: 1 },
      });
      expect(ask).not.toHaveBeenCalled();
      vi.advanceTimersByTime(1);
    }
    await cache.obtain(key, plugin(fast('one', 10)), open());
    vi.advanceTimersByTime(10);
    await expect(cache.obtain(key, plugin(broken()), open())).rejects.toMatchObject({ code: 'plugin_failed' });
    vi.advanceTimersByTime(1_000);
    expect(await linesOf(cache.obtain(key, plugin(fast('two')), open()))).toBe('X-Key: two\r\n');
  });

  test('others are called for as ever, and a clock that is set back does not prolong it', async () => {
    await expect(cache.obtain(keyOf('v'), plugin(broken()), open())).rejects.toMatchObject({ code: 'plugin_failed' });
    await cache.obtain(keyOf('w'), plugin(fast('w')), open());
    vi.setSystemTime(Date.now() - 3_600_000);
    expect(await linesOf(cache.obtain(keyOf('v'), plugin(fast('v')), open()))).toBe('X-Key: v\r\n');
  });

  test.each(['context_data_missing', 'body_too_large', 'client_aborted'] as const)(
    'for which the caller is to blame (%s), the next is made',
    async (code) => {
      await expect(cache.obtain(keyOf('v'), plugin(new SallyportError(code)), open())).rejects.toMatchObject({ code });
      expect(await linesOf(cache.obtain(keyOf('v'), plugin(fast('v')), open()))).toBe('X-Key: v\r\n');
    },
  );
});

describe('a credential that the upstream refused', () => {
  test('is forgotten by the first who says so; the others get its successor', async () => {
    const key = keyOf('v');
    await cache.obtain(key, plugin(fast('one')), open());
    const one = cache.cached(key.raw);
    if (one === null) throw new Error('not kept');
    cache.invalidate(key.raw, one);
    expect(cache.cached(key.raw)).toBeNull();
    await cache.obtain(key, plugin(fast('two')), open());
    cache.invalidate(key.raw, one);
    expect(cache.cached(key.raw)?.fields.lines).toBe('X-Key: two\r\n');
  });
});

describe('a cache that is closed', () => {
  test('forgets everything, aborts its calls and takes no more', async () => {
    const { ask, reject } = deferred();
    await cache.obtain(keyOf('w'), plugin(fast('w')), open());
    const asked = cache.obtain(keyOf('v'), ask, open());
    cache.close();
    expect(ask.mock.calls[0][0].aborted).toBe(true);
    reject(ask.mock.calls[0][0].reason as Error);
    await expect(asked).rejects.toMatchObject({ code: 'plugin_failed' });
    expect(cache.cached(keyOf('w').raw)).toBeNull();
    await expect(cache.obtain(keyOf('w'), ask, open())).rejects.toMatchObject({ code: 'plugin_failed' });
  });

  test('drops what expired on its own, within half a minute', async () => {
    await cache.obtain(keyOf('v'), plugin(fast('one', 1_000)), open());
    vi.advanceTimersByTime(30_000);
    // Had it only been hidden by its expiry, it would be back now.
    vi.setSystemTime(Date.now() - 30_000);
    expect(cache.cached(keyOf('v').raw)).toBeNull();
  });
});
