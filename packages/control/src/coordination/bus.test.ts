import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { migrate } from '../database/migrate.js';
import type { DatabaseOptions } from '../database/open-database.js';
import { describeOnBoth, type TestDatabases } from '../database/testing/databases.test.support.js';
import { createBus } from './bus.js';
import { hearing, type OpenBus, onlyOn, openBus, until } from './coordination.test.support.js';

async function migratedOptions(databases: TestDatabases): Promise<DatabaseOptions> {
  const options = await databases.empty();
  await migrate(databases.opened(options));
  return options;
}

async function twoOn(databases: TestDatabases): Promise<readonly [OpenBus, OpenBus]> {
  const options = await migratedOptions(databases);
  return [await openBus(databases, options), await openBus(databases, options)];
}

describeOnBoth('the bus', (databases) => {
  test('tells this process at once and the others soon, each once, and only who listens to the topic', async () => {
    const [one, two] = await twoOn(databases);
    const [here, there, other] = [hearing(one.bus, 'actors'), hearing(two.bus, 'actors'), hearing(two.bus, 'keys')];
    const published = one.bus.publish('actors', 'act_1');
    expect(here.messages).toEqual(['act_1']);
    await published;
    await one.bus.publish('keys', 'the last');
    await until(() => other.messages.length === 1);
    await until(() => there.messages.length === 1);
    expect([here.messages, there.messages, other.messages]).toEqual([['act_1'], ['act_1'], ['the last']]);
    expect(one.bus.health()).toEqual({ carrier: databases.dialect, listening: true });
  });

  test('tells what a transaction published when it has committed, and nothing of one that was rolled back', async () => {
    const [one, two] = await twoOn(databases);
    const [here, there] = [hearing(one.bus, 'actors'), hearing(two.bus, 'actors')];
    const failed = one.bus.database.transaction(async (trx) => {
      await one.bus.publishIn(trx, 'actors', 'never');
      throw new Error('rolled back');
    });
    await expect(failed).rejects.toThrow('rolled back');
    await one.bus.database.transaction(async (trx) => {
      await one.bus.publishIn(trx, 'actors', 'committed');
      expect(here.messages).toEqual([]);
    });
    expect(here.messages).toEqual(['committed']);
    await until(() => there.messages.length > 0);
    expect(there.messages).toEqual(['committed']);
  });

  test('counts only the run of a transaction that committed', async () => {
    const { bus } = await openBus(databases, await migratedOptions(databases));
    const here = hearing(bus, 'actors');
    let runs = 0;
    await bus.database.transaction(async (trx) => {
      runs += 1;
      await bus.publishIn(trx, 'actors', `run ${runs}`);
      if (databases.dialect === 'postgres' && runs === 1) await sql`do $$ begin raise sqlstate '40001'; end $$`.execute(trx);
    });
    expect(here.messages).toEqual([databases.dialect === 'postgres' ? 'run 2' : 'run 1']);
  });

  test('takes large messages and every character', async () => {
    const [one, two] = await twoOn(databases);
    const there = hearing(two.bus, 'actors');
    const payloads = ['x'.repeat(100_000), '\0\ud800"\\\n\u2028ä', '€'.repeat(2630), '€'.repeat(2610)];
    for (const payload of payloads) await one.bus.publish('actors', payload);
    await one.bus.database.transaction((trx) => one.bus.publishIn(trx, 'actors', 'y'.repeat(9_000)));
    await until(() => there.messages.length === 5);
    expect(there.messages.toSorted()).toEqual([...payloads, 'y'.repeat(9_000)].toSorted());
  });

  test('refuses topics and messages out of bounds, and transactions of another database', async () => {
    const { bus, database } = await openBus(databases, await migratedOptions(databases));
    await expect(bus.publish('Not a topic', '')).rejects.toThrow(TypeError);
    await expect(bus.publish('actors', 'x'.repeat(2 ** 20 + 1))).rejects.toThrow(RangeError);
    await expect(database.transaction((trx) => bus.publishIn(trx, 'actors', ''))).rejects.toThrow('database of the bus');
    await expect(bus.database.transaction(() => bus.publish('actors', ''))).rejects.toThrow(/inside a(nother)? (transaction|one)/);
  });

  test('says once that messages may have been missed when it begins to listen, and stops hearing', async () => {
    const options = await migratedOptions(databases);
    const database = databases.opened(options);
    const bus = createBus({ database, connection: options });
    const heard = hearing(bus, 'actors');
    expect([bus.listening(), heard.missed]).toEqual([false, 0]);
    await bus.whenListening(AbortSignal.timeout(20_000));
    expect([bus.listening(), heard.missed]).toEqual([true, 1]);
    await bus.close();
    expect(bus.health()).toMatchObject({ listening: false, problem: 'closed' });
    const { bus: other } = await openBus(databases, options);
    await other.publish('actors', 'nobody hears this');
    expect(heard).toEqual({ messages: [], missed: 1 });
  });

  test('a wait for it to listen ends with its signal', async () => {
    const options = await databases.empty();
    const bus = createBus({ database: databases.opened(options), connection: options });
    const reason = new Error('given up');
    await expect(bus.whenListening(AbortSignal.abort(reason))).rejects.toBe(reason);
    await bus.close();
  });

  onlyOn(databases, 'sqlite', () => {
    test('tells a process that slept too long that it missed messages, and keeps only the last ones', async () => {
      const [one, two] = await twoOn(databases);
      const there = hearing(two.bus, 'actors');
      // What another process would have written and taken away again while this one slept.
      await one.database.transaction(async (trx) => {
        await sql`insert into bus_messages (seq, message, created_at) values (5000, '["x","actors","after the hole"]', 0)`.execute(trx);
      });
      await until(() => there.messages.length === 1);
      expect(there).toEqual({ messages: ['after the hole'], missed: 1 });
      for (let count = 0; count < 100; count += 1) await one.bus.publish('actors', String(count));
      await until(() => there.messages.length === 101);
      const { rows } = await sql<{ first: number }>`select min(seq) as first from bus_messages`.execute(one.database.db);
      expect(rows[0]?.first).toBeGreaterThanOrEqual(4_000);
      expect(there.missed).toBe(1);
    });

    test('is silent while the table cannot be read, and begins anew when it can', async () => {
      const [{ bus, database }] = await twoOn(databases);
      const heard = hearing(bus, 'actors');
      await sql`alter table bus_messages rename to hidden`.execute(database.db);
      await until(() => !bus.listening());
      expect(heard.missed).toBe(1);
      await sql`alter table hidden rename to bus_messages`.execute(database.db);
      await until(() => bus.listening());
      expect(heard.missed).toBe(2);
    });
  });

  onlyOn(databases, 'postgres', () => {
    const ofListener = sql`application_name = 'sallyport bus' and datname = current_database()`;

    test('comes back when its connection is terminated, and says that messages may have been missed', async () => {
      const options = await migratedOptions(databases);
      const { bus, database } = await openBus(databases, options);
      const heard = hearing(bus, 'actors');
      await sql`select pg_terminate_backend(pid) from pg_stat_activity where ${ofListener}`.execute(database.db);
      await until(
        () => heard.missed === 2,
        () => heard,
      );
      expect(bus.health()).toEqual({ carrier: 'postgres', listening: true });
      const two = await openBus(databases, options);
      await two.bus.publish('actors', 'after');
      await until(() => heard.messages.includes('after'));
      expect(heard.missed).toBe(2);
    });

    test('finds out that its connection is dead although nobody says so', async () => {
      const options = await migratedOptions(databases);
      const { bus, database } = await openBus(databases, options);
      const heard = hearing(bus, 'actors');
      const { rows } = await sql<{ pid: number }>`select pid from pg_stat_activity where ${ofListener}`.execute(database.db);
      const pid = rows[0]?.pid ?? 0;
      process.kill(pid, 'SIGSTOP');
      try {
        await until(
          () => heard.missed === 2,
          () => heard,
        );
        expect(bus.listening()).toBe(true);
        await (await openBus(databases, options)).bus.publish('actors', 'after');
        await until(() => heard.messages.includes('after'));
      } finally {
        process.kill(pid, 'SIGCONT');
      }
    });

    test('a large message that is gone before it could be read counts as missed', async () => {
      const { bus, database } = await openBus(databases, await migratedOptions(databases));
      const heard = hearing(bus, 'actors');
      for (const text of ['12345', 'no message', '{}', '["a","b"]']) await sql`select pg_notify('sallyport_bus', ${text})`.execute(database.db);
      await until(
        () => heard.missed === 4,
        () => heard,
      );
      expect(heard.messages).toEqual([]);
    });

    test('takes large messages away when they are old', async () => {
      const { bus, database } = await openBus(databases, await migratedOptions(databases));
      const count = async (): Promise<number> => {
        const { rows } = await sql<{ count: number }>`select count(*) as count from bus_messages`.execute(database.db);
        return rows[0]?.count ?? -1;
      };
      await bus.publish('actors', 'x'.repeat(10_000));
      await sql`update bus_messages set created_at = created_at - 3600000`.execute(database.db);
      await bus.database.transaction((trx) => bus.publishIn(trx, 'actors', 'y'.repeat(10_000)));
      await until(async () => (await count()) === 1);
    });

    test('rejects when the others cannot be told', async () => {
      const { bus, database } = await openBus(databases, await migratedOptions(databases));
      const heard = hearing(bus, 'actors');
      await sql`select 1`.execute(database.db);
      await database.close();
      await expect(bus.publish('actors', 'lost?')).rejects.toThrow(/destroyed|closed|ended|end/);
      expect(heard.messages).toEqual(['lost?']);
    });
  });
});
