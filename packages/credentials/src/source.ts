import type { Material } from './material.js';

/**
 * Where a secret comes from. A source only fetches: caching, single flight, refresh, back-off and time limits are written once,
 * in `Credential`.
 */
export interface Source {
  /** The word that stands for it in the configuration. */
  readonly type: string;
  /** Where it comes from, for people: `env GITHUB_TOKEN`, `file /run/secrets/x`, `process aws-vault`. Never the value. */
  readonly description: string;
  /** True when it hands out the same for as long as the process lives: nothing is gained by asking it again. */
  readonly constant?: true;
  /**
   * Fresh material. An abort rejects with the reason of the signal and stops whatever was started; every other failure rejects with
   * `credential_unavailable`, whose texts hold no secret material.
   */
  fetch(signal: AbortSignal): Promise<Material>;
  /** Calls back when the material may have changed, sometimes without need; returns the function that ends it. Keeps no process alive. */
  watch?(changed: () => void): () => void;
}
