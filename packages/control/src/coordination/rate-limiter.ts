import type { RateLimiterRedis } from 'rate-limiter-flexible';
import type { Bus } from './bus.js';
import { createRateCounts } from './rate-counts.js';
import { rateGossip } from './rate-gossip.js';
import { checkRules, digestKey, type RateAnswer, type RateRule, type RateRules } from './rate-rule.js';
import type { RedisConnection } from './redis-connection.js';

/**
 * Counts requests against the rules.
 *
 * What holds for a key with limit L in one window: alone, or with a Redis that answers, L points are allowed. With N processes on one Postgres, each
 * hears the counts of the others every `gossipMs` and the time of a notification, and no statement is made per request: beyond L no more is allowed
 * than the other processes allow in that time, and never more than N × L. Processes on one SQLite file, and processes whose Redis is down, count
 * each for itself: N × L. Windows are fixed: around the border of two of them twice as much.
 */
export interface RateLimiter<Name extends string> {
  /** Charges the key, also when the request is refused. Never rejects because of a Redis or a database that is down. */
  consume(rule: Name, key: string, points?: number): Promise<RateAnswer>;
  /** What {@link RateLimiter.consume} would answer, with nothing charged: asked before an authentication of which only a failure is charged. */
  check(rule: Name, key: string, points?: number): Promise<RateAnswer>;
  health(): RateLimiterHealth;
  close(): Promise<void>;
}

/** Who shares the counts, and whether they are shared at the moment. */
interface RateLimiterHealth {
  readonly shared: 'redis' | 'postgres' | 'no';
  /** True while this process counts for itself although it should not. */
  readonly degraded: boolean;
}

export interface RateLimiterOptions<Name extends string> {
  readonly bus: Bus;
  readonly redis?: RedisConnection;
  readonly rules: RateRules<Name>;
  /**
   * How many keys are counted at once: 100,000 when left out. When there are more, those that were not used for the longest time begin anew, which
   * whoever floods with other keys does not get for the key in use.
   */
  readonly maxKeys?: number;
  /** How often processes on one Postgres tell each other. 250 ms when left out. */
  readonly gossipMs?: number;
}

/** How long Redis is left alone after it has not answered: nobody else waits for it in that time. */
const REDIS_PAUSE_MS = 1_000;

/** The limiter of this process. Throws for rules that make no sense. */
export function createRateLimiter<Name extends string>(options: RateLimiterOptions<Name>): RateLimiter<Name> {
  const { bus, redis, rules, maxKeys = 100_000, gossipMs = 250 } = options;
  checkRules(rules);
  const counts = createRateCounts({ rules, maxKeys });
  const shared = redis === undefined ? undefined : redisCounts(redis, rules);
  const gossip = redis === undefined && bus.carrier === 'postgres' ? gossiping(bus, counts, gossipMs) : undefined;
  let redisRestsUntil = 0;

  async function ask(local: RateAnswer, ofRedis: (counts: RedisCounts<Name>) => Promise<RateAnswer>): Promise<RateAnswer> {
    if (shared === undefined || performance.now() < redisRestsUntil) return local;
    try {
      return await ofRedis(shared);
    } catch {
      // Neither without a limit nor without service: this process has counted along, and goes on from there.
      redisRestsUntil = performance.now() + REDIS_PAUSE_MS;
      return local;
    }
  }

  return {
    consume: async (rule, key, points = 1) => ask(counts.charge(rule, key, checkPoints(points)), (there) => there.charge(rule, key, points)),
    check: async (rule, key, points = 1) => ask(counts.check(rule, key, checkPoints(points)), (there) => there.check(rule, key, points)),
    health: () => {
      if (redis !== undefined) return { shared: 'redis', degraded: redis.problem() !== undefined || performance.now() < redisRestsUntil };
      return gossip === undefined ? { shared: 'no', degraded: false } : { shared: 'postgres', degraded: gossip.failed() || !bus.listening() };
    },
    close: async () => gossip?.stop(),
  };
}

function checkPoints(points: number): number {
  if (!Number.isSafeInteger(points) || points < 1) throw new RangeError('Points are whole numbers from 1.');
  return points;
}

interface Gossiping {
  failed(): boolean;
  stop(): Promise<void>;
}

function gossiping<Name extends string>(bus: Bus, counts: ReturnType<typeof createRateCounts<Name>>, everyMs: number): Gossiping {
  const gossip = rateGossip(bus, counts);
  let failed = false;
  let round: Promise<void> | undefined;
  const timer = setInterval(() => {
    round ??= gossip
      .round()
      .then(
        () => {
          failed = false;
        },
        () => {
          failed = true;
        },
      )
      .finally(() => {
        round = undefined;
      });
  }, everyMs);
  timer.unref();
  return {
    failed: () => failed,
    stop: async () => {
      clearInterval(timer);
      gossip.stop();
      await round;
    },
  };
}

interface RedisCounts<Name extends string> {
  charge(rule: Name, key: string, points: number): Promise<RateAnswer>;
  check(rule: Name, key: string, points: number): Promise<RateAnswer>;
}

function redisCounts<Name extends string>(redis: RedisConnection, rules: RateRules<Name>): RedisCounts<Name> {
  let limiters: Promise<{ readonly of: (rule: Name) => RateLimiterRedis; readonly Refused: abstract new () => object }> | undefined;

  async function load(): Promise<{ readonly of: (rule: Name) => RateLimiterRedis; readonly Refused: abstract new () => object }> {
    const { RateLimiterRedis, RateLimiterRes } = await import('rate-limiter-flexible');
    const made = new Map<string, RateLimiterRedis>();
    for (const [name, { limit, windowSeconds }] of Object.entries<RateRule>(rules)) {
      const keyPrefix = `${redis.prefix}:rate:${name}`;
      made.set(
        name,
        new RateLimiterRedis({ storeClient: redis.commands, keyPrefix, points: limit, duration: windowSeconds, rejectIfRedisNotReady: true }),
      );
    }
    const of = (name: Name): RateLimiterRedis => {
      const limiter = made.get(name);
      if (limiter === undefined) throw new RangeError(`There is no rate rule "${name}".`);
      return limiter;
    };
    return { of, Refused: RateLimiterRes };
  }

  return {
    charge: async (rule, key, points) => {
      limiters ??= load();
      const { of, Refused } = await limiters;
      const { limit } = rules[rule];
      try {
        const { remainingPoints, msBeforeNext } = await of(rule).consume(digestKey(rule, key), points);
        return { allowed: true, limit, remaining: remainingPoints, resetMs: msBeforeNext };
      } catch (error) {
        // The library rejects both with its answer and with what went wrong.
        if (!(error instanceof Refused)) throw error;
        return { allowed: false, limit, remaining: 0, resetMs: (error as { readonly msBeforeNext: number }).msBeforeNext };
      }
    },
    check: async (rule, key, points) => {
      limiters ??= load();
      const found = await (await limiters).of(rule).get(digestKey(rule, key));
      const { limit, windowSeconds } = rules[rule];
      if (found === null) return { allowed: points <= limit, limit, remaining: limit, resetMs: windowSeconds * 1000 };
      return { allowed: found.consumedPoints + points <= limit, limit, remaining: found.remainingPoints, resetMs: found.msBeforeNext };
    },
  };
}
