import type { MetricDefinition } from './metric-definitions.js';

/** Upper bounds of the duration histograms, in seconds, as Chaperone has them. */
export const chaperoneBuckets: readonly number[] = [0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 2, 5, 10];

const vendor_id = 'what the vendor header says when it is plain, else `unknown`; `other` for the vendors beyond the first 500';
const target = 'the name of a forward target; empty where there is none';

/** The ten metrics of Chaperone under its names, so that dashboards and alerts made for it go on working. */
export const chaperoneMetricDefinitions = {
  chaperone_requests_total: {
    type: 'counter',
    help: 'Requests that came to an end.',
    labels: { vendor_id, status_class: '`2xx` to `5xx`, or `other`', method: 'one of the nine standard methods, or `other`' },
  },
  chaperone_request_duration_seconds: { type: 'histogram', help: 'From the first byte of a request to its end.', labels: { vendor_id } },
  chaperone_upstream_duration_seconds: {
    type: 'histogram',
    help: 'From the request leaving for the vendor to the head of the response, or to the error.',
    labels: { vendor_id },
  },
  chaperone_active_connections: { type: 'gauge', help: 'Requests that are under way.', labels: {} },
  chaperone_panics_total: { type: 'counter', help: 'Mistakes inside the gateway that were noticed and contained.', labels: {} },
  chaperone_route_decisions_total: {
    type: 'counter',
    help: 'What routers decided.',
    labels: { action: '`forward` or `credentials`', target },
  },
  chaperone_forward_target_duration_seconds: {
    type: 'histogram',
    help: 'Until the response head of a forward target, or its error.',
    labels: { target },
  },
  chaperone_forward_target_errors_total: {
    type: 'counter',
    help: 'Forward targets that gave no response.',
    labels: { target, kind: '`timeout`, `tls`, `connection` or `other`' },
  },
  chaperone_cert_not_after_timestamp_seconds: { type: 'gauge', help: 'When the server certificate expires, in seconds since 1970.', labels: {} },
  chaperone_cert_renewals_total: {
    type: 'counter',
    help: 'Attempts to install a renewed certificate.',
    labels: { status: '`success` or `failure`' },
  },
} as const satisfies Record<string, MetricDefinition>;

/** The name of a metric of Chaperone. */
export type ChaperoneMetricName = keyof typeof chaperoneMetricDefinitions;
