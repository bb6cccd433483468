import { createSecretKey, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { ReadMaterial } from './secret-provider.js';

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const HELD = 64;

/** A duration as it is written in `cache_ttl`: `500ms`, `30s`, `5m`, `2h`, `1d`. Null for everything else, and for more than a day. */
export function cacheMilliseconds(written: string): number | null {
  const [, count, unit] = /^([1-9][0-9]{0,8})(ms|[smhd])$/.exec(written) ?? [];
  if (count === undefined || unit === undefined) return null;
  const milliseconds = Number(count) * UNITS[unit as keyof typeof UNITS];
  return milliseconds <= UNITS.d ? milliseconds : null;
}

/**
 * Goes on with an answer for as long as `cache_ttl` says; without one every call asks. A failure is not remembered. The answer about one thing
 * (`null` is the newest) is never taken for another; at most 64 are held.
 */
export function held<Answer extends object>(
  ask: (what: string | null, signal: AbortSignal) => Promise<Answer>,
  cacheTtl: string | undefined,
  now: () => number = Date.now,
): (what: string | null, signal: AbortSignal) => Promise<Answer> {
  const ttl = cacheTtl === undefined ? null : cacheMilliseconds(cacheTtl);
  if (ttl === null) return ask;
  const answers = new LRUCache<string, Answer>({ max: HELD, ttl, ttlResolution: 0, perf: { now } });
  return async (what, signal) => {
    signal.throwIfAborted();
    const slot = what === null ? 'newest' : `version ${what}`;
    const known = answers.get(slot);
    if (known !== undefined) return known;
    const answer = await ask(what, signal);
    answers.set(slot, answer);
    return answer;
  };
}

/** `held` for material, which meanwhile lives in a `KeyObject`, outside the JavaScript heap; whoever reads it gets bytes of its own. */
export function heldMaterial(read: ReadMaterial, cacheTtl: string | undefined): ReadMaterial {
  if (cacheTtl === undefined) return read;
  const material = held<{ readonly key: KeyObject; readonly named: Omit<Awaited<ReturnType<ReadMaterial>>, 'bytes'> }>(async (version, signal) => {
    const { bytes, ...named } = await read(version, signal);
    const key = createSecretKey(bytes);
    bytes.fill(0);
    return { key, named };
  }, cacheTtl);
  return async (version, signal) => {
    const { key, named } = await material(version, signal);
    return { bytes: key.export(), ...named };
  };
}
