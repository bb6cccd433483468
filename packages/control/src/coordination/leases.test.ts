import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { migrate } from '../database/migrate.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { until } from './coordination.test.support.js';
import { createLeases, type Lease } from './leases.js';

async function acquired(taken: Promise<Lease | undefined>): Promise<Lease> {
  const lease = await taken;
  if (lease === undefined) throw new Error('Somebody else has the lease.');
  return lease;
}

const ttlMs = 60_000;

describeOnBoth('leases', (databases) => {
  test('have one holder, and the next one a higher number', async () => {
    const options = await databases.empty();
    const [one, two] = [databases.opened(options), databases.opened(options)];
    await migrate(one);
    const [ours, theirs] = [createLeases({ database: one }), createLeases({ database: two })];
    const first = await acquired(ours.acquire('leader', { ttlMs }));
    expect(first.fencing).toBe(1);
    expect(await theirs.acquire('leader', { ttlMs })).toBeUndefined();
    expect(await ours.acquire('leader', { ttlMs })).toBeUndefined();
    expect((await acquired(theirs.acquire('something else', { ttlMs }))).fencing).toBe(1);
    await first.renew();
    await first.release();
    expect(first.signal.reason).toMatchObject({ code: 'lease_lost' });
    await expect(first.renew()).rejects.toMatchObject({ code: 'lease_lost', status: 503 });
    const second = await acquired(theirs.acquire('leader', { ttlMs }));
    expect(second.fencing).toBe(2);
    // A former holder takes nothing from the present one.
    await first.release();
    expect(await ours.acquire('leader', { ttlMs })).toBeUndefined();
    await second.renew();
  });

  test('go to one of many who ask at once', async () => {
    const options = await databases.empty();
    const all = Array.from({ length: 4 }, () => databases.opened(options));
    await migrate(databases.opened(options));
    const leases = all.map((database) => createLeases({ database }));
    for (let round = 1; round <= 5; round += 1) {
      const answers = await Promise.all([...leases, ...leases].map((each) => each.acquire('leader', { ttlMs })));
      const winners = answers.filter((answer) => answer !== undefined);
      expect(winners.map(({ fencing }) => fencing)).toEqual([round]);
      await winners[0]?.release();
    }
  });

  test('end when they are not renewed, and the one who slept cannot write any more', async () => {
    const database = await databases.open();
    const leases = createLeases({ database });
    const former = await acquired(leases.acquire('leader', { ttlMs: 50 }));
    await database.transaction((trx) => former.requireHeld(trx));
    await until(() => former.signal.aborted);
    let next: Lease | undefined;
    await until(async () => (next = await leases.acquire('leader', { ttlMs })));
    if (next === undefined) throw new Error('Nobody has the lease.');
    const { fencing, requireHeld } = next;
    expect(fencing).toBe(2);
    await expect(former.renew()).rejects.toMatchObject({ code: 'lease_lost' });
    await expect(database.transaction((trx) => former.requireHeld(trx))).rejects.toMatchObject({ code: 'lease_lost' });
    await database.transaction((trx) => requireHeld(trx));
  });

  test('are lost when the database says so, whatever the clock here says', async () => {
    const database = await databases.open();
    const leases = createLeases({ database });
    const former = await acquired(leases.acquire('leader', { ttlMs }));
    await sql`update leases set expires_at = 0`.execute(database.db);
    const next = await acquired(leases.acquire('leader', { ttlMs }));
    expect(former.signal.aborted).toBe(false);
    await expect(database.transaction((trx) => former.requireHeld(trx))).rejects.toMatchObject({ code: 'lease_lost' });
    await expect(former.renew()).rejects.toMatchObject({ code: 'lease_lost' });
    expect(former.signal.aborted).toBe(true);
    expect(next.signal.aborted).toBe(false);
  });

  test('do not begin while a transaction relies on the former one', async () => {
    const options = await databases.empty();
    const [one, two] = [databases.opened(options), databases.opened(options)];
    await migrate(one);
    const former = await acquired(createLeases({ database: one }).acquire('leader', { ttlMs }));
    await sql`update leases set expires_at = 0`.execute(one.db);
    const order: string[] = [];
    let taking: Promise<unknown> = Promise.resolve();
    await one.transaction(async (trx) => {
      await former.requireHeld(trx);
      if (databases.dialect === 'sqlite') await sql`update leases set owner = owner`.execute(trx);
      taking = createLeases({ database: two })
        .acquire('leader', { ttlMs })
        .then(() => order.push('taken'));
      // Time enough to take it, if that were possible.
      for (let count = 0; count < 20; count += 1) await sql`select 1`.execute(trx);
      order.push('written');
    });
    await taking;
    expect(order).toEqual(['written', 'taken']);
  });

  test('end with the signal of whoever asked', async () => {
    const leases = createLeases({ database: await databases.open() });
    const reason = new Error('stopping');
    await expect(leases.acquire('leader', { ttlMs, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const stopping = new AbortController();
    const lease = await acquired(leases.acquire('leader', { ttlMs, signal: stopping.signal }));
    stopping.abort(reason);
    expect(lease.signal.aborted).toBe(true);
    await until(async () => (await leases.acquire('leader', { ttlMs })) !== undefined);
    await expect(leases.acquire('leader', { ttlMs: 0 })).rejects.toThrow(RangeError);
  });
});
