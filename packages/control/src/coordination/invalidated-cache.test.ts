import * as fc from 'fast-check';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { migrate } from '../database/migrate.js';
import { withTables } from '../database/schema.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import type { Bus, BusListener } from './bus.js';
import { openBus, until } from './coordination.test.support.js';
import { ALL_KEYS, createInvalidatedCache, type InvalidatedCache, type InvalidatedCacheOptions } from './invalidated-cache.js';

/** A bus whose messages come when the test says so. */
function handBus(): { readonly bus: Bus; readonly say: (key: string) => void; readonly miss: () => void; listening: boolean } {
  const listeners = new Set<BusListener>();
  const hand = {
    listening: true,
    say: (key: string) => {
      for (const listener of listeners) listener.message(key);
    },
    miss: () => {
      for (const listener of listeners) listener.missed();
    },
    bus: {
      subscribe: (_topic: string, listener: BusListener) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
      listening: () => hand.listening,
    } as unknown as Bus,
  };
  return hand;
}

function cacheOn(bus: Bus, load: InvalidatedCacheOptions<string>['load']): InvalidatedCache<string> {
  return createInvalidatedCache({ bus, topic: 'actors', load, maxEntries: 2, maxAgeMs: 60_000 });
}

/** A `load` whose reads end when the test says so, in the order they began. */
function slowReads(): { readonly load: (key: string) => Promise<string | undefined>; readonly ends: ((value: string | undefined) => void)[] } {
  const ends: ((value: string | undefined) => void)[] = [];
  return { ends, load: () => new Promise((resolve) => void ends.push(resolve)) };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('the cache', () => {
  test('reads once, also for many who ask at once, and again when it is told', async () => {
    const hand = handBus();
    let reads = 0;
    const cache = cacheOn(hand.bus, async (key) => {
      reads += 1;
      return `${key} ${reads}`;
    });
    expect(await Promise.all([cache.get('a'), cache.get('a'), cache.get('a')])).toEqual(['a 1', 'a 1', 'a 1']);
    expect([await cache.get('a'), await cache.get('b')]).toEqual(['a 1', 'b 2']);
    hand.say('b');
    expect([await cache.get('a'), await cache.get('b')]).toEqual(['a 1', 'b 3']);
    hand.say(ALL_KEYS);
    expect([await cache.get('a'), await cache.get('b')]).toEqual(['a 4', 'b 5']);
    hand.miss();
    expect([await cache.get('a'), await cache.get('b')]).toEqual(['a 6', 'b 7']);
    await cache.get('c');
    expect(await cache.get('a'), 'only two fit').toBe('a 9');
    cache.close();
    expect([await cache.get('a'), await cache.get('a')]).toEqual(['a 10', 'a 11']);
  });

  test('a value that was read before a change that was announced meanwhile is read again, whoever asked', async () => {
    for (const announce of ['key', 'all', 'missed'] as const) {
      const hand = handBus();
      const { load, ends } = slowReads();
      const cache = cacheOn(hand.bus, load);
      const before = cache.get('a');
      await turn();
      if (announce === 'missed') hand.miss();
      else hand.say(announce === 'all' ? ALL_KEYS : 'a');
      const after = cache.get('a');
      ends[0]?.('old');
      await turn();
      expect(ends).toHaveLength(2);
      ends[1]?.('new');
      expect(await Promise.all([before, after])).toEqual(['new', 'new']);
      expect(await cache.get('a')).toBe('new');
      expect(ends).toHaveLength(2);
    }
  });

  test('a change of another key disturbs no read', async () => {
    const hand = handBus();
    const { load, ends } = slowReads();
    const cache = cacheOn(hand.bus, load);
    const reading = cache.get('a');
    await turn();
    hand.say('b');
    ends[0]?.('value');
    expect([await reading, await cache.get('a'), ends.length]).toEqual(['value', 'value', 1]);
  });

  test('gives up on what changes faster than it can be read, and tries anew for the next', async () => {
    const hand = handBus();
    let calm = false;
    const cache = cacheOn(hand.bus, async (key) => {
      if (!calm) hand.say(key);
      return 'value';
    });
    await expect(cache.get('a')).rejects.toMatchObject({ code: 'database_busy' });
    calm = true;
    expect(await cache.get('a')).toBe('value');
  });

  test('keeps neither errors nor what is not there, and nothing while the bus does not listen', async () => {
    const hand = handBus();
    const answers: (string | Error | undefined)[] = [new Error('down'), undefined, 'first', 'second', 'third'];
    const cache = cacheOn(hand.bus, async () => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    });
    await expect(cache.get('a')).rejects.toThrow('down');
    expect(await cache.get('a')).toBeUndefined();
    hand.listening = false;
    expect([await cache.get('a'), await cache.get('a')]).toEqual(['first', 'second']);
    hand.listening = true;
    expect([await cache.get('a'), await cache.get('a')]).toEqual(['third', 'third']);
  });

  test('who gives up does not take the read from the others', async () => {
    const hand = handBus();
    const { load, ends } = slowReads();
    const cache = cacheOn(hand.bus, load);
    const leaving = new AbortController();
    const [leaves, stays] = [cache.get('a', leaving.signal), cache.get('a')];
    leaving.abort(new Error('gone'));
    await expect(leaves).rejects.toThrow('gone');
    await expect(cache.get('a', leaving.signal)).rejects.toThrow('gone');
    ends[0]?.('value');
    expect(await stays).toBe('value');
  });

  test('never answers with what was outdated before the question, in any order of writes, announcements and reads', async () => {
    const step = fc.constantFrom('write', 'get', 'begin', 'end', 'miss', 'silence', 'listen');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const hand = handBus();
        let version = 0;
        const pending: (() => void)[] = [];
        // A read sees the version at its beginning, as a snapshot does, and ends later.
        const load = (): Promise<string> => {
          const seen = String(version);
          return new Promise((resolve) => void pending.push(() => resolve(seen)));
        };
        const cache = cacheOn(hand.bus, load);
        const asked: Promise<void>[] = [];
        const write = (): void => {
          version += 1;
          if (hand.listening) hand.say('a');
        };
        const ask = (): void => {
          const atLeast = version;
          asked.push(cache.get('a').then((value) => expect(Number(value)).toBeGreaterThanOrEqual(atLeast)));
        };
        for (const action of steps) {
          if (action === 'write') write();
          else if (action === 'get') ask();
          else if (action === 'end') pending.shift()?.();
          else if (action === 'begin') await turn();
          else if (action === 'miss') hand.miss();
          else {
            hand.listening = action === 'listen';
            hand.miss();
          }
        }
        let over = false;
        const all = Promise.allSettled(asked).then((results) => {
          over = true;
          return results;
        });
        while (!over) {
          pending.shift()?.();
          await turn();
        }
        for (const result of await all) {
          if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'database_busy' });
        }
      }),
    );
  });
});

