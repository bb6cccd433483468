import type { RunHost, RunSummary } from '@sallyport/gateway';
import { coloursFor, columns } from '../terminal.js';

/** The report of a run for people, for standard error. */
export function describeRun(summary: RunSummary): string {
  const colours = coloursFor(process.stderr);
  const reached = summary.hosts.filter((host) => host.requests + host.tunnels > 0);
  const problems = summary.hosts.flatMap((host) => host.problems.map((problem) => ({ ...problem, where: place(host) })));
  const refused = problems.filter(({ outcome }) => outcome === 'refused');
  const others = problems.filter(({ outcome }) => outcome !== 'refused');
  const lines = [
    `${colours.bold('sallyport')} ${summary.run_id}: ${counted(reached.length, 'host')} reached, ${counted(sum(refused), 'request')} refused`,
  ];
  const rows = reached.map((host) => [
    `  ${place(host)}`,
    [host.requests > 0 ? counted(host.requests, 'request') : '', host.tunnels > 0 ? counted(host.tunnels, 'tunnel') : ''].filter(Boolean).join(', '),
    Object.entries(host.statuses)
      .map(([status, count]) => `${status}×${count}`)
      .join(' '),
    `${bytes(host.request_bytes)} out, ${bytes(host.response_bytes)} in`,
    host.credentials.join(', '),
  ]);
  if (rows.length > 0) lines.push(columns(rows));
  for (const { where, count, code, detail, hint } of [...refused, ...others]) {
    lines.push(`  ${colours.red(where)}  ${code}×${count}  ${detail}`, `    ${colours.dim(hint)}`);
  }
  if (summary.requests_to_further_hosts > 0) lines.push(`  and ${counted(summary.requests_to_further_hosts, 'request')} to further hosts`);
  return `${lines.join('\n')}\n`;
}

function place({ host, port }: RunHost): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === 443 ? name : `${name}:${port}`;
}

function sum(problems: readonly { count: number }[]): number {
  return problems.reduce((total, { count }) => total + count, 0);
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}

function bytes(count: number): string {
  if (count < 1_000) return `${count} B`;
  const unit = count < 1e6 ? 1e3 : count < 1e9 ? 1e6 : 1e9;
  return `${(count / unit).toFixed(1)} ${unit === 1e3 ? 'kB' : unit === 1e6 ? 'MB' : 'GB'}`;
}
