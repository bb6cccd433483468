import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import picocolors from 'picocolors';
import { describe, expect, test } from 'vitest';
import { openLiveScreen, type Terminal } from './live-screen.js';
import { type InstanceReport, summarize } from './report.js';
import { cut, fitted, fleetTable, sparkline } from './table.js';

const plain = picocolors.createColors(false);
const instance = (name: string, more: Partial<InstanceReport> = {}): InstanceReport => ({
  name,
  address: `${name}:9090`,
  url: `http://${name}:9090`,
  status: 'healthy',
  ready: true,
  version: '1.0.0',
  error: null,
  last_seen_at: '2026-01-01T00:00:00.000Z',
  rps: 10,
  error_rate: 0.1,
  active_connections: 3,
  panics_total: 1,
  p50_ms: 12.34,
  p95_ms: 250,
  p99_ms: 1500,
  rps_trend: 2,
  error_rate_trend: -0.1,
  certificate_not_after: null,
  certificate_days_left: 3,
  rps_series: [0, 5, 10],
  ...more,
});
const down = instance('b', {
  ...{ status: 'unreachable', ready: null, version: null, error: 'connection refused', rps: null, error_rate: null, active_connections: null },
  ...{
    panics_total: null,
    p50_ms: null,
    p95_ms: null,
    p99_ms: null,
    rps_trend: null,
    error_rate_trend: null,
    certificate_days_left: -1,
    rps_series: [],
  },
});

describe('the table', () => {
  test('has the sums, a line for each, and what is wrong', () => {
    const report = summarize([instance('a'), down, instance('c', { ready: false, rps: 30, error_rate: 0, certificate_days_left: null })], 0);
    expect(report).toMatchObject({ healthy: 1, reporting: 2, total_rps: 40, fleet_error_rate: 0.025, total_active_connections: 6, total_panics: 2 });
    expect(fleetTable(report, plain).replace(/ +/g, ' ').split('\n')).toEqual([
      '1 of 3 healthy, 40 req/s, 2.5 % errors',
      '',
      'instance address status version req/s errors p50 p95 p99 active certificate req/s so far',
      'a a:9090 healthy 1.0.0 10 ↑ 10.0 % ↓ 12.3 ms 250 ms 1.5 s 3 3 days ▁▅█',
      'b b:9090 unreachable – – – – – – – expired',
      'c c:9090 not ready 1.0.0 30 ↑ 0 % ↓ 12.3 ms 250 ms 1.5 s 3 – ▁▅█',
      '',
      'b: connection refused',
    ]);
    expect(fleetTable(report, plain)).not.toContain('\u001b');
    expect(fleetTable(report, picocolors.createColors(true))).toContain('\u001b[31munreachable');
  });

  test('is cut to the terminal, colours left out of the count', () => {
    const visible = (text: string): string => text.replace(/\u001b\[[0-9;]*m/g, '');
    const piece = fc.constantFrom('a', '–', '█', '\u001b[31m', '\u001b[39m', '😀', '\n');
    const pieces = fc.array(piece, { maxLength: 60 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(pieces, fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 5 }), (text, columns, rows) => {
        const lines = fitted(text, { columns, rows }).split('\n');
        expect(lines.length).toBeLessThanOrEqual(rows);
        for (const line of lines) expect([...visible(line)].length).toBeLessThanOrEqual(columns);
        expect([...visible(cut(text.replaceAll('\n', ''), columns))]).toEqual([...visible(text.replaceAll('\n', ''))].slice(0, columns));
      }),
    );
    expect(fitted('1\n2\n3\n4', { columns: 80, rows: 3 })).toBe('1\n2\n… 2 more lines');
    expect(cut('\u001b[31mlong\u001b[39m', 2)).toBe('\u001b[31mlo\u001b[0m');
  });

  test('draws bars against the largest', () => {
    expect(sparkline([])).toBe('');
    expect(sparkline([0, 0])).toBe('▁▁');
    expect(sparkline([1, 4, 8])).toBe('▂▅█');
    expect(sparkline(Array.from({ length: 50 }, () => 1))).toHaveLength(12);
  });
});

/** A terminal that remembers. */
function terminal(): {
  terminal: Terminal;
  written: () => string;
  press: (key: string) => void;
  resize: (columns: number, rows: number) => void;
  raw: () => boolean;
} {
  let written = '';
  let raw = false;
  const input = Object.assign(new EventEmitter(), {
    isTTY: true,
    setRawMode: (mode: boolean) => {
      raw = mode;
    },
    resume() {},
    pause() {},
  });
  const output = Object.assign(new EventEmitter(), {
    isTTY: true,
    columns: 80,
    rows: 24,
    write: (text: string) => {
      written += text;
      return true;
    },
  });
  return {
    terminal: { input, output } as unknown as Terminal,
    written: () => written,
    press: (key) => input.emit('data', Buffer.from(key)),
    resize: (columns, rows) => {
      Object.assign(output, { columns, rows });
      output.emit('resize');
    },
    raw: () => raw,
  };
}

describe('the live screen', () => {
  test('is drawn in place, again at another size, and leaves no trace', () => {
    const one = terminal();
    let quits = 0;
    const screen = openLiveScreen(one.terminal, () => {
      quits += 1;
    });
    expect(one.written()).toContain('\u001b[?1049h\u001b[?25l');
    expect(one.raw()).toBe(true);
    screen.draw('a long line\nanother');
    expect(one.written()).toContain('\u001b[Ha long line\u001b[K\r\nanother\u001b[K\r\n');
    one.resize(6, 24);
    expect(one.written()).toContain('\u001b[Ha long\u001b[K\r\nanothe\u001b[K\r\n');
    one.press('x');
    expect(quits).toBe(0);
    for (const key of ['q', '\u0003', '\u0004']) one.press(key);
    expect(quits).toBe(3);
    screen.close();
    expect(one.written().endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
    expect(one.raw()).toBe(false);
    const before = one.written();
    one.resize(80, 24);
    one.press('q');
    expect(one.written()).toBe(before);
    expect(quits).toBe(3);
  });
});
