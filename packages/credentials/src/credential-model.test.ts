import { SallyportError, Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Credential } from './credential.js';
import type { Material } from './material.js';
import { unavailable } from './unavailable.js';

type Step =
  | { readonly do: 'resolve' | 'current' | 'invalidate' | 'change' | 'fail' }
  | { readonly do: 'abort'; readonly caller: number }
  | { readonly do: 'succeed'; readonly lifetime: number | null }
  | { readonly do: 'clock'; readonly by: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('resolve' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('current' as const, 'invalidate' as const, 'change' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fail' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('abort' as const), caller: fc.nat({ max: 8 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('succeed' as const), lifetime: fc.option(fc.integer({ min: -1_000, max: 300_000 })) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('clock' as const), by: fc.oneof(fc.nat({ max: 2_000 }), fc.integer({ min: -100_000, max: 400_000 })) }),
  },
);

interface Flight {
  readonly succeed: (material: Material) => void;
  readonly fail: (error: unknown) => void;
}

interface Waiter {
  readonly abort: AbortController;
  readonly reason: Error;
  aborted: boolean;
  outcome: 'waiting' | 'material' | 'aborted' | 'failed';
}

/** Plays a script against a credential. What must never happen is noted where it is seen, because the credential would catch a throw. */
class Model {
  time = 1_000_000_000;
  flight: Flight | null = null;
  /** The flight under way began before the source reported a change. */
  outdated = false;
  /** From the failure until its back-off ends; a success or a change ends it early. */
  quietUntil = 0;
  changed = (): void => {};
  handedOut: { material: Material; generation: number } | null = null;
  readonly waiters: Waiter[] = [];
  readonly violations: string[] = [];
  readonly credential = new Credential({
    name: 'model',
    now: () => this.time,
    random: () => 0,
    onFailure: (error) => {
      if (!this.outdated) this.quietUntil = this.time + Number(error.members.retry_after) * 1_000;
    },
    source: {
      type: 'model',
      description: 'model source',
      fetch: () => {
        const quiet = this.quietUntil - this.time;
        this.claim(this.flight === null, 'two fetches at a time');
        this.claim(quiet <= 0 || quiet > 75_000, 'a fetch during the back-off');
        this.outdated = false;
        return new Promise<Material>((succeed, fail) => {
          this.flight = { succeed, fail };
        });
      },
      watch: (changed) => {
        this.changed = changed;
        return () => {};
      },
    },
  });

  async run(action: Step): Promise<void> {
    switch (action.do) {
      case 'resolve':
        this.resolve();
        break;
      case 'current':
        this.check(this.credential.current());
        break;
      case 'invalidate':
        if (this.handedOut !== null) this.credential.invalidate(this.handedOut.material);
        break;
      case 'change':
        this.quietUntil = 0;
        this.outdated = this.flight !== null;
        this.changed();
        break;
      case 'abort':
        this.abort(action.caller);
        break;
      case 'succeed':
        this.land((flight) => {
          const expiresAt = action.lifetime === null ? null : this.time + action.lifetime;
          if (expiresAt === null || expiresAt > this.time) this.quietUntil = 0;
          flight.succeed({ secret: new Secret('x'), fields: new Map(), expiresAt });
        });
        break;
      case 'fail':
        this.land((flight) => flight.fail(unavailable('no', 'no')));
        break;
      case 'clock':
        this.time += action.by;
        break;
    }
    await new Promise(setImmediate);
    const stranded = this.waiters.some(({ aborted, outcome }) => outcome === 'waiting' && (aborted || this.flight === null));
    this.claim(!stranded, 'a caller waits for nothing');
  }

  claim(holds: boolean, violation: string): void {
    if (!holds) this.violations.push(violation);
  }

  land(how: (flight: Flight) => void): void {
    const { flight } = this;
    this.flight = null;
    if (flight !== null) how(flight);
  }

  abort(index: number): void {
    const waiter = this.waiters[index];
    if (waiter === undefined) return;
    waiter.aborted ||= waiter.outcome === 'waiting';
    waiter.abort.abort(waiter.reason);
  }

  resolve(): void {
    const waiter: Waiter = { abort: new AbortController(), reason: new Error('left'), aborted: false, outcome: 'waiting' };
    this.waiters.push(waiter);
    this.credential.resolve(waiter.abort.signal).then(
      (material) => {
        waiter.outcome = 'material';
        this.claim(!waiter.aborted, 'material for a caller who had left');
        this.check(material);
      },
      (error: unknown) => {
        waiter.outcome = waiter.aborted ? 'aborted' : 'failed';
        if (waiter.aborted) this.claim(error === waiter.reason, 'an abort with a foreign reason');
        else this.claim(error instanceof SallyportError && Number(error.members.retry_after) > 0, 'an error that is not the one of the source');
      },
    );
  }

  check(material: Material | null): void {
    if (material === null) return;
    this.claim(material.expiresAt === null || material.expiresAt > this.time, 'expired material');
    const { generation } = this.credential;
    const before = this.handedOut;
    this.claim(before === null || generation >= before.generation, 'a generation that went back');
    this.claim(before === null || (generation === before.generation) === (material === before.material), 'a generation that does not tell');
    this.handedOut = { material, generation };
  }
}

test('any script of answers, failures, aborts, changes and clock steps', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (script) => {
      const model = new Model();
      try {
        for (const action of script) {
          await model.run(action);
          expect(model.violations).toEqual([]);
        }
        // Whatever happened, a healthy source is back in use as soon as the back-off is over.
        await model.run({ do: 'fail' });
        await model.run({ do: 'fail' });
        await model.run({ do: 'clock', by: 10 ** 9 });
        await model.run({ do: 'resolve' });
        await model.run({ do: 'succeed', lifetime: null });
        await model.run({ do: 'resolve' });
        expect(model.violations).toEqual([]);
        expect(model.waiters.at(-1)?.outcome).toBe('material');
      } finally {
        model.credential.close();
      }
    }),
    { numRuns: 300 },
  );
});
