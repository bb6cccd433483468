import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRateCounts, type RateCounts, type Tally } from './rate-counts.js';

const rules = { few: { limit: 10, windowSeconds: 60 }, many: { limit: 1000, windowSeconds: 3600 } };
const start = Date.UTC(2026, 0, 1);

interface Stage {
  now: number;
  readonly make: (maxKeys?: number) => RateCounts<'few' | 'many'>;
}

function stage(): Stage {
  const made: Stage = { now: start, make: (maxKeys = 1000) => createRateCounts({ rules, maxKeys, now: () => made.now }) };
  return made;
}

const everything = Number.MAX_SAFE_INTEGER;

describe('the counts of one process', () => {
  test('allow as much as a plain counter of windows does', () => {
    const step = fc.record({ key: fc.constantFrom('a', 'b'), points: fc.integer({ min: 1, max: 12 }), wait: fc.integer({ min: 0, max: 40_000 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = stage();
        const counts = world.make();
        const model = new Map<string, { used: number; until: number }>();
        for (const { key, points, wait } of steps) {
          world.now += wait;
          const before = counts.check('few', key, points);
          const answer = counts.charge('few', key, points);
          const known = model.get(key);
          const current = known !== undefined && world.now < known.until ? known : { used: 0, until: world.now + answer.resetMs };
          // A refused request is charged too, until it is too much anyway.
          if (current.used <= 10) current.used += Math.min(points, 11);
          model.set(key, current);
          expect(answer).toEqual({
            allowed: current.used <= 10,
            limit: 10,
            remaining: Math.max(0, 10 - current.used),
            resetMs: current.until - world.now,
          });
          expect(before.allowed).toBe(answer.allowed);
          expect(answer.resetMs).toBeGreaterThan(0);
          expect(answer.resetMs).toBeLessThanOrEqual(60_000);
        }
      }),
    );
  });

  test('begin the windows of keys at different times', () => {
    const counts = stage().make();
    const ends = new Set(Array.from({ length: 50 }, (_, index) => counts.charge('few', String(index), 1).resetMs));
    expect(ends.size).toBeGreaterThan(40);
  });

  test('are bounded: a flood of other keys makes room by those that are not used', () => {
    const counts = stage().make(100);
    for (let count = 0; count < 10; count += 1) counts.charge('few', 'in use', 1);
    for (let flood = 0; flood < 1_000; flood += 1) {
      counts.charge('few', `flood ${flood}`, 1);
      if (flood % 50 === 0) expect(counts.charge('few', 'in use', 1).allowed).toBe(false);
    }
    expect(counts.untold(everything).flatMap((tally) => tally.counts)).toHaveLength(100);
  });

  test('a clock that goes back a little gives nothing back, and one that goes back far stops nobody for ever', () => {
    const world = stage();
    const counts = world.make();
    counts.charge('few', 'a', 11);
    const { resetMs } = counts.check('few', 'a', 1);
    world.now += resetMs;
    counts.charge('few', 'a', 11);
    world.now -= 1;
    expect(counts.check('few', 'a', 1).allowed).toBe(false);
    world.now -= 86_400_000;
    expect(counts.check('few', 'a', 1).allowed).toBe(true);
  });
});

describe('counts that are shared', () => {
  test('are told once, those nearest to their limit first, and again when somebody asks', () => {
    const counts = stage().make();
    for (const [key, points] of [
      ['a', 1],
      ['b', 9],
      ['c', 5],
    ] as const)
      counts.charge('few', key, points);
    counts.charge('many', 'd', 20);
    const told = (most: number): readonly number[] => counts.untold(most).flatMap((tally: Tally) => tally.counts.map(([, , points]) => points));
    expect(told(2)).toEqual([9, 5]);
    expect(told(2)).toEqual([1, 20]);
    expect(told(2)).toEqual([]);
    counts.tellAgain();
    expect(new Set(told(everything))).toEqual(new Set([1, 5, 9, 20]));
    // What is too much already needs no further word.
    counts.charge('few', 'b', 5);
    expect(told(everything)).toEqual([14]);
    counts.charge('few', 'b', 5);
    expect(told(everything)).toEqual([]);
  });

  test('a count that is heard twice, late, in another order or for other rules changes nothing', () => {
    const world = stage();
    const [one, two] = [world.make(), world.make()];
    one.charge('few', 'a', 2);
    const early = one.untold(everything);
    one.charge('few', 'a', 3);
    const late = one.untold(everything);
    for (const tally of [...late, ...early, ...late, ...early]) two.merge('one', tally);
    expect(two.check('few', 'a', 1).remaining).toBe(5);
    for (const { counts } of late) two.merge('one', { rule: 'unknown', counts });
    for (const { counts } of late) two.merge('three', { rule: 'few', counts: counts.map(([digest, window]) => [digest, window + 2, 1]) });
    for (const { counts } of late) two.merge('three', { rule: 'few', counts: counts.map(([digest, window]) => [digest, window - 1, 9]) });
    expect(two.check('few', 'a', 1).remaining).toBe(5);
    world.now += 60_000;
    for (const tally of late) two.merge('one', tally);
    expect(two.check('few', 'a', 1).remaining).toBe(10);
  });

  test('a process whose clock is a little behind goes over to the window of the others', () => {
    const world = stage();
    const [one, two] = [world.make(), world.make()];
    two.charge('few', 'a', 10);
    const { resetMs } = two.check('few', 'a', 1);
    world.now += resetMs;
    one.charge('few', 'a', 4);
    world.now -= 1;
    for (const tally of one.untold(everything)) two.merge('one', tally);
    expect(two.check('few', 'a', 1).remaining).toBe(6);
  });

  test('processes that come and go cost bounded memory and never give points back', () => {
    const world = stage();
    const counts = world.make();
    const other = world.make();
    other.charge('many', 'a', 3);
    const [tally] = other.untold(everything);
    if (tally === undefined) throw new Error('Nothing was told.');
    for (let sender = 0; sender < 200; sender += 1) counts.merge(`process ${sender}`, tally);
    expect(counts.check('many', 'a', 1).remaining).toBe(1000 - 600);
  });

  test('what is allowed stays within the bound, and all agree when everything has been told', () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ process: fc.nat({ max: 2 }), points: fc.integer({ min: 1, max: 3 }) }) },
      { weight: 1, arbitrary: fc.constant('round' as const) },
      { weight: 1, arbitrary: fc.record({ lost: fc.nat({ max: 2 }) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const world = stage();
        // One window for all that happens.
        const all = [world.make(), world.make(), world.make()];
        let allowed = 0;
        let knownToAll = 0;
        const round = (): void => {
          for (const [sender, counts] of all.entries()) {
            for (const tally of counts.untold(everything))
              for (const [hearer, other] of all.entries()) if (hearer !== sender) other.merge(String(sender), tally);
          }
          knownToAll = allowed;
        };
        const sinceRound = [0, 0, 0];
        for (const action of steps) {
          if (action === 'round') {
            for (const counts of all) counts.tellAgain();
            round();
            sinceRound.fill(0);
          } else if ('lost' in action) {
            // Its message gets nowhere; a later one says the same and more.
            all[action.lost]?.untold(everything);
          } else {
            const { process, points } = action;
            if (all[process]?.charge('few', 'a', points).allowed !== true) continue;
            allowed += points;
            sinceRound[process] = (sinceRound[process] ?? 0) + points;
            const byOthers = sinceRound.reduce((sum, own, index) => (index === process ? sum : sum + own), 0);
            expect(allowed - byOthers, 'beyond the limit only what the others allowed since the last round').toBeLessThanOrEqual(10);
          }
          expect(allowed).toBeLessThanOrEqual(3 * 10);
          expect(knownToAll).toBeLessThanOrEqual(allowed);
        }
        for (const counts of all) counts.tellAgain();
        round();
        const remaining = all.map((counts) => counts.check('few', 'a', 1).remaining);
        expect(new Set(remaining).size).toBe(1);
        if (allowed >= 10) for (const counts of all) expect(counts.charge('few', 'a', 1).allowed).toBe(false);
      }),
    );
  });
});
