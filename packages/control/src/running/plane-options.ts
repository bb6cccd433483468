import type { ControlConfig } from '../config/control-section.js';
import type { ControlPlaneOptions } from '../control-plane.js';
import type { BrowserSettings } from '../sign-in/browser-service.js';

/** What of the configuration the control plane itself is made of. Lifetimes of tokens are seconds there. */
export function planeOptions(config: ControlConfig) {
  const { system_auth: auth, tasks } = config;
  return {
    globalKey: { current: auth.global_key.reveal(), previous: auth.previous_global_keys.map((key) => key.reveal()) },
    providerRules: auth.key_providers,
    issuer: auth.jwt_issuer,
    tokenLifetime: auth.token_lifetime / 1000,
    actorTokenLifetime: auth.actor_token_lifetime / 1000,
    clockLeeway: auth.clock_leeway / 1000,
    idempotencyLifetimeMs: config.retention.idempotency_keys,
    browsers: { public: browserSettings(config, 'public'), 'admin-api': browserSettings(config, 'admin_api') },
    keyUpkeep: { rotateAfterMs: auth.data_encryption_keys.rotation_interval, destroyAfterMs: auth.data_encryption_keys.destroy_after },
    retention: config.retention,
    configuredActors: { declared: auth.actors, directories: auth.actor_directories, schedule: auth.actor_sync_schedule },
    tasks: { retentionMs: tasks.retention, deadRetentionMs: tasks.dead_retention },
  } satisfies Omit<ControlPlaneOptions, 'database' | 'issuers'>;
}

function browserSettings({ services, host_application: host, sign_in: signIn }: ControlConfig, name: 'public' | 'admin_api'): BrowserSettings {
  const { cookie, cors, session_timeout: idleMs, session_lifetime: absoluteMs } = services[name];
  return {
    baseUrl: baseUrlOf(services[name]),
    cookie: {
      ...(cookie.domain === undefined ? {} : { domain: cookie.domain }),
      ...(cookie.same_site === undefined ? {} : { sameSite: cookie.same_site }),
    },
    lifetimes: { idleMs, absoluteMs },
    cors: { allowedOrigins: cors.allowed_origins, maxAge: cors.max_age / 1000 },
    returnUrls: host.return_urls,
    ...(host.initiate_session_url === undefined ? {} : { initiateSessionUrl: host.initiate_session_url }),
    providers: Object.entries(signIn.providers).map(([provider, settings]) => ({ ...settings, name: provider })),
  };
}

/** How a service is reached from outside: what is configured, or where it listens. */
function baseUrlOf({ base_url: url, host, port, tls }: ControlConfig['services']['public']): string {
  if (url !== undefined) return url;
  return `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
