// Run as a process of its own: one of several on the same database, and perhaps the same Redis. See `processes.test.ts`.
import { createInterface } from 'node:readline';
import { type DatabaseOptions, openDatabase } from '../database/open-database.js';
import { createBus } from './bus.js';
import { createLeases } from './leases.js';
import { createRateLimiter } from './rate-limiter.js';
import { openRedis } from './redis-connection.js';

const { MEMBER_DATABASE = '', MEMBER_REDIS = '' } = process.env;
const connection = JSON.parse(MEMBER_DATABASE) as DatabaseOptions;
const database = openDatabase(connection);
const redis = MEMBER_REDIS === '' ? {} : { redis: await openRedis({ url: MEMBER_REDIS }) };
const bus = createBus({ database, connection, heartbeatMs: 300, ...redis });
const limiter = createRateLimiter({ bus, rules: { requests: { limit: 50, windowSeconds: 86_400 } }, gossipMs: 50, ...redis });
const leases = createLeases({ database });
const heard: string[] = [];
bus.subscribe('actors', { message: (payload) => void heard.push(payload), missed: () => void heard.push('missed') });
await bus.whenListening(AbortSignal.timeout(20_000));

const answers: Readonly<Record<string, (text: string, times: number) => Promise<unknown>>> = {
  heard: async () => heard,
  publish: async (payload) => {
    await bus.database.transaction((trx) => bus.publishIn(trx, 'actors', payload));
    return true;
  },
  /** Commits, and is dead before it could tell anybody. */
  publishAndDie: (payload) =>
    bus.database.transaction((trx) => bus.publishIn(trx, 'actors', payload)).then(() => process.kill(process.pid, 'SIGKILL')),
  consume: async (key, times) => {
    let allowed = 0;
    for (let count = 0; count < times; count += 1) if ((await limiter.consume('requests', key)).allowed) allowed += 1;
    return allowed;
  },
  remaining: async (key) => (await limiter.check('requests', key)).remaining,
  lease: async (name, ttlMs) => (await leases.acquire(name, { ttlMs }))?.fencing ?? 0,
};

for await (const line of createInterface({ input: process.stdin })) {
  const [what = '', text = '', times = 0] = JSON.parse(line) as [string?, string?, number?];
  process.stdout.write(`${JSON.stringify(await answers[what]?.(text, times))}\n`);
}
