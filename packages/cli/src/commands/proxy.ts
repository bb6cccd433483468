import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { errorCode } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { type ClientOptions, type ClientSettings, clientSettings } from '../control/client-settings.js';
import { openSigner } from '../control/key-asking.js';
import { type LoginTarget, loginTargets } from '../control/login-redirect.js';
import { isLoopbackHost } from '../control/server-url.js';
import type { Service } from '../control/services.js';
import { openSigningProxy, type SigningProxyOptions } from '../control/signing-proxy.js';
import { coloursFor } from '../terminal.js';

/** The options of `sallyport login-redirect`. */
export interface LoginRedirectOptions extends ClientOptions {
  readonly ip: string;
  readonly port: number;
  readonly allowHost?: readonly string[];
}

/** The options of `sallyport proxy`. */
export interface ProxyOptions extends Omit<LoginRedirectOptions, 'port'> {
  readonly to: Service;
  readonly proxyTo?: Service;
  readonly port?: number;
  readonly enableLoginRedirect?: true;
  readonly cert?: string;
  readonly key?: string;
  readonly allowOrigin?: readonly string[];
}

const USUAL_PORT = 8888;

/** `sallyport proxy`: runs until SIGINT or SIGTERM. Errors: those of settings and key, `address_in_use`, `bind_failed`. */
export async function proxy(options: ProxyOptions): Promise<number> {
  const service = options.proxyTo ?? options.to;
  const settings = await clientSettings(options);
  const address = settings.addressOf(service);
  const login = options.enableLoginRedirect === true ? requireTargets(settings) : undefined;
  return serveUntilStopped(options, settings, `${service} at ${address.href.replace(/\/$/, '')}`, {
    port: options.port ?? settings.config.signing_proxy_port ?? USUAL_PORT,
    tls: await readTls(options),
    upstream: { address, service, authorities: await settings.readAuthorities() },
    allowedOrigins: options.allowOrigin ?? [],
    login,
  });
}

/** `sallyport login-redirect`: runs until SIGINT or SIGTERM. Errors as `proxy`. */
export async function loginRedirectServer(options: LoginRedirectOptions): Promise<number> {
  const settings = await clientSettings(options);
  const login = requireTargets(settings);
  const where = login.map(({ address }) => address.href).join(' and ');
  return serveUntilStopped(options, settings, `logins at ${where}`, { port: options.port, allowedOrigins: [], login });
}

async function serveUntilStopped(
  { ip, allowHost = [] }: Pick<LoginRedirectOptions, 'ip' | 'allowHost'>,
  settings: ClientSettings,
  what: string,
  options: Omit<SigningProxyOptions, 'ip' | 'signer' | 'allowedHosts'>,
): Promise<number> {
  if (isIP(ip) === 0) throw new SallyportError('bind_failed', { detail: `${ip} is not an address to listen on.`, hint: 'Give --ip an IP address.' });
  const { actor } = settings.identity();
  const stopped = new Promise<void>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => resolve());
  });
  const server = await openSigningProxy({ ...options, ip, allowedHosts: allowHost, signer: await openSigner(settings) });
  if (!isLoopbackHost(ip === '::1' ? '[::1]' : ip)) {
    const warning = coloursFor(process.stderr).yellow('warning:');
    process.stderr.write(`${warning} whoever reaches ${server.url} acts as ${actor}, from other machines too.\n`);
  }
  process.stderr.write(`${server.url} signs as ${actor} for ${what}. Ctrl-C ends it.\n`);
  await stopped;
  await server.close();
  return 0;
}

function requireTargets({ config }: ClientSettings): readonly LoginTarget[] {
  const targets = loginTargets(config);
  if (targets.length > 0) return targets;
  throw new SallyportError('client_config_incomplete', {
    detail: 'It is not said where a login may lead to.',
    hint: 'Write `server: { marketplace: https://… }` or `admin_ui` into the client configuration.',
  });
}

async function readTls({ cert, key }: Pick<ProxyOptions, 'cert' | 'key'>): Promise<SigningProxyOptions['tls']> {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new SallyportError('bind_failed', { detail: 'Of --cert and --key one is missing.', hint: 'Give both, or neither.' });
  }
  const read = async (path: string): Promise<string> => {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      throw new SallyportError('bind_failed', { detail: `${path} cannot be read (${errorCode(error)}).`, hint: 'Check --cert and --key.' });
    }
  };
  return { cert: await read(cert), key: await read(key) };
}
