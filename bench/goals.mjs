import { growth } from './lookups.mjs';

/** @typedef {import('./results.mjs').Results} Results */

/**
 * What Sallyport is to reach with everything on.
 * @typedef {{ text: string } & (
 *   { workload: string, peer: 'go' | 'nginx', atLeast: number } | { workload: string, atMostBytes: number } |
 *   { workload: string, over: string, atMost: number } | { lookups: string[], atMostGrowth: number }
 * )} Goal `over` is the workload that the CPU time is compared with
 */

const megabyte = 1024 * 1024;

/** The goals that README.md names. Ratios are work per CPU second. @type {readonly Goal[]} */
export const goals = [
  { workload: 'plain', peer: 'go', atLeast: 2.5, text: 'reverse, plain: ≥ 2.5 × Go' },
  { workload: 'tls-upstream', peer: 'go', atLeast: 2.5, text: 'reverse, TLS upstream: ≥ 2.5 × Go' },
  { workload: 'tls-both', peer: 'go', atLeast: 1.8, text: 'reverse, TLS both sides: ≥ 1.8 × Go' },
  { workload: 'intercept', peer: 'go', atLeast: 1.8, text: 'intercepted, kept connections: ≥ 1.8 × Go' },
  { workload: 'sessions', peer: 'go', atLeast: 0.9, text: 'new CONNECT + TLS sessions: ≥ 0.9 × Go' },
  { workload: 'plain', peer: 'nginx', atLeast: 0.8, text: 'reverse, plain: ≥ 0.8 × nginx' },
  { workload: 'tls-upstream', peer: 'nginx', atLeast: 0.8, text: 'reverse, TLS upstream: ≥ 0.8 × nginx' },
  { workload: 'tls-both', peer: 'nginx', atLeast: 0.8, text: 'reverse, TLS both sides: ≥ 0.8 × nginx' },
  { workload: 'body-100m', peer: 'nginx', atLeast: 0.8, text: '100 MB bodies, plain: ≥ 0.8 × nginx' },
  { workload: 'body-100m-tls', peer: 'nginx', atLeast: 0.8, text: '100 MB bodies, TLS upstream: ≥ 0.8 × nginx' },
  { workload: 'idle-1k', atMostBytes: 120 * megabyte, text: '1,000 idle connections: ≤ 120 MB' },
  { workload: 'idle-10k', atMostBytes: 500 * megabyte, text: '10,000 idle connections: ≤ 500 MB' },
  { workload: 'plugin-fast', over: 'plugin-none', atMost: 1.15, text: 'sidecar, kept credential of a plugin: ≤ 1.15 × the CPU without' },
  {
    lookups: ['allow-list, hosts', 'allow-list, globs, hosts not seen before', 'allow-list, paths of one host'],
    atMostGrowth: 1.5,
    text: 'allow-list, 10,000 entries: ≤ 1.5 × 10',
  },
  { lookups: ['rules'], atMostGrowth: 1.5, text: 'rules, 10,000 entries: ≤ 1.5 × 10' },
  { lookups: ['routes, names', 'routes, globs', 'routes, two globs each'], atMostGrowth: 1.5, text: 'routes, 10,000 entries: ≤ 1.5 × 10' },
];

/**
 * Compares one goal with the results.
 * @param {Goal} goal
 * @param {Results} results
 * @returns {{ measured: string, met: boolean | null }} met is null when it was not measured
 */
export function judge(goal, results) {
  if ('lookups' in goal) return judgeGrowth(goal.lookups, goal.atMostGrowth, results);
  /** @param {string} name */
  const sallyport = (name) => results.workloads.find((workload) => workload.name === name)?.variants.sallyport;
  const found = sallyport(goal.workload);
  if ('peer' in goal) {
    const times = found?.times[goal.peer]?.cpu ?? null;
    return times === null ? { measured: '–', met: null } : { measured: times.toFixed(2), met: times >= goal.atLeast };
  }
  if ('over' in goal) {
    const [own, other] = [found?.median.cpu ?? null, sallyport(goal.over)?.median.cpu ?? null];
    return own === null || other === null ? { measured: '–', met: null } : { measured: (own / other).toFixed(2), met: own / other <= goal.atMost };
  }
  const bytes = found?.median.memory ?? null;
  return bytes === null ? { measured: '–', met: null } : { measured: `${Math.round(bytes / megabyte)} MB`, met: bytes <= goal.atMostBytes };
}

/** The worst of some lookups. @param {string[]} titles @param {number} atMost @param {Results} results */
function judgeGrowth(titles, atMost, { lookups = [] }) {
  const found = lookups.filter(({ title }) => titles.includes(title)).map(growth);
  if (found.length < titles.length) return { measured: '–', met: null };
  const worst = Math.max(...found);
  return { measured: worst.toFixed(2), met: worst <= atMost };
}
