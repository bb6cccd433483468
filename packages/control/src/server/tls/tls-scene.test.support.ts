import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import type { SallyportError } from '@sallyport/sdk';
import { openServerTls, type ServerTls, type ServerTlsConfig } from './server-tls.js';

const ends: (() => Promise<unknown>)[] = [];

/** A new folder, gone after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-tls-'));
  ends.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Ends everything that was opened here, the last first. */
export async function endScene(): Promise<void> {
  for (const end of ends.splice(0).reverse()) await end();
}

/** Has something ended with everything else. */
export function endLater(end: () => Promise<unknown>): void {
  ends.push(end);
}

/** The certificates of a service, and what was said about them. */
export interface OpenedTls {
  readonly tls: ServerTls;
  readonly troubles: SallyportError[];
}

/** Opens the TLS of a service, until the end of the test at the latest. */
export async function openTls(config: ServerTlsConfig): Promise<OpenedTls> {
  const troubles: SallyportError[] = [];
  const tls = await openServerTls(config, { onTrouble: (error) => troubles.push(error), signal: new AbortController().signal });
  ends.push(() => tls.close());
  return { tls, troubles };
}

/** An https server with these certificates that answers `hello`; its port. */
export async function serve(tls: ServerTls): Promise<number> {
  const server: Server = createServer(tls.context(), (_request, response) => void response.end('hello'));
  tls.onRenewed(() => server.setSecureContext(tls.context()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** What a client asks for, and what it trusts. */
export interface ClientOptions {
  readonly servername?: string;
  readonly ca?: string;
}

/** A connection after its handshake, which is verified where `ca` is given. Rejects when there is none. */
export async function handshake(port: number, { servername = '', ca }: ClientOptions): Promise<TLSSocket> {
  const trust = ca === undefined ? { rejectUnauthorized: false } : { ca, rejectUnauthorized: true };
  // Node takes the address for the name when there is none.
  const socket = connect({ socket: connectPlain(port, '127.0.0.1'), servername, ...trust, ...(servername === '' ? { host: '127.0.0.1' } : {}) });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed during the handshake')));
  });
  // Whoever closes first, the other side may hear of it as an error.
  socket.on('error', () => {});
  ends.push(async () => socket.destroy());
  return socket;
}

/** The certificate that a client is shown. */
export async function shown(port: number, options: ClientOptions = {}): Promise<PeerCertificate> {
  const socket = await handshake(port, options);
  const certificate = socket.getPeerCertificate();
  socket.destroy();
  return certificate;
}

/** The body of one more answer on an open connection. */
export async function ask(socket: TLSSocket): Promise<string> {
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.toString().split('\r\n\r\n')[1] ?? '';
}

/** Resolves once another certificate is in use. */
export function renewed(tls: ServerTls): Promise<void> {
  return new Promise((resolve) => {
    const stop = tls.onRenewed(() => {
      stop();
      resolve();
    });
  });
}
