import { SallyportError, Secret } from '@sallyport/sdk';
import { afterEach, beforeEach, vi } from 'vitest';
import type { Material } from '../material.js';
import { memoryTokenStore } from '../stores/memory-token-store.test.support.js';
import type { RefreshLease, TokenRecord, TokenStore } from '../stores/token-store.js';
import { type RefreshCoordinator, type RefreshCoordinatorOptions, refreshCoordinator } from './coordinator.js';
import type { Exchange, ExchangeOutcome } from './exchange.js';
import { type Gate, gate } from './gate.test.support.js';
import { storeNewToken } from './store-new-token.js';
import { NEVER, recordOf } from './stored-record.test.support.js';

const KEY = 'somebody';
export const result: Material = { secret: new Secret('access'), fields: new Map(), expiresAt: null };
export const refused: ExchangeOutcome = { kind: 'refused', error: new SallyportError('refresh_token_refused') };

/** A store in memory that holds the token `t0`, and coordinators over it. */
export class CoordinatorStage {
  store: TokenStore = memoryTokenStore();
  #coordinators: RefreshCoordinator[] = [];

  /** A stage that is set up anew for each test of the file. */
  static forEachTest(): CoordinatorStage {
    const stage = new CoordinatorStage();
    beforeEach(async () => {
      stage.store = memoryTokenStore();
      stage.#coordinators = [];
      await stage.consent('t0');
    });
    afterEach(async () => {
      vi.useRealTimers();
      await Promise.all(stage.#coordinators.map((coordinator) => coordinator.close()));
    });
    return stage;
  }

  coordinator(options: Partial<RefreshCoordinatorOptions> = {}): RefreshCoordinator {
    const coordinator = refreshCoordinator({ store: this.store, ...options });
    this.#coordinators.push(coordinator);
    return coordinator;
  }

  /** What is stored now. */
  record(): Promise<TokenRecord> {
    return recordOf(this.store, KEY);
  }

  async put(change: Partial<TokenRecord>): Promise<void> {
    const stored = await this.store.read(KEY, NEVER);
    await this.store.replace(KEY, stored.version, { ...stored.record, ...change }, NEVER);
  }

  /** Stores a token as somebody does who consents again. */
  consent(token: string): Promise<void> {
    return storeNewToken(this.store, KEY, new Secret(token), NEVER);
  }

  /** After everybody who reads the store now has read it and begun to wait, or gone on. */
  async seen(): Promise<void> {
    for (let turn = 0; turn < 10; turn += 1) await this.store.read(KEY, NEVER);
  }
}

export function refresh(coordinator: RefreshCoordinator, exchange: Exchange, signal: AbortSignal = NEVER, timeoutMs = 10_000): Promise<Material> {
  return coordinator.refresh({ key: KEY, exchange, timeoutMs, signal });
}

/** Answers with these tokens, one after the other, and notes what was presented. */
export function answering(...successors: string[]): { exchange: Exchange; presented: string[] } {
  const presented: string[] = [];
  const exchange: Exchange = async (token) => {
    presented.push(token.reveal());
    return { kind: 'answered', refreshToken: new Secret(successors[presented.length - 1] ?? 'one too many'), result };
  };
  return { exchange, presented };
}

/** Answers with `t1` when the gate opens. */
export function holding(hold: Gate, begun: Gate = gate()): Exchange {
  return async () => {
    begun.open();
    await hold.opened;
    return { kind: 'answered', refreshToken: new Secret('t1'), result };
  };
}

/** The lease of another process. */
export function foreign(expiresAt: number): RefreshLease {
  return { owner: 'somebody-else/1', expiresAt };
}

/** Lets the time of fake timers pass, with all that follows from each second. */
export async function passSeconds(count: number): Promise<void> {
  for (let second = 0; second < count; second += 1) {
    await vi.advanceTimersByTimeAsync(1_000);
    for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
  }
}
