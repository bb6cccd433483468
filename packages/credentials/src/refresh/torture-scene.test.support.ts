import type { Secret } from '@sallyport/sdk';
import type { RefreshTokenOptions } from '../grants/refresh-token.js';
import type { Source } from '../source.js';
import type { TokenStore } from '../stores/token-store.js';
import { type RefreshCoordinator, type RefreshCoordinatorOptions, refreshCoordinator } from './coordinator.js';
import { type FaultProxy, faultProxy } from './fault-proxy.test.support.js';
import { type RotatingServer, rotatingServer } from './rotating-server.test.support.js';
import { storeNewToken } from './store-new-token.js';
import { NEVER } from './stored-record.test.support.js';
import { KEY, tortureGrant } from './torture-grant.test.support.js';

/** As far ahead as makes every lease of a process that died a thing of the past. */
const LATER_MS = 3_600_000;

/** One process as far as tokens are concerned: its own handle of the store, its own coordinator, nothing in common with others. */
interface Actor {
  readonly store: TokenStore;
  readonly coordinator: RefreshCoordinator;
  readonly grant: Source;
}

/** A server with rotation and reuse detection behind a faulty network, and the actors that refresh one token there. */
export interface TortureScene {
  readonly server: RotatingServer;
  readonly proxy: FaultProxy;
  /** An actor with a handle of its own; `later` puts its clock ahead, so that it waits for no lease of those before it. */
  actor(store: TokenStore, options?: ActorOptions): Actor;
  /** Has somebody consent, and stores the token. */
  onboard(store: TokenStore): Promise<Secret>;
  close(): Promise<void>;
}

interface ActorOptions {
  readonly later?: boolean;
  readonly grant?: Partial<RefreshTokenOptions>;
  readonly coordinator?: Partial<RefreshCoordinatorOptions>;
}

export async function tortureScene(): Promise<TortureScene> {
  const server = await rotatingServer();
  const proxy = await faultProxy(server.url);
  const coordinators: RefreshCoordinator[] = [];
  return {
    server,
    proxy,
    actor(store, { later = false, grant, coordinator: more } = {}) {
      const coordinator = refreshCoordinator({ store, now: later ? () => Date.now() + LATER_MS : Date.now, ...more });
      coordinators.push(coordinator);
      return { store, coordinator, grant: tortureGrant(`${proxy.url}/token`, coordinator, grant) };
    },
    async onboard(store) {
      const token = await server.issue();
      await storeNewToken(store, KEY, token, NEVER);
      return token;
    },
    async close() {
      await Promise.all(coordinators.map((coordinator) => coordinator.close()));
      await Promise.all([proxy.close(), server.close()]);
    },
  };
}
