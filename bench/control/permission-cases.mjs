// What a decision costs among 10 to 100,000 entries, in nanoseconds of CPU. The questions are the same ten, spread over all entries. Prints one line of
// JSON.
import { authorityOf } from '../../packages/control/dist/permissions/authority.js';
import { compilePermissions } from '../../packages/control/dist/permissions/compiled-permissions.js';
import { explain } from '../../packages/control/dist/permissions/explain.js';
import { listScope } from '../../packages/control/dist/permissions/list-scope.js';
import { permissionsOf } from '../../packages/control/dist/permissions/permission.js';
import { effort, nanosecondsOf } from './cpu-time.mjs';

const { short } = JSON.parse(process.argv[2] ?? '');
const sizes = [10, 1000, 100_000];
/** An actor may have at most 256 entries, and a list scope works through all of them. */
const actorSizes = [10, 100, 250];
const questions = 10;
const verbs = ['get', 'list'];

/** The numbers in the names: of the same length whatever the size, as longer names cost more. @param {number} size */
const numbers = (size) => Array.from({ length: size }, (_, i) => String(Math.floor((i * 100_000) / size)).padStart(5, '0'));
/** @param {number} size */
const spread = (size) => numbers(size).filter((_, i) => i % (size / questions) === Math.floor(size / questions / 2));
/** One entry for each namespace. @param {number} size */
const byNamespace = (size) => permissionsOf(numbers(size).map((i) => ({ namespace: `root.t${i}.**`, resources: ['connections'], verbs })));

/**
 * @typedef {object} Case
 * @property {string} title
 * @property {(size: number) => (i: number) => boolean} make a decision, the i-th, which has to be in favour
 * @property {readonly number[]} [sizes] those of `sizes` when left out
 */

/** @type {readonly Case[]} */
const cases = [
  {
    title: 'check, one entry per namespace',
    make: (size) => {
      const permits = compilePermissions(byNamespace(size));
      const asked = spread(size).map((i) => ({ namespace: `root.t${i}.app`, resource: 'connections', verb: 'get', resource_id: 'cxn_1' }));
      return (i) => permits(asked[i % questions]);
    },
  },
  {
    title: 'check, one object per entry',
    make: (size) => {
      const entries = numbers(size).map((i) => ({ namespace: 'root.t1.**', resources: ['connections'], verbs, resource_ids: [`cxn_${i}`] }));
      const permits = compilePermissions(permissionsOf(entries));
      const asked = spread(size).map((i) => ({ namespace: 'root.t1.app', resource: 'connections', verb: 'get', resource_id: `cxn_${i}` }));
      return (i) => permits(asked[i % questions]);
    },
  },
  {
    title: 'check, one entry for the namespaces of the tree',
    make: (size) => {
      const permits = compilePermissions(permissionsOf([{ namespace: 'root.**', resources: ['connections'], verbs }]));
      const asked = numbers(size).map((i) => ({ namespace: `root.t${i}.app`, resource: 'connections', verb: 'get', resource_id: 'cxn_1' }));
      return (i) => permits(asked[i % size]);
    },
  },
  {
    title: 'list scope in one namespace',
    sizes: actorSizes,
    make: (size) => {
      const permissions = byNamespace(size);
      const asked = spread(size).map((i) => ({ resource: 'connections', verb: 'list', namespace: `root.t${i}.**` }));
      return (i) => listScope(permissions, asked[i % questions]).kind === 'some';
    },
  },
  {
    title: 'explain',
    sizes: actorSizes,
    make: (size) => {
      const permissions = byNamespace(size);
      const asked = spread(size).map((i) => ({ namespace: `root.t${i}.app`, resource: 'connections', verb: 'get' }));
      return (i) => explain(permissions, asked[i % questions]).allowed;
    },
  },
  {
    title: 'what each request begins with: the authority of its actor',
    sizes: actorSizes,
    make: (size) => {
      const permissions = byNamespace(size);
      return () => authorityOf(permissions).permissions === permissions;
    },
  },
];

const found = cases.map(({ title, make, sizes: own = sizes }) => {
  const nanoseconds = own.map((size) => {
    const decide = make(size);
    let next = 0;
    const work = () => {
      if (!decide(next++)) throw new Error(`${title}, ${size}: a decision was against`);
    };
    return [size, nanosecondsOf(work, effort(short))];
  });
  return { title, nanoseconds: Object.fromEntries(nanoseconds) };
});
console.log(JSON.stringify(found));
