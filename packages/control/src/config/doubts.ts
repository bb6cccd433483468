import { type Doubt, isLoopback, parseNetwork } from '@sallyport/gateway';
import type { DatabaseOptions } from '../database/open-database.js';
import type { RedisConfig } from './operation-sections.js';
import type { ServicesConfig } from './services-section.js';
import { isLoopbackUrl } from './urls.js';

interface Doubtful {
  readonly database: DatabaseOptions;
  readonly services: ServicesConfig;
  readonly redis?: RedisConfig | undefined;
}

/** What of the control plane's section is allowed and probably not meant. */
export function doubtsAbout({ database, services, redis }: Doubtful): readonly Doubt[] {
  return [...doubtsAboutDatabase(database), ...doubtsAboutServices(services), ...doubtsAboutRedis(redis)];
}

function doubtsAboutDatabase(database: DatabaseOptions): Doubt[] {
  if (database.provider === 'sqlite') return [];
  const { searchParams } = new URL(typeof database.url === 'string' ? database.url : database.url.reveal());
  const mode = searchParams.get('sslmode');
  const unverified = mode === 'no-verify' || (searchParams.get('uselibpqcompat') === 'true' && (mode === 'require' || mode === 'prefer'));
  if (!unverified) return [];
  return [{ path: ['database', 'sslmode'], message: `${mode} encrypts without looking who the server is; use verify-full, with ca if need be` }];
}

function doubtsAboutServices(services: ServicesConfig): Doubt[] {
  const { worker: _, ...reachable } = services;
  return Object.entries(reachable).flatMap(([name, { host, base_url: url, tls, trusted_proxies: proxies }]) => {
    const clear = tls === undefined && !isLoopback(host) && (url === undefined || (url.startsWith('http:') && !isLoopbackUrl(new URL(url))));
    const open = proxies.findIndex((network) => parseNetwork(network).prefix === 0);
    return [
      ...(clear ? [{ path: ['services', name, 'host'], message: 'others reach this address without TLS, and tokens pass in the clear' }] : []),
      ...(open < 0 ? [] : [{ path: ['services', name, 'trusted_proxies', open], message: 'lets anybody say who they are' }]),
    ];
  });
}

function doubtsAboutRedis(redis: RedisConfig | undefined): Doubt[] {
  if (redis === undefined) return [];
  const url = new URL(redis.url.reveal());
  if (url.protocol === 'rediss:' || isLoopback(url.hostname.replace(/^\[(.*)\]$/, '$1'))) return [];
  return [{ path: ['redis', 'url'], message: 'everything passes in the clear, and a password too; use rediss:// beyond this machine' }];
}
