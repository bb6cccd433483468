import { SallyportError, Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { plainMaterial } from '../material.js';
import { memoryTokenStore } from '../stores/memory-token-store.test.support.js';
import type { TokenStore } from '../stores/token-store.js';
import { type RefreshCoordinator, refreshCoordinator } from './coordinator.js';
import type { Exchange } from './exchange.js';
import { storeNewToken } from './store-new-token.js';
import { NEVER, recordOf } from './stored-record.test.support.js';

const KEY = 'somebody';

/** What goes wrong, drawn anew for every single operation. */
interface Weather {
  /** Turns of the event loop before an operation, so that operations of different processes interleave in every way. */
  delay(): number;
  storeFault(): 'none' | 'read fails' | 'write fails' | 'write succeeds and fails';
  networkFault(): 'none' | 'not sent' | 'lost';
}

interface Presentation {
  readonly token: string;
  /** What the store said when the token was presented: was a call journaled? */
  readonly journaled: boolean;
  readonly verdict: 'rotated' | 'reused';
  readonly delivered: boolean;
}

/** A server with rotation: takes the newest token only, and remembers who presented what. */
class ModelServer {
  newest = 'token 0';
  readonly presentations: Presentation[] = [];
  readonly #truth: TokenStore;

  constructor(truth: TokenStore) {
    this.#truth = truth;
  }

  exchange(weather: Weather): Exchange {
    return async (presented) => {
      const fault = weather.networkFault();
      if (fault === 'not sent') return { kind: 'unused', error: new SallyportError('token_endpoint_unavailable') };
      await turns(weather.delay());
      const token = presented.reveal();
      const journaled = (await this.#truth.read(KEY, NEVER)).record.unknownSince !== null;
      const rotated = token === this.newest;
      const delivered = fault === 'none';
      this.presentations.push({ token, journaled, verdict: rotated ? 'rotated' : 'reused', delivered });
      if (rotated) this.newest = `token ${this.presentations.length}`;
      const successor = new Secret(this.newest);
      await turns(weather.delay());
      if (!delivered) return { kind: 'unknown', error: new SallyportError('token_endpoint_unavailable') };
      if (!rotated) return { kind: 'refused', error: new SallyportError('refresh_token_refused') };
      const result = plainMaterial('access', null) ?? new SallyportError('token_response_invalid');
      return { kind: 'answered', refreshToken: successor, result };
    };
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate);
}

function unreliable(store: TokenStore, weather: Weather): TokenStore {
  const broken = (): SallyportError => new SallyportError('token_store_failed');
  return {
    ...store,
    async read(key, signal) {
      await turns(weather.delay());
      if (weather.storeFault() === 'read fails') throw broken();
      return await store.read(key, signal);
    },
    async replace(key, expected, record, signal) {
      await turns(weather.delay());
      const fault = weather.storeFault();
      if (fault === 'write fails') throw broken();
      const stored = await store.replace(key, expected, record, signal);
      if (fault === 'write succeeds and fails') throw broken();
      return stored;
    },
  };
}

const weathers = fc
  .record({
    delays: fc.infiniteStream(fc.nat({ max: 3 })),
    storeFaults: fc.infiniteStream(
      fc.oneof(
        { weight: 12, arbitrary: fc.constant('none' as const) },
        { weight: 1, arbitrary: fc.constant('read fails' as const) },
        { weight: 1, arbitrary: fc.constant('write fails' as const) },
        { weight: 1, arbitrary: fc.constant('write succeeds and fails' as const) },
      ),
    ),
    networkFaults: fc.infiniteStream(
      fc.oneof(
        { weight: 8, arbitrary: fc.constant('none' as const) },
        { weight: 1, arbitrary: fc.constant('not sent' as const) },
        { weight: 1, arbitrary: fc.constant('lost' as const) },
      ),
    ),
  })
  .map(
    ({ delays, storeFaults, networkFaults }): Weather => ({
      delay: () => delays.next().value ?? 0,
      storeFault: () => storeFaults.next().value ?? 'none',
      networkFault: () => networkFaults.next().value ?? 'none',
    }),
  );

/** Some processes, each refreshing a few times, in any interleaving and weather; then the sky clears, and all of them save what they hold. */
async function live(weather: Weather, processes: number, rounds: number): Promise<{ server: ModelServer; truth: TokenStore }> {
  const truth = memoryTokenStore();
  const server = new ModelServer(truth);
  await storeNewToken(truth, KEY, new Secret('token 0'), NEVER);
  let clear = false;
  const now: Weather = {
    delay: () => weather.delay(),
    storeFault: () => (clear ? 'none' : weather.storeFault()),
    networkFault: () => (clear ? 'none' : weather.networkFault()),
  };
  const coordinators: RefreshCoordinator[] = [];
  const lives = Array.from({ length: processes }, async () => {
    const coordinator = refreshCoordinator({ store: unreliable(truth, now), random: () => 0 });
    coordinators.push(coordinator);
    for (let round = 0; round < rounds; round += 1) {
      // A lease that its owner could not give back would be waited for: such a caller gives up.
      const patience = new AbortController();
      const refresh = coordinator.refresh({ key: KEY, exchange: server.exchange(now), timeoutMs: 10_000, signal: patience.signal });
      const timer = setTimeout(() => patience.abort(new SallyportError('credential_unavailable')), 200);
      await refresh.catch(() => {});
      clearTimeout(timer);
    }
  });
  await Promise.all(lives);
  clear = true;
  await Promise.all(coordinators.map((coordinator) => coordinator.close()));
  return { server, truth };
}

test('whatever fails, in whatever order: the newest token is the stored one, or the journal says why not', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(weathers, fc.integer({ min: 1, max: 3 }), async (weather, processes) => {
      const { server, truth } = await live(weather, processes, 3);
      const record = await recordOf(truth, KEY);
      // No token is presented without a note in the store.
      expect(server.presentations.filter(({ journaled }) => !journaled)).toEqual([]);
      const lost = server.presentations.find(({ verdict, delivered }) => verdict === 'rotated' && !delivered);
      if (lost === undefined) {
        // Every successor reached a process: the newest is stored, and none was presented twice.
        expect(record.refreshToken.reveal()).toBe(server.newest);
        expect(server.presentations.filter(({ verdict }) => verdict === 'reused')).toEqual([]);
      } else {
        // The chain ends where the network swallowed its next link: what is left is the token before that, and the note.
        expect(record.refreshToken.reveal()).toBe(lost.token);
        expect(record.unknownSince).not.toBeNull();
      }
    }),
    { numRuns: 60 },
  );
});
