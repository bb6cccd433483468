import { inspect } from 'node:util';
import { SallyportError, Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeRequest, type FakeServer, faultOn } from './http-server.test.support.js';
import type { StoredToken, TokenRecord, TokenStore } from './token-store.js';

/** A store and the server behind it. */
export interface StoreUnderTest {
  readonly server: FakeServer;
  /** Another store on the same server each time, as another process would have it. */
  makeStore(options: { readonly timeoutMs?: number }): TokenStore;
  /** True for the request that writes a record. */
  readonly isWrite: (request: FakeRequest) => boolean;
  /** True for the request that reads one. */
  readonly isRead: (request: FakeRequest) => boolean;
}

/** What each test gives, as a signal that nobody aborts. */
export const signal: AbortSignal = new AbortController().signal;

/** A record with these tokens and nothing under way. */
export function recordOf(token: string, ...superseded: string[]): TokenRecord {
  return { refreshToken: new Secret(token), superseded: superseded.map((one) => new Secret(one)), lease: null, unknownSince: null };
}

/** The record as plain values. */
export function plain({ record }: StoredToken): unknown {
  const { refreshToken, superseded, lease, unknownSince } = record;
  return { token: refreshToken.reveal(), superseded: superseded.map((token) => token.reveal()), lease, unknownSince };
}

/** The error that the promise rejects with, after a look whether it gives a secret away; fails when it resolves. */
export async function failureOf(promise: Promise<unknown>, secrets: readonly string[] = ['refresh-secret']): Promise<SallyportError> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof SallyportError)) throw new Error('expected a SallyportError', { cause: error });
  const shown = inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error.members) + error.hint;
  for (const secret of secrets) expect(shown).not.toContain(secret);
  return error;
}

const token = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }).filter((text) => text.isWellFormed());
const record: fc.Arbitrary<TokenRecord> = fc.record({
  refreshToken: token.filter((text) => text.trim() !== '').map((text) => new Secret(text)),
  superseded: fc.array(
    token.map((text) => new Secret(text)),
    { maxLength: 8 },
  ),
  lease: fc.option(fc.record({ owner: fc.uuid(), expiresAt: fc.nat() })),
  unknownSince: fc.option(fc.nat()),
});

