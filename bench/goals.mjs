/** @typedef {import('./results.mjs').Results} Results */

/**
 * What Sallyport is to reach with everything on.
 * @typedef {{ workload: string, text: string } & ({ peer: 'go' | 'nginx', atLeast: number } | { atMostBytes: number })} Goal
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
];

/**
 * Compares one goal with the results.
 * @param {Goal} goal
 * @param {Results} results
 * @returns {{ measured: string, met: boolean | null }} met is null when it was not measured
 */
export function judge(goal, results) {
  const found = results.workloads.find((workload) => workload.name === goal.workload)?.variants.sallyport;
  if ('peer' in goal) {
    const times = found?.times[goal.peer]?.cpu ?? null;
    return times === null ? { measured: '–', met: null } : { measured: times.toFixed(2), met: times >= goal.atLeast };
  }
  const bytes = found?.median.memory ?? null;
  return bytes === null ? { measured: '–', met: null } : { measured: `${Math.round(bytes / megabyte)} MB`, met: bytes <= goal.atMostBytes };
}
