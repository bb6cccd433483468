import { SallyportError, Secret } from '@sallyport/sdk';
import { Credential, type CredentialOptions } from './credential.js';
import type { Material } from './material.js';
import type { Source } from './source.js';
import { unavailable } from './unavailable.js';

interface Fetch {
  readonly signal: AbortSignal;
  readonly succeed: (material: Material) => void;
  readonly fail: (error: unknown) => void;
}

/** A credential over a source whose every answer the test gives, at times that the test sets. */
export class Stage {
  time = 1_000_000;
  readonly fetches: Fetch[] = [];
  readonly failures: SallyportError[] = [];
  readonly credential: Credential;
  watching = false;
  change = (): void => {};

  constructor(options: Partial<CredentialOptions> = {}) {
    const source: Source = {
      type: 'scripted',
      description: 'scripted source',
      fetch: (signal) =>
        new Promise((succeed, fail) => {
          signal.addEventListener('abort', () => fail(signal.reason));
          this.fetches.push({ signal, succeed, fail });
        }),
      watch: (changed) => {
        this.watching = true;
        this.change = changed;
        return () => {
          this.watching = false;
        };
      },
    };
    this.credential = new Credential({
      name: 'github',
      source,
      now: () => this.time,
      random: () => 0,
      onFailure: (error) => this.failures.push(error),
      ...options,
    });
  }

  get last(): Fetch {
    return this.fetches[this.fetches.length - 1];
  }

  /** Has the fetch that `resolve` or a background refresh began answer with material that lives that long. */
  async succeed(value: string, lifetime: number | null = null): Promise<Material> {
    const material = { secret: new Secret(value), fields: new Map(), expiresAt: lifetime === null ? null : this.time + lifetime };
    this.last.succeed(material);
    await settled();
    return material;
  }

  async fail(error: unknown = unavailable('The scripted source is broken.', 'Repair it.')): Promise<void> {
    this.last.fail(error);
    await settled();
  }

  /** The same with the `resolve` before it. */
  async hold(value: string, lifetime: number | null = null): Promise<Material> {
    const waiting = this.credential.resolve();
    await this.succeed(value, lifetime);
    return await waiting;
  }
}

/** After everything that was ready to run has run. */
function settled(): Promise<void> {
  return new Promise(setImmediate);
}

/** The error a promise rejects with; anything else fails the test. */
export async function rejection(promise: Promise<unknown>): Promise<SallyportError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof SallyportError)) throw new Error('a SallyportError was expected', { cause: error });
  return error;
}