/** What every store over HTTP keeps to, whatever its server: found, replaced once, told apart from a lost race, and silent about secrets. */
export function storeContract(name: string, start: () => Promise<StoreUnderTest>): void {
  describe(`${name}: the contract of a token store`, () => {
    let subject: StoreUnderTest;
    let store: TokenStore;

    beforeEach(async () => {
      subject = await start();
      store = subject.makeStore({});
    });
    afterEach(() => subject.server.close());

    test('nothing stored is token_not_found', async () => {
      const error = await failureOf(store.read('tenant-1', signal));
      expect([error.code, error.message]).toEqual(['token_not_found', expect.stringContaining('tenant-1')]);
    });

    test('a first record is created once', async () => {
      const created = await store.replace('tenant-1', null, recordOf('first'), signal);
      expect(created === null ? null : plain(created)).toEqual(plain(await store.read('tenant-1', signal)));
      expect(created?.version).toBe((await store.read('tenant-1', signal)).version);
      expect(await store.replace('tenant-1', null, recordOf('other'), signal)).toBeNull();
      expect((await store.read('tenant-1', signal)).record.refreshToken.reveal()).toBe('first');
      await expect(store.read('tenant-2', signal)).rejects.toMatchObject({ code: 'token_not_found' });
    });

    test('only what is still the same is replaced, and the version changes each time', async () => {
      const first = await store.replace('a', null, recordOf('one'), signal);
      const second = await store.replace('a', first?.version ?? '', recordOf('two', 'one'), signal);
      expect(second?.version).not.toBe(first?.version);
      expect(await store.replace('a', first?.version ?? '', recordOf('late'), signal)).toBeNull();
      expect(await store.replace('a', 'no-version-of-this-store', recordOf('late'), signal)).toBeNull();
      const third = await store.replace('a', second?.version ?? '', recordOf('two', 'one'), signal);
      expect(third?.version).not.toBe(second?.version);
      expect(plain(await store.read('a', signal))).toEqual({ token: 'two', superseded: ['one'], lease: null, unknownSince: null });
    });

    test('any record comes back as it went in', async () => {
      let version: string | null = null;
      await fc.assert(
        fc.asyncProperty(record, async (one) => {
          const stored = await store.replace('any', version, one, signal);
          version = stored?.version ?? '';
          expect(plain(await store.read('any', signal))).toEqual(plain({ record: one, version }));
        }),
        { numRuns: 30 },
      );
    });

    test('of many writers at once exactly one wins, and what it wrote is what is there', async () => {
      const first = await store.replace('a', null, recordOf('zero'), signal);
      const writers = Array.from({ length: 8 }, (_, i) => store.replace('a', first?.version ?? '', recordOf(`writer-${i}`, 'zero'), signal));
      const won = (await Promise.all(writers)).filter((result) => result !== null);
      expect(won).toHaveLength(1);
      expect(plain(await store.read('a', signal))).toEqual(plain(won[0]));
    });

    test('a write whose answer is lost is found out to have been made', async () => {
      const first = await store.replace('a', null, recordOf('one'), signal);
      subject.server.intercept = faultOn(subject.isWrite, 'lost');
      const second = await store.replace('a', first?.version ?? '', recordOf('two', 'one'), signal);
      expect(second).toMatchObject({ version: (await store.read('a', signal)).version });
      expect((await store.read('a', signal)).record.refreshToken.reveal()).toBe('two');
      expect(await store.replace('a', second?.version ?? '', recordOf('three'), signal)).not.toBeNull();
    });

    test('a first write whose answer is lost is found out as well', async () => {
      subject.server.intercept = faultOn(subject.isWrite, 'lost');
      expect(await store.replace('a', null, recordOf('one'), signal)).toMatchObject({ version: (await store.read('a', signal)).version });
    });

    test('a write that never arrived is made again, unless somebody else was first', async () => {
      const first = await store.replace('a', null, recordOf('one'), signal);
      subject.server.intercept = faultOn(subject.isWrite, 'reset');
      const second = await store.replace('a', first?.version ?? '', recordOf('two'), signal);
      expect(second).not.toBeNull();

      let attempts = 0;
      subject.server.intercept = async (request) => {
        if (!subject.isWrite(request)) return null;
        attempts += 1;
        if (attempts > 1) return null;
        await subject.makeStore({}).replace('a', second?.version ?? '', recordOf('three'), signal);
        return 'reset';
      };
      expect(await store.replace('a', second?.version ?? '', recordOf('lost the race'), signal)).toBeNull();
      expect((await store.read('a', signal)).record.refreshToken.reveal()).toBe('three');
    });

    test.each([429, 500, 503])('%i is tried again, and is retryable in the end', async (status) => {
      await store.replace('a', null, recordOf('one'), signal);
      const reply = { status, body: 'refresh-secret' };
      subject.server.intercept = faultOn(subject.isRead, reply, 2);
      expect((await store.read('a', signal)).record.refreshToken.reveal()).toBe('one');
      subject.server.intercept = faultOn(subject.isRead, { ...reply, headers: { 'retry-after': '3600' } });
      const error = await failureOf(store.read('a', signal));
      expect([error.code, error.members]).toEqual(['token_store_failed', { retryable: true, retry_after: 3600 }]);
    });

    test('a server that keeps failing is a retryable failure that stored nothing', async () => {
      subject.server.intercept = faultOn(subject.isWrite, { status: 500 }, Number.POSITIVE_INFINITY);
      const error = await failureOf(store.replace('a', null, recordOf('refresh-secret'), signal));
      expect([error.code, error.members.retryable]).toEqual(['token_store_failed', true]);
      expect(subject.server.requests.filter(subject.isWrite)).toHaveLength(3);
      subject.server.intercept = () => null;
      await expect(store.read('a', signal)).rejects.toMatchObject({ code: 'token_not_found' });
    });

    test('silence ends with the time limit', async () => {
      const hasty = subject.makeStore({ timeoutMs: 150 });
      await hasty.replace('a', null, recordOf('one'), signal);
      subject.server.intercept = faultOn(subject.isRead, 'hang', Number.POSITIVE_INFINITY);
      const error = await failureOf(hasty.read('a', signal));
      expect([error.code, error.members.retryable, error.message]).toEqual(['token_store_failed', true, expect.stringContaining('within 150 ms')]);
    });

    test('an abort rejects with its reason, before and while it waits', async () => {
      const reason = new Error('gone');
      await expect(store.read('a', AbortSignal.abort(reason))).rejects.toBe(reason);
      await expect(store.replace('a', null, recordOf('one'), AbortSignal.abort(reason))).rejects.toBe(reason);
      const abort = new AbortController();
      subject.server.intercept = (request) => {
        if (!subject.isRead(request)) return null;
        abort.abort(reason);
        return 'hang';
      };
      await expect(store.read('a', abort.signal)).rejects.toBe(reason);
    });

    test('no redirect is followed', async () => {
      const headers = { location: `${subject.server.url}/elsewhere` };
      subject.server.intercept = faultOn(subject.isRead, { status: 307, headers }, Number.POSITIVE_INFINITY);
      expect((await failureOf(store.read('a', signal))).code).toBe('token_store_failed');
      expect(subject.server.requests.some(({ path }) => path === '/elsewhere')).toBe(false);
    });

    test.each([
      ['more than 1 MiB', 'x'.repeat(1024 * 1024 + 1)],
      ['no JSON', '<html>refresh-secret</html>'],
      ['JSON of something else', '{"refresh-secret":[1]}'],
      ['nothing', ''],
    ])('an answer that is %s is a failure that is not retried', async (_, body) => {
      subject.server.intercept = faultOn(subject.isRead, { status: 200, headers: { etag: '"1"' }, body }, Number.POSITIVE_INFINITY);
      const error = await failureOf(store.read('a', signal));
      expect([error.code, error.members.retryable]).toEqual(['token_store_failed', false]);
      expect(subject.server.requests.filter(subject.isRead)).toHaveLength(1);
    });

    test('a server that throws everything back at the store is not quoted', async () => {
      subject.server.intercept = (request) => {
        const echo = JSON.stringify([request.body, request.headers]);
        const errors = [echo, JSON.stringify(request.headers)];
        return { status: 400, body: { error: { code: echo, message: echo }, errors, error_description: echo } };
      };
      const error = await failureOf(store.replace('a', null, recordOf('refresh-secret'), signal), ['refresh-secret', 'token-value', 'secret-value']);
      expect(error.members.retryable).toBe(false);
    });

    test.each(['', '.', '..', '../b', 'a/b', 'a%2fb', 'a b', 'ä', '-a', 'a\n', 'x'.repeat(256)])(
      'the key %j is refused before anything is sent',
      async (key) => {
        for (const call of [store.read(key, signal), store.replace(key, null, recordOf('refresh-secret'), signal)]) {
          expect((await failureOf(call)).members.retryable).toBe(false);
        }
        expect(subject.server.requests).toEqual([]);
      },
    );

    test.each(['a', '0', 'contoso.onmicrosoft.com', '8b87af7d-8647-4dc7-8df4-5f69a2011bb5', 'a..b', 'user@host:1_2'])(
      'the key %j is kept',
      async (key) => {
        await store.replace(key, null, recordOf(`token of ${key}`), signal);
        expect((await store.read(key, signal)).record.refreshToken.reveal()).toBe(`token of ${key}`);
      },
    );
  });
}
