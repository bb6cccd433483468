import type { Material } from '../material.js';
import { plainMaterial } from '../material.js';
import type { Source } from '../source.js';
import { unavailable } from '../unavailable.js';

/** Which environment variable of this process holds the secret. */
export interface EnvSourceOptions {
  readonly var: string;
}

/** The value of an environment variable, read at each fetch; does not expire. Unset and blank are errors that name the variable. */
export function envSource({ var: name }: EnvSourceOptions): Source {
  return {
    type: 'env',
    constant: true,
    description: `env ${name}`,
    async fetch(signal: AbortSignal): Promise<Material> {
      signal.throwIfAborted();
      const value = process.env[name];
      const hint = `Set ${name} in the environment that Sallyport is started with.`;
      if (value === undefined) throw unavailable(`The environment variable ${name} is not set.`, hint);
      const material = plainMaterial(value, null);
      if (material === null) throw unavailable(`The environment variable ${name} is empty.`, hint);
      return material;
    },
  };
}
