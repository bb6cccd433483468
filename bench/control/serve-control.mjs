// Serves the admin API over the database of its argument, with tenants, actors and the actor whose token the load shows. Prints one line of JSON when
// it is ready: where it listens, the names for `{pick}`, how many statements each request takes, and what it answers.
import { systemRequester } from '../../packages/control/dist/actors/actors.js';
import { openControlPlane } from '../../packages/control/dist/control-plane.js';
import { createBus } from '../../packages/control/dist/coordination/bus.js';
import { createRateLimiter } from '../../packages/control/dist/coordination/rate-limiter.js';
import { migrate } from '../../packages/control/dist/database/migrate.js';
import { openDatabase } from '../../packages/control/dist/database/open-database.js';
import { parseProviderConfig } from '../../packages/control/dist/keys/provider-config.js';
import { throttleBy } from '../../packages/control/dist/running/throttle.js';
import { createServiceApp } from '../../packages/control/dist/server/service-app.js';
import { fill, population, requests } from './requests.mjs';

// Nobody is left to be served when whoever started this is gone.
process.stdin.once('close', () => process.exit()).resume();
const { connection, publicJwk, token, longestLife } = JSON.parse(process.argv[2] ?? '');
let statements = 0;
const database = openDatabase({
  ...connection,
  onStatement: () => {
    statements += 1;
  },
});
await migrate(database);
const globalKey = { current: parseProviderConfig({ value: 'the material of the global key' }) };
const plane = await openControlPlane({ database, globalKey, issuer: 'sallyport', env: {}, tokenLifetime: longestLife });
const ample = { limit: 1_000_000_000, windowSeconds: 60 };
const rules = { actor: ample, address: ample, failed_authentication: ample };
const throttle = throttleBy(createRateLimiter({ bus: createBus({ database, connection }), rules }), rules);
const app = await createServiceApp({
  ...{ service: 'admin-api', version: '0.0.0', operations: plane.operations, identify: plane.identify, once: plane.once, throttle },
  onServed: () => undefined,
});
await app.listen({ host: '127.0.0.1', port: 0 });
const { port } = /** @type {import('node:net').AddressInfo} */ (app.server.address());

await plane.namespaces.create('root.x', systemRequester.context);
const tenants = [];
const actors = [];
for (let i = 0; i < population; i++) {
  tenants.push((await plane.namespaces.create(`root.t${i}`, systemRequester.context)).path);
  const permissions = [{ namespace: `root.t${i}.**`, resources: ['*'], verbs: ['get', 'list'] }];
  actors.push((await plane.actors.create({ namespace: `root.t${i}`, external_id: 'service', permissions }, systemRequester)).id);
}
const admin = { namespace: 'root', external_id: 'admin', permissions: [{ namespace: 'root.**', resources: ['*'], verbs: ['*'] }] };
await plane.actorKeys.add((await plane.actors.create(admin, systemRequester)).id, { public_key: JSON.stringify(publicJwk) }, systemRequester);

/** @type {Record<string, number>} */
const statementsOf = {};
/** @type {Record<string, unknown>} */
const answers = {};
// The fewest count: the first time something is learned that is then kept in memory, and any time something may go on in the background.
for (const attempt of 'abcdefgh') {
  for (const { name, method, path, body, picks } of requests) {
    const values = { n: `probe-${attempt}`, pick: { tenants, actors }[picks][0] ?? '' };
    const sent = body === '' ? {} : { body: fill(body, values), headers: { 'content-type': 'application/json' } };
    const before = statements;
    const answer = await fetch(`http://127.0.0.1:${port}${fill(path, values)}`, {
      method,
      ...sent,
      headers: { ...sent.headers, authorization: `Bearer ${token}` },
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    statementsOf[name] = Math.min(statements - before, statementsOf[name] ?? Number.POSITIVE_INFINITY);
    answers[name] = JSON.parse(text);
  }
}
console.log(JSON.stringify({ port, picks: { tenants, actors }, statements: statementsOf, answers }));
