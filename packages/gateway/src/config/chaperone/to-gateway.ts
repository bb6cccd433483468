import { networkInterfaces } from 'node:os';
import type { AllowListEntries } from '../../policy/allow-list.js';
import { formatDuration } from '../durations-and-sizes.js';
import type { Path } from './findings.js';
import type { ForwardTarget } from './forward-targets.js';
import type { Address } from './go-values.js';
import type { SettingName, SettingValues } from './settings.js';

/** All that a Chaperone configuration says, read and checked. */
export interface ChaperoneSettings {
  readonly values: SettingValues;
  readonly allowList: AllowListEntries;
  readonly sensitiveHeaders: readonly string[];
  readonly forwardTargets: Readonly<Record<string, ForwardTarget>>;
  /** Networks of the balancers that end the TLS of the clients; only without TLS here. */
  readonly trustedProxies: readonly string[];
  /** The module of the plugin, as written. */
  readonly plugin: string | null;
}

/** The name of the caller that everybody is whom Chaperone lets in. */
const PLATFORM = 'platform';

/** Go takes heads of up to 1 MiB and any number of fields; what platforms put into the context data relies on it. */
const LIMITS = { head_size: '1mb', header_count: 1_000 };

/** Keys of the file that hold more than one value. */
const COLLECTIONS = ['upstream.allow_list', 'observability.sensitive_headers', 'server.trusted_proxies'] as const;

/** Where each setting went. What is not listed has no place here. */
const places: readonly (readonly [
  ours: string,
  theirs: SettingName | 'upstream.allow_list' | 'observability.sensitive_headers' | 'server.trusted_proxies',
])[] = [
  ['listeners.sidecar.host', 'server.addr'],
  ['listeners.sidecar.port', 'server.addr'],
  ['listeners.sidecar.tls.cert', 'server.tls.cert_file'],
  ['listeners.sidecar.tls.key', 'server.tls.key_file'],
  ['listeners.sidecar.tls.client_ca', 'server.tls.ca_file'],
  ['listeners.sidecar.tls.auto_rotate', 'server.tls.auto_rotate'],
  ['listeners.sidecar.tls', 'server.tls.enabled'],
  ['listeners.sidecar.trusted_proxies', 'server.trusted_proxies'],
  ['listeners.sidecar.header_prefix', 'upstream.header_prefix'],
  ['listeners.sidecar.trace_header', 'upstream.trace_header'],
  ['listeners.ops', 'server.admin_addr'],
  ['policy.allow_list', 'upstream.allow_list'],
  ['timeouts.connect', 'upstream.timeouts.connect'],
  ['timeouts.head', 'upstream.timeouts.read'],
  ['timeouts.response_head', 'upstream.timeouts.read'],
  ['timeouts.idle', 'upstream.timeouts.write'],
  ['timeouts.keep_alive', 'upstream.timeouts.idle'],
  ['plugin.timeout', 'upstream.timeouts.plugin'],
  ['sanitize.sensitive_headers', 'observability.sensitive_headers'],
  ['log.level', 'observability.log_level'],
  ['log.target', 'observability.log_target_addr'],
  ['telemetry.tracing', 'observability.enable_tracing'],
  ['shutdown.drain', 'server.shutdown_timeout'],
];

/** A configuration of ours, as the schema takes it, that does what the settings say. Paths in it are as they are in the settings. */
export function toGateway(settings: ChaperoneSettings): { readonly gateway: Readonly<Record<string, unknown>> } {
  const { values, allowList, sensitiveHeaders, forwardTargets, plugin } = settings;
  const read = values['upstream.timeouts.read'];
  const targets = Object.entries(forwardTargets).map(([name, target]) => [name, { ...target, timeout: formatDuration(target.timeout) }]);
  return {
    gateway: {
      listeners: { sidecar: sidecarOf(settings), ops: listenerAt(values['server.admin_addr']) },
      policy: { mode: 'strict', allow_list: allowList },
      callers: { [PLATFORM]: { ...(identifiedBy(settings) === 'loopback' ? { loopback: true } : { certificate: 'any' }), credentials: 'all' } },
      plugin: { ...(plugin === null ? {} : { module: plugin }), timeout: formatDuration(values['upstream.timeouts.plugin']) },
      ...(targets.length === 0 ? {} : { forward_targets: Object.fromEntries(targets) }),
      timeouts: {
        connect: formatDuration(values['upstream.timeouts.connect']),
        head: formatDuration(read),
        response_head: formatDuration(read),
        // Chaperone cuts a request that is not read, or a response that is not written, after this time, however well it flows. Here the same time
        // is how long nothing at all may flow.
        idle: formatDuration(Math.max(read, values['upstream.timeouts.write'])),
        keep_alive: formatDuration(values['upstream.timeouts.idle']),
      },
      limits: LIMITS,
      sanitize: { sensitive_headers: sensitiveHeaders },
      log: { level: values['observability.log_level'], target: values['observability.log_target_addr'] },
      telemetry: { tracing: values['observability.enable_tracing'] },
      shutdown: { drain: formatDuration(values['server.shutdown_timeout']) },
    },
  };
}

/** Where in the Chaperone file a path of the result comes from; empty where it comes from nowhere. */
export function originOf(path: readonly PropertyKey[]): Path {
  const keys = path.map((key) => (typeof key === 'number' ? key : String(key)));
  const [, ...ours] = keys;
  if (ours[0] === 'forward_targets') return ours;
  for (const [place, origin] of places) {
    const steps = place.split('.');
    if (!steps.every((step, index) => step === ours[index])) continue;
    return COLLECTIONS.some((name) => name === origin) ? [...origin.split('.'), ...ours.slice(steps.length)] : origin.split('.');
  }
  return [];
}

/**
 * How callers are told from everybody else: by a client certificate, ended here or at a balancer that is trusted; or by connecting from this
 * machine. Null when nothing would keep anybody out.
 */
export function identifiedBy({ values, trustedProxies }: Pick<ChaperoneSettings, 'values' | 'trustedProxies'>): 'certificate' | 'loopback' | null {
  if (values['server.tls.enabled'] || trustedProxies.length > 0) return 'certificate';
  const { host } = values['server.addr'];
  return host !== null && (/^127(\.[0-9]+){3}$/.test(host) || host === '::1' || host.toLowerCase() === 'localhost') ? 'loopback' : null;
}

function sidecarOf({ values, trustedProxies }: ChaperoneSettings): object {
  const tls = {
    cert: values['server.tls.cert_file'],
    key: values['server.tls.key_file'],
    client_ca: values['server.tls.ca_file'],
    ...(values['server.tls.auto_rotate'] ? {} : { auto_rotate: false }),
  };
  return {
    ...listenerAt(values['server.addr']),
    ...(values['server.tls.enabled'] ? { tls } : {}),
    ...(trustedProxies.length === 0 ? {} : { trusted_proxies: trustedProxies }),
    header_prefix: values['upstream.header_prefix'],
    trace_header: values['upstream.trace_header'],
  };
}

function listenerAt({ host, port }: Address): { host: string; port: number } {
  return { host: host ?? everyAddress(), port };
}

/** As Go listens when no host is named: on IPv6 and IPv4 where the machine has both, otherwise on what it has. */
function everyAddress(): string {
  const hasIpv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ family }) => family === 'IPv6'));
  return hasIpv6 ? '::' : '0.0.0.0';
}
