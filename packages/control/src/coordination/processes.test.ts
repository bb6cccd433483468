import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrate } from '../database/migrate.js';
import type { DatabaseOptions } from '../database/open-database.js';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { type Child, type Children, children } from './child-processes.test.support.js';
import { closeAfterTest, until } from './coordination.test.support.js';
import { hasRedis, startRedis } from './redis.test.support.js';

describeOnBoth('several processes', (databases) => {
  let processes: Children;
  beforeAll(() => {
    processes = children();
  });
  afterAll(() => processes.close());

  async function membersOn(count: number, options: DatabaseOptions, redis = ''): Promise<readonly Child[]> {
    await migrate(databases.opened(options));
    const env = { MEMBER_DATABASE: JSON.stringify(options), MEMBER_REDIS: redis };
    const members = Array.from({ length: count }, () => processes.start('member.test.support.js', env));
    for (const member of members) expect(await member.ask('heard')).toEqual(['missed']);
    return members;
  }

  const hears = (child: Child, message: string): Promise<void> =>
    until(async () => ((await child.ask('heard')) as readonly string[]).includes(message));

  test('hear each other, and what one committed before it was killed', async () => {
    const [one, two, three] = await membersOn(3, await databases.empty());
    if (one === undefined || two === undefined || three === undefined) throw new Error('Three were asked for.');
    await one.ask('publish', 'from one');
    await two.ask('publish', 'from two');
    for (const child of [one, two, three]) for (const message of ['from one', 'from two']) await hears(child, message);
    await expect(one.ask('publishAndDie', 'the last words')).rejects.toThrow('ended');
    for (const child of [two, three]) await hears(child, 'the last words');
    expect(((await two.ask('heard')) as readonly string[]).toSorted()).toEqual(['from one', 'from two', 'missed', 'the last words']);
    await Promise.all([one.kill(), two.kill(), three.kill()]);
  });

  test.skipIf(!hasRedis)('tell through Redis what one committed and could not tell before it was killed', async () => {
    const redis = await startRedis();
    closeAfterTest(() => redis.stop());
    const [one, two] = await membersOn(2, await databases.empty(), `redis://127.0.0.1:${redis.port}`);
    if (one === undefined || two === undefined) throw new Error('Two were asked for.');
    await one.ask('publish', 'from one');
    await hears(two, 'from one');
    await expect(one.ask('publishAndDie', 'the last words')).rejects.toThrow('ended');
    await hears(two, 'the last words');
    await two.kill();
  });

  test('have one leader, whose place is free some time after it was killed', async () => {
    const [one, two] = await membersOn(2, await databases.empty());
    if (one === undefined || two === undefined) throw new Error('Two were asked for.');
    expect(await one.ask('lease', 'leader', 1_000)).toBe(1);
    await one.kill();
    await until(async () => (await two.ask('lease', 'leader', 60_000)) === 2);
    expect(await two.ask('lease', 'leader', 60_000)).toBe(0);
    await two.kill();
  });

  test(`${databases.dialect === 'postgres' ? 'share' : 'do not share'} their counts`, async () => {
    const [one, two] = await membersOn(2, await databases.empty());
    if (one === undefined || two === undefined) throw new Error('Two were asked for.');
    expect(await one.ask('consume', 'a', 30)).toBe(30);
    if (databases.dialect === 'postgres') {
      await until(async () => (await two.ask('remaining', 'a')) === 20);
      expect(await two.ask('consume', 'a', 100)).toBe(20);
      await until(async () => (await one.ask('remaining', 'a')) === 0);
      expect(await one.ask('consume', 'a', 100)).toBe(0);
      // Both at once: what each did not know of the other, and never more than twice the limit.
      const both = (await Promise.all([one.ask('consume', 'b', 5_000), two.ask('consume', 'b', 5_000)])) as readonly number[];
      const sum = both.reduce((total, allowed) => total + allowed, 0);
      expect(sum).toBeGreaterThanOrEqual(50);
      expect(sum).toBeLessThanOrEqual(100);
    } else {
      expect(await two.ask('consume', 'a', 100)).toBe(50);
    }
    await Promise.all([one.kill(), two.kill()]);
  });
});