describeOnBoth('the cache on the bus', (databases) => {
  test('follows the changes of another process, and those of this one at once', async () => {
    const options = await databases.empty();
    const setUp = databases.opened(options);
    await migrate(setUp);
    await sql`create table numbers (id integer primary key, value integer not null)`.execute(setUp.db);
    await sql`insert into numbers values (1, 0)`.execute(setUp.db);
    const [one, two] = [await openBus(databases, options), await openBus(databases, options)];
    const caches = [one, two].map(({ bus }) =>
      createInvalidatedCache({
        bus,
        topic: 'numbers',
        maxEntries: 10,
        maxAgeMs: 600_000,
        load: async (key) => {
          const query = withTables<{ numbers: { id: number; value: number } }>(bus.database.db).selectFrom('numbers');
          return (await query.select('value').where('id', '=', Number(key)).executeTakeFirst())?.value;
        },
      }),
    );
    for (let value = 1; value <= 30; value += 1) {
      const writer = value % 2 === 0 ? one : two;
      const [own, other] = value % 2 === 0 ? caches : caches.toReversed();
      // Reads that are under way when the change is made.
      const reading = [own?.get('1'), other?.get('1')];
      await writer.bus.database.transaction(async (trx) => {
        await sql`update numbers set value = ${value} where id = 1`.execute(trx);
        await writer.bus.publishIn(trx, 'numbers', '1');
      });
      expect(await own?.get('1')).toBe(value);
      await Promise.all(reading);
      expect(await own?.get('1')).toBe(value);
      if (value % 5 === 0) await until(async () => (await other?.get('1')) === value);
    }
  });
});
