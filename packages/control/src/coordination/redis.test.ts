import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { makeDevelopmentCertificates } from '@sallyport/gateway';
import { Secret } from '@sallyport/sdk';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { migrate } from '../database/migrate.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { closeAfterTest, hearing, openBus, until } from './coordination.test.support.js';
import { hasRedis, startRedis, type TestRedis } from './redis.test.support.js';
import { openRedis, type RedisConnection, type RedisOptions } from './redis-connection.js';

async function redisServer(...args: Parameters<typeof startRedis>): Promise<TestRedis> {
  const redis = await startRedis(...args);
  closeAfterTest(() => redis.stop());
  return redis;
}

async function connected(options: RedisOptions): Promise<RedisConnection> {
  const redis = await openRedis(options);
  closeAfterTest(() => redis.close());
  return redis;
}

describe('the address of Redis', () => {
  test('is checked, and stands in no error', async () => {
    for (const url of ['', 'http://u:hunter2@h', 'redis://', 'redis://u:hunter2@h/x', 'redis://:%E0%A4%A@h', 'redis://h?password=hunter2']) {
      const failed = await openRedis({ url }).catch((error: unknown) => error);
      expect(failed).toMatchObject({ code: 'redis_url_invalid' });
      expect(inspect(failed, { depth: 9 })).not.toContain('hunter2');
    }
  });
});

describe.skipIf(!hasRedis)('the connection to Redis', () => {
  test('takes the password from the address or from beside it, and shows it nowhere', async () => {
    const { port } = await redisServer(['--user', 'default', 'off', '--user', 'gate', 'on', '>hunter2', '~*', '&*', '+@all']);
    const right = [
      { url: new Secret(`redis://gate:hunter2@127.0.0.1:${port}/1`) },
      { url: `redis://127.0.0.1:${port}`, username: 'gate', password: new Secret('hunter2') },
    ];
    for (const options of right) {
      const redis = await connected(options);
      await until(() => redis.problem() === undefined, redis.problem);
      expect(await redis.commands.set('a', 'b')).toBe('OK');
    }
    const wrong = await connected({ url: `redis://gate:hunter3@127.0.0.1:${port}` });
    await until(() => wrong.problem() !== 'connecting', wrong.problem);
    expect(wrong.problem()).not.toContain('hunter3');
    await expect(wrong.commands.get('a')).rejects.toBeInstanceOf(Error);
  });

  test('uses TLS, and only with a certificate of those who are trusted', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sallyport-redis-tls-'));
    closeAfterTest(async () => rmSync(directory, { recursive: true, force: true }));
    const { paths } = await makeDevelopmentCertificates({ directory, domains: [], force: false, keepAuthorityKey: false });
    const files = [
      '--tls-cert-file',
      paths.serverCert,
      '--tls-key-file',
      paths.serverKey,
      '--tls-ca-cert-file',
      paths.ca,
      '--tls-auth-clients',
      'no',
    ];
    const { port } = await redisServer(files, true);
    for (const host of ['localhost', '127.0.0.1']) {
      const redis = await connected({ url: `rediss://${host}:${port}`, ca: readFileSync(paths.ca, 'utf8') });
      await until(() => redis.problem() === undefined, redis.problem);
      expect(await redis.commands.ping()).toBe('PONG');
    }
    const strangers = await connected({ url: `rediss://localhost:${port}` });
    await until(() => strangers.problem() !== 'connecting', strangers.problem);
    await expect(strangers.commands.ping()).rejects.toBeInstanceOf(Error);
  });
});

describe.skipIf(!hasRedis)('with a real Redis', () => {
  describeOnBoth('the bus', (databases) => {
    async function stage(): Promise<{
      readonly server: TestRedis;
      readonly url: string;
      readonly options: Awaited<ReturnType<typeof databases.empty>>;
      readonly open: (prefix?: string) => ReturnType<typeof openBus>;
      readonly left: () => Promise<number>;
    }> {
      const server = await redisServer();
      const url = `redis://127.0.0.1:${server.port}`;
      const options = await databases.empty();
      const database = databases.opened(options);
      await migrate(database);
      const open = async (prefix = 'test'): ReturnType<typeof openBus> => openBus(databases, options, { redis: await connected({ url, prefix }) });
      const left = async (): Promise<number> => {
        const { rows } = await sql<{ count: number }>`select count(*) as count from bus_messages`.execute(database.db);
        return rows[0]?.count ?? -1;
      };
      return { server, url, options, open, left };
    }

    test('tells the others, and leaves nothing in the database', async () => {
      const { open, left } = await stage();
      const [one, two, stranger] = [await open(), await open(), await open('another')];
      const [here, there, elsewhere] = [one, two, stranger].map(({ bus }) => hearing(bus, 'actors'));
      await one.bus.publish('actors', 'a');
      await one.bus.database.transaction((trx) => one.bus.publishIn(trx, 'actors', 'b'));
      expect(here?.messages).toEqual(['a', 'b']);
      await until(() => there?.messages.length === 2);
      await until(async () => (await left()) === 0);
      expect([here?.messages, there?.messages.toSorted(), elsewhere?.messages]).toEqual([['a', 'b'], ['a', 'b'], []]);
      expect(two.bus.health()).toEqual({ carrier: 'redis', listening: true });
    });

    test('loses nothing when Redis is killed: what was committed meanwhile comes when it is back, and everybody knows of the gap', async () => {
      const { server, open, left } = await stage();
      const [one, two] = [await open(), await open()];
      const [here, there] = [hearing(one.bus, 'actors'), hearing(two.bus, 'actors')];
      await server.kill();
      await until(
        () => here.missed === 1 && there.missed === 1,
        () => [here, there],
      );
      expect(two.bus.health()).toMatchObject({ carrier: 'redis', listening: false });
      await expect(one.bus.publish('actors', 'not told')).rejects.toMatchObject({ code: 'bus_unavailable' });
      await one.bus.database.transaction((trx) => one.bus.publishIn(trx, 'actors', 'committed'));
      expect(here.messages).toEqual(['not told', 'committed']);
      expect(await left()).toBe(1);
      await server.start();
      await until(
        () => there.messages.length > 0,
        () => [there, two.bus.health()],
      );
      expect(new Set(there.messages)).toEqual(new Set(['committed']));
      expect([here.missed, there.missed]).toEqual([2, 2]);
      await until(async () => (await left()) === 0);
    });

    test('finds out that Redis does not answer any more although the connection stands', async () => {
      const { server, open } = await stage();
      const { bus } = await open();
      const heard = hearing(bus, 'actors');
      server.freeze();
      await until(() => !bus.listening());
      server.thaw();
      await until(() => bus.listening());
      expect(heard.missed).toBeGreaterThanOrEqual(2);
    });

    test('a message that is none counts as missed', async () => {
      const { open, url } = await stage();
      const { bus } = await open();
      const heard = hearing(bus, 'actors');
      const redis = await connected({ url });
      await until(() => redis.problem() === undefined);
      await redis.commands.publish('test:bus', 'no message');
      await until(() => heard.missed === 1);
    });
  });
});
