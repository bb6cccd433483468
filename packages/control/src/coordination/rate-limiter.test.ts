import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { migrate } from '../database/migrate.js';
import { openDatabase } from '../database/open-database.js';
import { describeOnBoth, type TestDatabases } from '../database/testing/databases.test.support.js';
import { openCounted } from '../database/testing/statement-count.test.support.js';
import { type Bus, createBus } from './bus.js';
import { closeAfterTest, onlyOn, openBus, until } from './coordination.test.support.js';
import { createRateLimiter, type RateLimiter } from './rate-limiter.js';
import { digestKey } from './rate-rule.js';
import { hasRedis, startRedis, type TestRedis } from './redis.test.support.js';
import { openRedis, type RedisConnection } from './redis-connection.js';

const rules = { requests: { limit: 10, windowSeconds: 86_400 }, failures: { limit: 3, windowSeconds: 86_400 } };
type Name = keyof typeof rules;

function limiterOn(bus: Bus, redis?: RedisConnection): RateLimiter<Name> {
  const limiter = createRateLimiter({ bus, rules, gossipMs: 20, ...(redis === undefined ? {} : { redis }) });
  closeAfterTest(() => limiter.close());
  return limiter;
}

async function allowedOf(limiter: RateLimiter<Name>, key: string, times: number): Promise<number> {
  let allowed = 0;
  for (let count = 0; count < times; count += 1) if ((await limiter.consume('requests', key)).allowed) allowed += 1;
  return allowed;
}

describeOnBoth('the rate limiter', (databases: TestDatabases) => {
  test('allows what the rule says, for each key and each rule', async () => {
    const options = await databases.empty();
    await migrate(databases.opened(options));
    const limiter = limiterOn((await openBus(databases, options)).bus);
    expect(await limiter.consume('requests', 'a', 4)).toMatchObject({ allowed: true, limit: 10, remaining: 6 });
    expect(await allowedOf(limiter, 'a', 20)).toBe(6);
    expect(await limiter.consume('requests', 'a')).toMatchObject({ allowed: false, remaining: 0 });
    expect(await limiter.consume('requests', 'b')).toMatchObject({ allowed: true, remaining: 9 });
    for (let count = 0; count < 3; count += 1) {
      expect((await limiter.check('failures', 'a')).allowed).toBe(true);
      await limiter.consume('failures', 'a');
    }
    expect(await limiter.check('failures', 'a')).toMatchObject({ allowed: false, remaining: 0 });
    for (const points of [0, -1, 0.5, Number.NaN]) await expect(limiter.consume('requests', 'a', points)).rejects.toThrow(RangeError);
    expect(limiter.health()).toEqual({ shared: databases.dialect === 'postgres' ? 'postgres' : 'no', degraded: false });
  });

  test('makes no statement per request', async () => {
    const options = await databases.empty();
    await migrate(databases.opened(options));
    const counted = openCounted(options);
    const bus = createBus({ database: counted, connection: options });
    closeAfterTest(async () => {
      await bus.close();
      await counted.close();
    });
    await bus.whenListening(AbortSignal.timeout(20_000));
    const limiter = limiterOn(bus);
    const statements = await counted.statementsOf(async () => {
      for (let count = 0; count < 2_000; count += 1) await limiter.consume('requests', String(count));
    });
    expect(statements.length).toBeLessThan(100);
  });

  onlyOn(databases, 'postgres', () => {
    test('shares the counts of processes on one Postgres, also those that it counted before another one came', async () => {
      const options = await databases.empty();
      await migrate(databases.opened(options));
      const one = limiterOn((await openBus(databases, options)).bus);
      const keys = Array.from({ length: 500 }, (_, index) => `key ${index}`);
      for (const key of keys) expect(await allowedOf(one, key, 7)).toBe(7);
      const two = limiterOn((await openBus(databases, options)).bus);
      for (const key of keys) await until(async () => (await two.check('requests', key)).remaining === 3);
      expect(await allowedOf(two, 'key 0', 10)).toBe(3);
      await until(async () => (await one.check('requests', 'key 0')).remaining === 0);
      expect(await allowedOf(one, 'key 0', 10)).toBe(0);
    });

    test('goes on when its connection is terminated, and knows afterwards what was counted meanwhile', async () => {
      const options = await databases.empty();
      await migrate(databases.opened(options));
      const [first, second] = [await openBus(databases, options), await openBus(databases, options)];
      const [one, two] = [limiterOn(first.bus), limiterOn(second.bus)];
      expect(await allowedOf(one, 'a', 2)).toBe(2);
      const ofBus = sql`application_name = 'sallyport bus' and datname = current_database()`;
      await sql`select pg_terminate_backend(pid) from pg_stat_activity where ${ofBus}`.execute(first.database.db);
      expect(await allowedOf(one, 'a', 2)).toBe(2);
      expect(await allowedOf(two, 'a', 1)).toBe(1);
      await until(async () => (await two.check('requests', 'a')).remaining === 5 && (await one.check('requests', 'a')).remaining === 5);
      await until(() => !one.health().degraded && !two.health().degraded);
    });

    test('counts for itself while the database is not there, and says so', async () => {
      const options = { ...(await databases.empty()), provider: 'postgres', url: 'postgres://nobody:x@127.0.0.1:1/none' } as const;
      const database = openDatabase(options);
      const bus = createBus({ database, connection: options });
      closeAfterTest(async () => {
        await bus.close();
        await database.close();
      });
      const limiter = limiterOn(bus);
      expect(await allowedOf(limiter, 'a', 20)).toBe(10);
      expect(limiter.health()).toEqual({ shared: 'postgres', degraded: true });
    });
  });
});

