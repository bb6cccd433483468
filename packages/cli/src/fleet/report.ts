/** What is known of one instance, as `-o json` prints it. Null where nothing can be said. */
export interface InstanceReport {
  readonly name: string;
  readonly address: string;
  readonly url: string;
  /** `unreachable` after three failed looks in a row, `healthy` after one that worked, `unknown` before. */
  readonly status: 'unknown' | 'healthy' | 'unreachable';
  readonly ready: boolean | null;
  readonly version: string | null;
  /** Why the last look failed, or what it found amiss. */
  readonly error: string | null;
  /** RFC 3339. */
  readonly last_seen_at: string | null;
  readonly rps: number | null;
  /** 0 to 1. */
  readonly error_rate: number | null;
  readonly active_connections: number | null;
  readonly panics_total: number | null;
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  readonly p99_ms: number | null;
  readonly rps_trend: number | null;
  readonly error_rate_trend: number | null;
  /** RFC 3339. */
  readonly certificate_not_after: string | null;
  readonly certificate_days_left: number | null;
  /** Requests per second of the last looks, oldest first. */
  readonly rps_series: readonly number[];
}

/** What is known of all of them after one round. */
export interface FleetReport {
  readonly collected_at: string;
  readonly healthy: number;
  /** How many of the instances told their figures. */
  readonly reporting: number;
  readonly total_rps: number;
  readonly fleet_error_rate: number;
  readonly total_active_connections: number;
  readonly total_panics: number;
  readonly instances: readonly InstanceReport[];
}

/** Whether an instance can be worked with. */
export function isWell({ status, ready }: InstanceReport): boolean {
  return status === 'healthy' && ready !== false;
}

/** Adds the instances up. The error rate is that of all requests, not the mean of the rates. */
export function summarize(instances: readonly InstanceReport[], at: number): FleetReport {
  const total = (of: (instance: InstanceReport) => number | null): number => instances.reduce((sum, instance) => sum + (of(instance) ?? 0), 0);
  const rps = total((instance) => instance.rps);
  const errors = total(({ rps: own, error_rate: rate }) => (own ?? 0) * (rate ?? 0));
  return {
    collected_at: new Date(at).toISOString(),
    healthy: instances.filter(isWell).length,
    reporting: instances.filter((instance) => instance.rps !== null).length,
    total_rps: rounded(rps),
    fleet_error_rate: rps === 0 ? 0 : rounded(errors / rps),
    total_active_connections: total((instance) => instance.active_connections),
    total_panics: total((instance) => instance.panics_total),
    instances,
  };
}

/** Four decimals are enough for people and for programs. */
export function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
