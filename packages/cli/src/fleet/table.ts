import { type coloursFor, columns } from '../terminal.js';
import { type FleetReport, type InstanceReport, isWell } from './report.js';

type Colours = ReturnType<typeof coloursFor>;

const SPARKS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const SPARK_WIDTH = 12;
const SOON_DAYS = 14;
const MANY_ERRORS = 0.05;

/** The report for people: the sums first, which stay when the rest is cut off, one line per instance, and what is wrong. */
export function fleetTable(report: FleetReport, colours: Colours): string {
  const head = ['instance', 'address', 'status', 'version', 'req/s', 'errors', 'p50', 'p95', 'p99', 'active', 'certificate', 'req/s so far'].map(
    colours.dim,
  );
  const rows = report.instances.map((instance) => row(instance, colours));
  const notes = report.instances.filter(({ error }) => error !== null).map(({ name, error }) => `${colours.yellow(name)}: ${error}`);
  const healthy = `${report.healthy} of ${report.instances.length} healthy`;
  const sums = `${healthy}, ${number(report.total_rps)} req/s, ${percent(report.fleet_error_rate)} errors`;
  return [sums, '', columns([head, ...rows]), ...(notes.length === 0 ? [] : ['', ...notes])].join('\n');
}

function row(instance: InstanceReport, colours: Colours): string[] {
  const status = instance.ready === false && instance.status === 'healthy' ? 'not ready' : instance.status;
  const paint = isWell(instance) ? colours.green : instance.status === 'unreachable' ? colours.red : colours.yellow;
  const errors = instance.error_rate === null ? '–' : percent(instance.error_rate);
  return [
    instance.name,
    instance.address,
    paint(status),
    instance.version ?? '–',
    `${number(instance.rps)}${trend(instance.rps_trend)}`,
    `${(instance.error_rate ?? 0) > MANY_ERRORS ? colours.red(errors) : errors}${trend(instance.error_rate_trend)}`,
    milliseconds(instance.p50_ms),
    milliseconds(instance.p95_ms),
    milliseconds(instance.p99_ms),
    number(instance.active_connections),
    certificate(instance.certificate_days_left, colours),
    sparkline(instance.rps_series),
  ];
}

function number(value: number | null): string {
  if (value === null) return '–';
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}

function percent(share: number): string {
  return `${share === 0 ? '0' : (share * 100).toFixed(1)} %`;
}

function milliseconds(value: number | null): string {
  if (value === null) return '–';
  return value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${number(value)} ms`;
}

function trend(change: number | null): string {
  if (change === null || change === 0) return '';
  return change > 0 ? ' ↑' : ' ↓';
}

function certificate(days: number | null, colours: Colours): string {
  if (days === null) return '–';
  if (days < 0) return colours.red('expired');
  const text = days === 1 ? '1 day' : `${days} days`;
  return days < SOON_DAYS ? colours.yellow(text) : text;
}

/** The last values as bars, each relative to the largest. */
export function sparkline(values: readonly number[]): string {
  const shown = values.slice(-SPARK_WIDTH);
  const highest = Math.max(...shown, 0);
  return shown.map((value) => SPARKS[highest === 0 ? 0 : Math.min(Math.floor((value / highest) * SPARKS.length), SPARKS.length - 1)]).join('');
}

/** The first `width` visible characters of a line; what colours it stays, and ends with it. */
export function cut(line: string, width: number): string {
  let seen = 0;
  let coloured = false;
  let result = '';
  for (const [token] of line.matchAll(/\x1b\[[0-9;]*m|./gsu)) {
    if (token.length > 1 && token.startsWith('\x1b')) {
      coloured = true;
      result += token;
    } else if (seen < width) {
      seen += 1;
      result += token;
    } else return coloured ? `${result}\x1b[0m` : result;
  }
  return result;
}

/** The text cut to the size of a terminal; the last line says how much is missing. */
export function fitted(text: string, { columns: width, rows: height }: { columns: number; rows: number }): string {
  const lines = text.split('\n');
  const kept = lines.length <= height ? lines : [...lines.slice(0, Math.max(height - 1, 0)), `… ${lines.length - height + 1} more lines`];
  return kept.map((line) => cut(line, width)).join('\n');
}
