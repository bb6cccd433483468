import { asSallyportError, type SallyportError } from '@sallyport/sdk';
import { LRUCache } from 'lru-cache';
import { CredentialCache } from '../plugins/credential-cache.js';
import type { CachedCredential } from '../plugins/credential-slot.js';
import type { PlacedFields } from '../plugins/placed-fields.js';
import type { PluginHost } from '../plugins/plugin-host.js';

/** An upstream that refuses everything must not make us ask for credentials with every request. Milliseconds. */
const RENEWAL_PAUSE = 10_000;

/** On average a key may be this long before fewer of them are remembered than there are credentials. */
const KEY_LENGTH = 1_024;

/** Who hears of what happens to a plugin's answers. */
export interface ConsultedPluginEvents {
  readonly onFailure: (error: SallyportError, requestId: string) => void;
  /** An upstream refused what the plugin gave; it is about to be asked again. */
  readonly onRefused: (fields: PlacedFields) => void;
}

/** The plugin of a runtime, with what is remembered of its answers. */
export class ConsultedPlugin {
  readonly host: PluginHost;
  readonly credentials: CredentialCache;
  readonly givesCredentials: boolean;
  /** It may send calls to a forward target: otherwise nobody has to ask. */
  readonly routes: boolean;
  readonly modifiesResponses: boolean;
  /** Hears of every failure, those included that the exchange goes on without. */
  readonly onFailure: ConsultedPluginEvents['onFailure'];
  readonly #onRefused: ConsultedPluginEvents['onRefused'];
  readonly #renewed: LRUCache<string, true>;

  constructor(host: PluginHost, cacheEntries: number, { onFailure, onRefused }: ConsultedPluginEvents) {
    this.host = host;
    this.onFailure = onFailure;
    this.#onRefused = onRefused;
    this.credentials = new CredentialCache({ entries: cacheEntries, onRefreshFailure: (error) => onFailure(error, '') });
    this.givesCredentials = host.methods.has('getCredentials');
    this.routes = host.methods.has('routeRequest') && host.forwardReferences?.length !== 0;
    this.modifiesResponses = host.methods.has('modifyResponse');
    this.#renewed = new LRUCache({
      max: cacheEntries,
      maxSize: cacheEntries * KEY_LENGTH,
      sizeCalculation: (_, key) => key.length + 1,
      ttl: RENEWAL_PAUSE,
    });
  }

  /** Whether the credentials of these calls may be thrown away because an upstream refused them. Answers yes once in ten seconds. */
  mayRenew(key: string): boolean {
    if (this.#renewed.has(key)) return false;
    this.#renewed.set(key, true);
    return true;
  }

  /** Forgets a credential that the upstream refused, here and where it was made. */
  forget(key: string, refused: CachedCredential): void {
    this.credentials.invalidate(key, refused);
    this.#onRefused(refused.fields);
  }

  /** Forgets its answers and ends it. Calls that are under way fail. */
  close(): void {
    this.credentials.close();
    this.host.close().catch((error: unknown) => this.onFailure(asSallyportError(error), ''));
  }
}
