import type { Secret } from '@sallyport/sdk';
import type { Material } from '../material.js';
import { plainMaterial } from '../material.js';
import type { Source } from '../source.js';
import { unavailable } from '../unavailable.js';

/** A secret that is known already. */
export interface StaticSourceOptions {
  readonly value: Secret;
}

/** The given value, which does not expire; blank is an error. */
export function staticSource({ value }: StaticSourceOptions): Source {
  return {
    type: 'static',
    constant: true,
    description: 'static value',
    async fetch(signal: AbortSignal): Promise<Material> {
      signal.throwIfAborted();
      const material = plainMaterial(value.reveal(), null);
      if (material === null) throw unavailable('The static value is empty.', 'Give the credential a value, or take it from another source.');
      return material;
    },
  };
}
