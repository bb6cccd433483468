// What a decision costs, by the number of entries that it is looked up among. Prints one line of JSON: nanoseconds by case and size.
// A process of its own, so that no other code has shaped what the compiler made of these functions.
import { Mux } from '../packages/credentials/dist/routing/mux.js';
import { compileAllowList } from '../packages/gateway/dist/policy/allow-list.js';
import { compilePolicy } from '../packages/gateway/dist/policy/policy.js';
import { TransactionContext } from '../packages/sdk/dist/transaction-context.js';

const sizes = [10, 100, 1000, 10_000];
/** How many different calls are made, whatever the size: more of them would measure the caches of the processor. */
const calls = 10;
const rounds = 7;
/** Lookups between two looks at the clock. */
const batch = 200;
/** CPU time of one round, in microseconds. */
const roundMicros = 20_000;

/** The numbers in the names of the entries: of the same length whatever the size, as longer names cost more. @param {number} size */
const numbers = (size) => Array.from({ length: size }, (_, i) => Math.floor((i * 10_000) / size));
/** @param {number} size which entries the calls are about: spread over all of them */
const spread = (size) => numbers(size).filter((_, i) => i % (size / calls) === Math.floor(size / calls / 2));
/** @param {number} size @param {(i: number) => string} name */
const named = (size, name) => numbers(size).map((i) => name(i));

/**
 * @typedef {object} Case
 * @property {string} title
 * @property {(size: number) => (i: number) => boolean} make a lookup, the i-th, which has to find something
 */

/** @type {Case[]} */
const cases = [
  {
    title: 'allow-list, hosts',
    make: (size) => {
      const list = compileAllowList(Object.fromEntries(named(size, (i) => `api-${i}.example.com`).map((key) => [key, ['/v1/**']])));
      const hosts = spread(size).map((i) => `api-${i}.example.com`);
      return (i) => list.decide('https', hosts[i % calls] ?? '', 443, '/v1/items/17').verdict === 'allowed';
    },
  },
  {
    title: 'allow-list, globs, hosts not seen before',
    make: (size) => {
      const list = compileAllowList(Object.fromEntries(named(size, (i) => `*.tenant-${i}.example.com`).map((key) => [key, ['/v1/**']])));
      const hosts = spread(size).flatMap((i) => named(2000, (j) => `h${j}.tenant-${i}.example.com`));
      return (i) => list.decide('https', hosts[i % hosts.length] ?? '', 443, '/v1/items/17').verdict === 'allowed';
    },
  },
  {
    title: 'allow-list, paths of one host',
    make: (size) => {
      const list = compileAllowList({ 'api.example.com': named(size, (i) => `/v1/resource-${i}/*`) });
      const paths = spread(size).map((i) => `/v1/resource-${i}/17`);
      return (i) => list.decide('https', 'api.example.com', 443, paths[i % calls] ?? '').verdict === 'allowed';
    },
  },
  {
    title: 'rules',
    make: (size) => {
      const policy = compilePolicy({ mode: 'strict', rules: named(size, (i) => `allow api-${i}.example.com GET,POST /v1/**`) });
      const hosts = spread(size).map((i) => `api-${i}.example.com`);
      return (i) => policy.decide(hosts[i % calls] ?? '', 443, 'GET', '/v1/items/17').verdict === 'allowed';
    },
  },
  { title: 'routes, names', make: (size) => routes(size, (i) => ({ vendorId: `vendor-${i}`, marketplaceId: 'MP-1' })) },
  { title: 'routes, globs', make: (size) => routes(size, (i) => ({ vendorId: `vendor-${i}-*` })) },
  { title: 'routes, two globs each', make: (size) => routes(size, (i) => ({ vendorId: `vendor-${i}-*`, targetUrl: '*.example.com/**' })) },
];

/** @param {number} size @param {(i: number) => Record<string, string>} route */
function routes(size, route) {
  const mux = new Mux();
  for (const i of numbers(size)) mux.handleForward(route(i), 'router');
  const isGlob = route(0).vendorId?.endsWith('*');
  const contexts = spread(size).map(
    (i) =>
      new TransactionContext({
        targetUrl: 'https://api.example.com/v1/x',
        vendorId: isGlob ? `vendor-${i}-eu` : `vendor-${i}`,
        marketplaceId: 'MP-1',
      }),
  );
  /** @param {number} i */
  return (i) => mux.routeRequest(contexts[i % calls]) !== null;
}

/** Nanoseconds of CPU time for one lookup, in the best of the rounds: whatever else runs on the machine only makes it more. @param {Case} one @param {number} size */
function measure({ title, make }, size) {
  const lookup = make(size);
  let next = 0;
  const samples = [];
  for (let round = -2; round < rounds; round++) {
    const before = process.cpuUsage();
    let done = 0;
    let micros = 0;
    while (micros < roundMicros) {
      for (let i = 0; i < batch; i++) if (!lookup(next++)) throw new Error(`${title}, ${size}: a lookup found nothing`);
      done += batch;
      const { user, system } = process.cpuUsage(before);
      micros = user + system;
    }
    // The first rounds are for the compiler.
    if (round >= 0) samples.push((micros * 1000) / done);
  }
  return Math.min(...samples);
}

const found = cases.map((one) => ({ title: one.title, nanoseconds: Object.fromEntries(sizes.map((size) => [size, measure(one, size)])) }));
console.log(JSON.stringify(found));