describe.skipIf(!hasRedis)('the rate limiter with a real Redis', () => {
  async function stage(): Promise<{
    readonly server: TestRedis;
    readonly open: () => Promise<RateLimiter<Name>>;
    readonly connection: RedisConnection;
  }> {
    const server = await startRedis();
    closeAfterTest(() => server.stop());
    const database = openDatabase({ provider: 'sqlite', path: ':memory:' });
    closeAfterTest(() => database.close());
    await migrate(database);
    const connect = async (): Promise<RedisConnection> => {
      const redis = await openRedis({ url: `redis://127.0.0.1:${server.port}`, prefix: 'test' });
      closeAfterTest(() => redis.close());
      await until(() => redis.problem() === undefined, redis.problem);
      return redis;
    };
    const open = async (): Promise<RateLimiter<Name>> => {
      const redis = await connect();
      const bus = createBus({ database, connection: { provider: 'sqlite', path: ':memory:' }, redis, heartbeatMs: 300 });
      closeAfterTest(() => bus.close());
      return limiterOn(bus, redis);
    };
    return { server, open, connection: await connect() };
  }

  test('allows exactly what the rule says, whoever is asked, and leaves nothing that stays for ever', async () => {
    const { open, connection } = await stage();
    const [one, two] = [await open(), await open()];
    const allowed = await Promise.all([allowedOf(one, 'a', 30), allowedOf(two, 'a', 30)]);
    expect(allowed.reduce((sum, each) => sum + each, 0)).toBe(10);
    expect(await two.check('requests', 'a')).toMatchObject({ allowed: false, limit: 10, remaining: 0 });
    expect(await two.check('requests', 'b')).toEqual({ allowed: true, limit: 10, remaining: 10, resetMs: 86_400_000 });
    expect((await one.consume('requests', 'a')).resetMs).toBeGreaterThan(86_000_000);
    const keys = await connection.commands.keys('*');
    expect(keys).toEqual([`test:rate:requests:${digestKey('requests', 'a')}`]);
    expect(await connection.commands.pttl(keys[0] ?? '')).toBeGreaterThan(0);
    expect(one.health()).toEqual({ shared: 'redis', degraded: false });
  });

  test('goes on from its own counts when Redis is killed, says so, and shares again when it is back', async () => {
    const { server, open } = await stage();
    const [one, two] = [await open(), await open()];
    expect(await allowedOf(one, 'a', 4)).toBe(4);
    await server.kill();
    expect(await allowedOf(one, 'a', 20)).toBe(6);
    expect(one.health()).toEqual({ shared: 'redis', degraded: true });
    expect(await allowedOf(two, 'a', 20)).toBe(10);
    await server.start();
    await until(() => !one.health().degraded && !two.health().degraded, one.health);
    const allowed = await Promise.all([allowedOf(one, 'b', 20), allowedOf(two, 'b', 20)]);
    expect(allowed.reduce((sum, each) => sum + each, 0)).toBe(10);
  });

  test('waits only once for a Redis that does not answer', async () => {
    const { server, open } = await stage();
    const limiter = await open();
    await limiter.consume('requests', 'a');
    server.freeze();
    expect(await allowedOf(limiter, 'a', 20)).toBe(9);
    expect(limiter.health().degraded).toBe(true);
    server.thaw();
    await until(() => !limiter.health().degraded, limiter.health);
    expect((await limiter.consume('requests', 'c')).remaining).toBe(9);
  });
});
