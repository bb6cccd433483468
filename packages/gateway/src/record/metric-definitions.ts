/** What a metric is, as docs/metrics.md shows it. Every label takes its values from a set that is known beforehand. */
export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** What each label says, with its values. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Upper bounds of the duration histograms, in seconds: from a call inside one machine to a slow answer of a language model. */
export const durationBuckets: readonly number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

const door = '`forward` or `sidecar`';
const code = 'an error code of docs/errors.md';

/** Every metric of the gateway. Those of the Node process (`process_…`, `nodejs_…`) come on top. */
export const metricDefinitions = {
  sallyport_exchanges_total: {
    type: 'counter',
    help: 'Exchanges that came to an end.',
    labels: {
      door,
      method: 'one of the nine standard methods in upper case, or `other`',
      status_class: '`1xx` to `5xx` of the status that the client was sent, or `none`',
      outcome: '`completed`, `refused`, `failed` or `aborted`',
    },
  },
  sallyport_exchange_duration_seconds: {
    type: 'histogram',
    help:
      'From the first byte of a request to the end of its exchange. ' +
      'Tunnels and upgraded connections are left out: they last as long as they are kept.',
    labels: { door },
  },
  sallyport_upstream_duration_seconds: {
    type: 'histogram',
    help: 'From the request leaving to the first byte of the final response head.',
    labels: { door },
  },
  sallyport_refusals_total: { type: 'counter', help: 'Exchanges that Sallyport refused.', labels: { code } },
  sallyport_errors_total: { type: 'counter', help: 'Exchanges that failed on the way or were abandoned by the client.', labels: { code } },
  sallyport_policy_verdicts_total: {
    type: 'counter',
    help: 'What the policy said. `observed` was let out, though strict mode would deny it.',
    labels: { verdict: '`allowed`, `denied`, `observed` or `passthrough`' },
  },
  sallyport_credential_injections_total: {
    type: 'counter',
    help: 'Exchanges into which a credential was placed.',
    labels: { credential: 'the name of a configured credential, or `other` for one that the configuration no longer has' },
  },
  sallyport_policy_denials_total: {
    type: 'counter',
    help: 'Exchanges that the policy denied, by why.',
    labels: {
      reason:
        '`rule`, `mode`, `no_host_rule`, `no_method_match`, `no_path_match`, `ambiguous_path`, or `address` for addresses that may not be dialed',
    },
  },
  sallyport_credential_lookups_total: {
    type: 'counter',
    help: 'Exchanges that needed the material of a credential or a plugin.',
    labels: { result: '`hit`: it was at hand; `miss`: it had to be waited for' },
  },
  sallyport_credential_fetches_total: {
    type: 'counter',
    help: 'Attempts to get hold of the material of a configured credential anew: read, run, or asked for at a token endpoint.',
    labels: { result: '`succeeded` or `failed`' },
  },
  sallyport_plugin_duration_seconds: {
    type: 'histogram',
    help: 'How long calls of the plugin took.',
    labels: { method: '`getCredentials`, `modifyResponse`, `routeRequest` or `signCsr`', result: '`answered` or `failed`' },
  },
  sallyport_tls_handshake_failures_total: {
    type: 'counter',
    help: 'TLS handshakes that failed, as far as an exchange tells of them.',
    labels: { side: '`client` or `upstream`' },
  },
  sallyport_certificate_not_after_seconds: {
    type: 'gauge',
    help: 'When the certificate of a listener expires, in seconds since 1970.',
    labels: { listener: '`forward` or `sidecar`' },
  },
  sallyport_bytes_total: {
    type: 'counter',
    help: 'Body bytes, and all bytes of tunnels and upgraded connections; counted when the exchange ends.',
    labels: { door, direction: '`request` (from the client) or `response` (to the client)' },
  },
  sallyport_active_exchanges: { type: 'gauge', help: 'Exchanges that are under way.', labels: { door } },
  sallyport_client_connections: { type: 'gauge', help: 'Open connections from clients.', labels: { door } },
  sallyport_upstream_connections: { type: 'gauge', help: 'Open connections to upstreams.', labels: { state: '`idle` or `active`' } },
  sallyport_tunnels: { type: 'gauge', help: 'Open tunnels and upgraded connections.', labels: {} },
  sallyport_events_dropped_total: {
    type: 'counter',
    help: 'Request events and other log lines that were lost because the log destination did not keep up or failed.',
    labels: {},
  },
  sallyport_spans_dropped_total: {
    type: 'counter',
    help: 'Exchanges whose spans were lost because the collector did not keep up or failed.',
    labels: {},
  },
  sallyport_config_reloads_total: {
    type: 'counter',
    help: 'Attempts to apply a changed configuration.',
    labels: { result: '`applied` or `rejected`' },
  },
  sallyport_internal_faults_total: {
    type: 'counter',
    help: 'Mistakes inside Sallyport that were noticed and contained. Please report any.',
    labels: {},
  },
  sallyport_build_info: { type: 'gauge', help: 'Always 1; the labels say what is running.', labels: { version: 'of Sallyport', node: 'of Node.js' } },
} as const satisfies Record<string, MetricDefinition>;

/** The name of a metric of the gateway. */
export type MetricName = keyof typeof metricDefinitions;
