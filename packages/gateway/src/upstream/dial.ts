import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type SecureContext } from 'node:tls';
import { SallyportError } from '@sallyport/sdk';
import { judgeAddress } from '../policy/address-guard.js';
import type { Network } from '../policy/network.js';
import type { HeadLimits } from '../wire/head.js';
import { UpstreamConnection, type UpstreamTimeouts } from '../wire/upstream-connection.js';
import { resolveHost } from './resolve-host.js';
import { type DialStage, upstreamError } from './upstream-error.js';

/** Where to, and which networks beyond the public Internet the deciding rule names. */
export interface DialTarget {
  readonly tls: boolean;
  /** Canonical: a name, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly permits: readonly Network[];
}

export interface DialSettings {
  /** Addresses by canonical name, for names that the system is not asked about. */
  readonly hosts: ReadonlyMap<string, string>;
  readonly secureContext: SecureContext;
  readonly headLimits: HeadLimits;
  /** Milliseconds; 0 means no limit. */
  readonly connectTimeout: number;
  readonly tlsTimeout: number;
  readonly timeouts: UpstreamTimeouts;
  /** TLS sessions by origin, for resumption. */
  readonly sessions: SessionCache;
}

/** Documented options of `tls.connect` that its types leave out. */
interface UntypedOptions {
  readonly allowHalfOpen: boolean;
  readonly onread: OnReadOpts;
}

interface SessionCache {
  get(origin: string): Buffer | undefined;
  set(origin: string, session: Buffer): void;
}

/** Takes the connection, or the reason why there is none. Called exactly once unless the dialing is cancelled. */
export type DialDone = (error: SallyportError | null, connection: UpstreamConnection | null) => void;

/**
 * Opens a connection: resolves the name once, judges every address, and dials the judged ones in order until one accepts. What is dialed is the
 * address that was judged, so a second answer of the DNS changes nothing. TLS is verified against the name that was asked for.
 * Answers a function that gives up.
 */
export function dial(target: DialTarget, settings: DialSettings, done: DialDone): () => void {
  const { host, port } = target;
  let stage: DialStage = 'resolve';
  let socket: Socket | null = null;
  let finished = false;
  let timer: NodeJS.Timeout | null = limit(settings.connectTimeout, () =>
    fail(
      new SallyportError('upstream_connect_timeout', { detail: `${host}:${port} did not accept a connection within ${settings.connectTimeout} ms` }),
    ),
  );

  function finish(): boolean {
    if (finished) return false;
    finished = true;
    if (timer !== null) clearTimeout(timer);
    return true;
  }

  function fail(error: SallyportError): void {
    if (!finish()) return;
    socket?.destroy();
    done(error, null);
  }

  function attempt(addresses: readonly string[], index: number): void {
    const address = addresses[index];
    const connection = new UpstreamConnection(address, settings.headLimits, settings.timeouts);
    stage = 'connect';
    const made = target.tls ? openTls(address, connection) : openTcp(address, connection);
    socket = made;
    const onError = (error: NodeJS.ErrnoException): void => {
      made.off('close', onClose);
      made.on('error', ignore);
      if (finished) return;
      if (stage === 'connect' && index + 1 < addresses.length) {
        made.destroy();
        attempt(addresses, index + 1);
      } else fail(upstreamError(error, stage, host, port));
    };
    // A peer that closes during the handshake gives no error of its own.
    const onClose = (): void => onError(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    made.once('error', onError);
    made.once('close', onClose);
    made.once('connect', () => {
      stage = 'tls';
      if (!target.tls) return;
      if (timer !== null) clearTimeout(timer);
      timer = limit(settings.tlsTimeout, () =>
        fail(
          new SallyportError('upstream_tls_timeout', {
            detail: `the TLS handshake with ${host}:${port} did not finish within ${settings.tlsTimeout} ms`,
          }),
        ),
      );
    });
    made.once(target.tls ? 'secureConnect' : 'connect', () => {
      if (!finish()) return;
      connection.open(made);
      made.off('error', onError);
      made.off('close', onClose);
      done(null, connection);
    });
  }

  function openTcp(address: string, connection: UpstreamConnection): Socket {
    return connectTcp({ host: address, port, noDelay: true, keepAlive: true, allowHalfOpen: true, onread: connection.onread });
  }

  function openTls(address: string, connection: UpstreamConnection): Socket {
    const origin = `${host}:${port}`;
    const session = settings.sessions.get(origin);
    const options: ConnectionOptions & UntypedOptions = {
      host: address,
      port,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      secureContext: settings.secureContext,
      // Said aloud: otherwise NODE_TLS_REJECT_UNAUTHORIZED in somebody's environment decides.
      rejectUnauthorized: true,
      ALPNProtocols: ['http/1.1'],
      allowHalfOpen: true,
      onread: connection.onread,
      ...(session === undefined ? {} : { session }),
    };
    const made = connectTls(options);
    made.setNoDelay(true);
    made.on('session', (fresh: Buffer) => settings.sessions.set(origin, fresh));
    return made;
  }

  resolveHost(host, settings.hosts, (error, addresses) => {
    if (finished) return;
    if (error !== null) {
      fail(upstreamError(error, 'resolve', host, port));
      return;
    }
    const judged = judge(addresses, target);
    if (judged instanceof SallyportError) fail(judged);
    else attempt(judged, 0);
  });

  return () => {
    if (finish()) socket?.destroy();
  };
}

/** The addresses that may be dialed, in the order of the resolver; an error when none may. */
function judge(addresses: readonly string[], { host, permits }: Pick<DialTarget, 'host' | 'permits'>): readonly string[] | SallyportError {
  const allowed: string[] = [];
  let reason = 'it has no address';
  for (const address of addresses) {
    const verdict = judgeAddress(address, permits);
    if (verdict.allowed) allowed.push(address);
    else reason = verdict.reason;
  }
  if (allowed.length > 0) return allowed;
  return new SallyportError('address_denied', {
    detail: `${host} may not be called: ${isIP(host) === 0 ? 'it resolves to an address of which ' : ''}${reason}`,
  });
}

function ignore(): void {}

function limit(timeout: number, late: () => void): NodeJS.Timeout | null {
  return timeout === 0 ? null : setTimeout(late, timeout);
}
