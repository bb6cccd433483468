// Run as a process of its own: rotates the keys, re-encrypts, and kills itself before a given statement. See `rotation-torture.test.ts`.
import { type DatabaseOptions, openDatabase } from '../database/open-database.js';
import { openKeysStage, tester } from './keys-stage.test.support.js';

const { ROTATION_DATABASE = '', ROTATION_KEYS = '', ROTATION_KILL_AT = '0' } = process.env;
const killAt = Number(ROTATION_KILL_AT);
let statements = 0;

const database = openDatabase({
  ...(JSON.parse(ROTATION_DATABASE) as DatabaseOptions),
  onStatement() {
    statements += 1;
    if (statements === killAt) process.kill(process.pid, 'SIGKILL');
  },
});
const { service, reencryption, retirement } = await openKeysStage(database, { pageSize: 10 });
for (const id of ROTATION_KEYS.split(' ').filter(Boolean)) await service.rotate(id, tester);
await reencryption.run(new AbortController().signal);
await retirement.retireUnused();
await retirement.purgeRetired(3_600_000);
await database.close();
process.stdout.write(String(statements));
