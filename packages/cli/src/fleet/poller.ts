import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createHistory, type History } from './figures.js';
import { addressOf, type Instance } from './instance.js';
import { createProber, type Probe, type Prober } from './probe.js';
import type { Reading } from './reading.js';
import { type FleetReport, type InstanceReport, rounded, summarize } from './report.js';

/** How the fleet is looked at; milliseconds. */
export interface PollOptions {
  /** From one round to the next; the caller waits for it. */
  readonly interval: number;
  readonly timeout: number;
}

/** Looks at every instance, round after round. */
export interface Poller {
  /** One look at each, in parallel; resolves when all have answered or failed. */
  round(signal: AbortSignal): Promise<FleetReport>;
  close(): Promise<void>;
}

const FAILURES = 3;
const TREND_WINDOW = 5 * 60_000;
/** So that a fleet is not asked, and its machines do not answer, all in the same instant. */
const MOST_JITTER = 1_000;
const DAY = 86_400;

export function createPoller(instances: readonly Instance[], { interval, timeout }: PollOptions): Poller {
  const watched = instances.map((instance) => watch(instance, createProber(instance, timeout), createHistory({ interval, window: TREND_WINDOW })));
  const jitter = Math.min(MOST_JITTER, interval / 10);
  return {
    async round(signal) {
      // Every instance listens to it at once, and stops afterwards.
      setMaxListeners(0, signal);
      const reports = watched.map(async (one) => {
        await sleep(Math.random() * jitter, undefined, { signal }).catch(() => {});
        return one.look(signal);
      });
      return summarize(await Promise.all(reports), Date.now());
    },
    async close() {
      await Promise.all(watched.map((one) => one.close()));
    },
  };
}

/** One instance with what is remembered of it. */
function watch(instance: Instance, prober: Prober, history: History): { look(signal: AbortSignal): Promise<InstanceReport>; close(): Promise<void> } {
  let failures = 0;
  let status: InstanceReport['status'] = 'unknown';
  let seen: { readonly at: number; readonly version: string | null; readonly reading: Reading | null } | null = null;

  function note(probe: Probe): void {
    if (!probe.ok) {
      failures += 1;
      if (failures >= FAILURES) status = 'unreachable';
      return;
    }
    failures = 0;
    status = 'healthy';
    seen = { at: Date.now(), version: probe.version, reading: probe.reading ?? seen?.reading ?? null };
    if (probe.reading !== null) history.add(probe.reading);
  }

  function report(probe: Probe): InstanceReport {
    // Figures of something that does not answer any more would only mislead.
    const now = probe.ok ? history.figures : null;
    const reading = probe.ok ? probe.reading : null;
    const expiry = seen?.reading?.certificateNotAfter ?? null;
    const shown = (value: number | null | undefined): number | null => (value === null || value === undefined ? null : rounded(value));
    return {
      name: instance.name,
      address: addressOf(instance),
      url: instance.url,
      status,
      ready: probe.ok ? probe.ready : null,
      version: seen?.version ?? null,
      error: probe.ok ? probe.note : probe.error,
      last_seen_at: seen === null ? null : new Date(seen.at).toISOString(),
      rps: shown(now?.rps),
      error_rate: shown(now?.errorRate),
      active_connections: shown(reading?.active),
      panics_total: shown(reading?.faults),
      p50_ms: shown(now?.p50),
      p95_ms: shown(now?.p95),
      p99_ms: shown(now?.p99),
      rps_trend: shown(now?.rpsTrend),
      error_rate_trend: shown(now?.errorRateTrend),
      certificate_not_after: dateOf(expiry),
      certificate_days_left: expiry === null ? null : Math.floor((expiry - Date.now() / 1000) / DAY),
      rps_series: history.rpsSeries.map(rounded),
    };
  }

  return {
    async look(signal) {
      const probe = await prober.look(signal);
      note(probe);
      return report(probe);
    },
    close: () => prober.close(),
  };
}

/** Null also for what is no date, such as the zero of a gateway without a certificate. */
function dateOf(seconds: number | null): string | null {
  if (seconds === null || seconds <= 0) return null;
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
