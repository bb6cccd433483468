import { LRUCache } from 'lru-cache';
import type { KeyRow } from './key-tables.js';
import { openProvider, type ProviderSurroundings } from './open-provider.js';
import type { KeyProvider } from './provider.js';
import type { ProviderConfig } from './provider-config.js';
import { checkProviderAllowed, type ProviderRule } from './provider-rules.js';

export interface HeldProvidersOptions extends Pick<ProviderSurroundings, 'env'> {
  /** Opens the key data of a key. */
  readonly configOf: (key: KeyRow) => Promise<ProviderConfig>;
  readonly rules: readonly ProviderRule[];
  /** How long a provider stays open: then what another process destroyed is gone here too. */
  readonly heldForMs: number;
}

/** The providers of keys that this process has used, at most 1,000: what they cache, and their tokens for clouds, serve more than one call. */
export interface HeldProviders {
  /** The provider of a key as its row is now. Rejects with `key_provider_forbidden` unless the rules still let it pass, however long it has been open. */
  of(key: KeyRow): Promise<KeyProvider>;
  clear(): void;
}

interface Opened {
  /** The ciphertext it was opened from. Every change of the key data makes another one. */
  readonly keyData: string | null;
  readonly config: ProviderConfig;
  readonly provider: KeyProvider;
}

const HELD = 1_000;

export function createHeldProviders({ configOf, rules, env, heldForMs }: HeldProvidersOptions): HeldProviders {
  const opened = new LRUCache<string, Opened>({ max: HELD, ttl: heldForMs });

  /** What was made here is stored like what was sent; whether it may be used was decided when it was made. */
  async function requireAllowed({ namespace, provider }: KeyRow, config: ProviderConfig): Promise<void> {
    if (provider !== 'random') await checkProviderAllowed(rules, namespace, config);
  }

  async function of(key: KeyRow): Promise<KeyProvider> {
    const known = opened.get(key.id);
    if (known !== undefined && key.key_data !== null && known.keyData === key.key_data) {
      await requireAllowed(key, known.config);
      return known.provider;
    }
    opened.delete(key.id);
    const config = await configOf(key);
    await requireAllowed(key, config);
    const provider = openProvider(config, { env });
    opened.set(key.id, { keyData: key.key_data, config, provider });
    return provider;
  }

  return { of, clear: () => opened.clear() };
}
