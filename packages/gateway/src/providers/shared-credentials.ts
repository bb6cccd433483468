import { performance } from 'node:perf_hooks';
import type { Credential, Material, RefreshCoordinator } from '@sallyport/credentials';
import { LRUCache } from 'lru-cache';

/** Something that several configurations may use at once; who has it releases it once. */
export interface Share<T> {
  readonly value: T;
  readonly release: () => void;
}

interface Shared {
  readonly value: { close(): void };
  users: number;
}

/** An upstream that refuses every token must not make us fetch one with every request. Milliseconds. */
const RENEWAL_PAUSE = 10_000;
const ISSUED_LIMIT = 10_000;
/** Longer than any provider lets the gateway keep what it handed out. */
const ISSUED_FOR = 300_000;

/**
 * What outlives a configuration of all that obtains tokens: unchanged providers keep their access tokens over a reload, and while an old and a new
 * configuration are in use at once neither refreshes a token that the other is refreshing.
 */
export class SharedCredentials {
  readonly #shared = new Map<string, Shared>();
  readonly #coordinators = new Map<string, RefreshCoordinator>();
  readonly #issued = new LRUCache<string, { credential: Credential; material: Material }>({ max: ISSUED_LIMIT, ttl: ISSUED_FOR });
  readonly #forgottenAt = new WeakMap<Credential, number>();

  /** What was made under this key, or is made now; closed when the last who has it releases it. The key tells the type as well. */
  use<T extends { close(): void }>(key: string, make: () => T): Share<T> {
    const shared = this.#shared.get(key) ?? { value: make(), users: 0 };
    this.#shared.set(key, shared);
    shared.users++;
    let released = false;
    return {
      value: shared.value as T,
      release: () => {
        if (released) return;
        released = true;
        if (--shared.users > 0) return;
        shared.value.close();
        this.#shared.delete(key);
      },
    };
  }

  /** The coordinator of a store. It stays until the end: a token that its store could not take yet is known to it alone. */
  coordinator(key: string, make: () => RefreshCoordinator): RefreshCoordinator {
    const coordinator = this.#coordinators.get(key) ?? make();
    this.#coordinators.set(key, coordinator);
    return coordinator;
  }

  /** Remembers of what the value of a header field was made. */
  issued(value: string, credential: Credential, material: Material): void {
    if (credential.renewable) this.#issued.set(value, { credential, material });
  }

  /** An upstream refused these values: what they were made of is fetched anew with its next use, for each credential at most once in ten seconds. */
  refused(values: readonly string[]): void {
    const now = performance.now();
    for (const value of values) {
      const found = this.#issued.get(value);
      if (found === undefined) continue;
      const { credential, material } = found;
      if (credential.current() !== material) continue;
      if (now - (this.#forgottenAt.get(credential) ?? Number.NEGATIVE_INFINITY) < RENEWAL_PAUSE) continue;
      this.#forgottenAt.set(credential, now);
      credential.invalidate(material);
    }
  }

  /** Waits for refreshes that have begun, and tries once more to save what is not saved yet. Never rejects. */
  async close(): Promise<void> {
    for (const { value } of this.#shared.values()) value.close();
    await Promise.all(Array.from(this.#coordinators.values(), (coordinator) => coordinator.close()));
  }
}
