import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type SecureContext, TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, openAuthority } from './authority.js';
import { LeafContexts } from './leaf-contexts.js';

const DAY = 24 * 3_600_000;

let dir: string;
let authority: Authority;
const open: Array<Server | Socket> = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sallyport-contexts-'));
  authority = await openAuthority({ dir, create: true });
});
afterEach(() => {
  for (const each of open.splice(0)) {
    if (each instanceof Socket) each.destroy();
    else each.close();
  }
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Serves TLS on accepted sockets, as interception does; answers a line to every connection that speaks. */
async function serve(secureContext: () => SecureContext, address = '127.0.0.1'): Promise<number> {
  const server = createServer((raw) => {
    const socket = new TLSSocket(raw, { isServer: true, secureContext: secureContext() });
    open.push(raw);
    // A client that refuses the certificate ends here.
    socket.on('error', () => socket.destroy());
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'));
  }).listen(0, address);
  open.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

interface Visit {
  reused: boolean;
  protocol: string | null;
  session: Buffer | undefined;
  chain: number;
  authorized: boolean;
}

/** One connection that trusts the authority only, to its end; rejects when the handshake fails. */
async function visit(port: number, options: ConnectionOptions): Promise<Visit> {
  const socket = connect({ host: '127.0.0.1', port, ca: authority.certificatePem, ...options });
  open.push(socket);
  let session: Buffer | undefined;
  socket.on('session', (ticket: Buffer) => {
    session = ticket;
  });
  await once(socket, 'secureConnect');
  const seen = { reused: socket.isSessionReused(), protocol: socket.getProtocol(), authorized: socket.authorized, chain: chainLength(socket) };
  socket.end('hello\r\n\r\n').resume();
  await once(socket, 'close');
  return { ...seen, session };
}

/** How many certificates the server sent; Node adds a root that it found for itself as the last one. */
function chainLength(socket: TLSSocket): number {
  let length = 0;
  for (let each = socket.getPeerCertificate(true); each?.raw && length < 9; each = each.issuerCertificate) {
    length++;
    if (each.issuerCertificate === each) break;
  }
  return length;
}

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));

describe('handshakes with a client that trusts only the authority', () => {
  test('a name', async () => {
    const contexts = new LeafContexts(authority);
    const port = await serve(() => contexts.for('api.example.test'));
    expect(await visit(port, { servername: 'api.example.test' })).toMatchObject({ authorized: true, protocol: 'TLSv1.3' });
    await expect(visit(port, { servername: 'other.example.test' })).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    await expect(visit(port, { servername: 'x.api.example.test' })).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    await expect(visit(port, { servername: 'api.example.test', ca: [] })).rejects.toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  });

  test('an IPv4 address', async () => {
    const contexts = new LeafContexts(authority);
    const port = await serve(() => contexts.for('127.0.0.1'));
    expect((await visit(port, {})).authorized).toBe(true);
  });

  test.skipIf(!hasIpv6)('an IPv6 address', async () => {
    const contexts = new LeafContexts(authority);
    const port = await serve(() => contexts.for('[0:0::1]'), '::1');
    expect((await visit(port, { host: '::1' })).authorized).toBe(true);
  });

  test('TLS 1.2 is spoken, 1.1 is not', async () => {
    const contexts = new LeafContexts(authority);
    const port = await serve(() => contexts.for('a.test'));
    expect((await visit(port, { servername: 'a.test', maxVersion: 'TLSv1.2' })).protocol).toBe('TLSv1.2');
    // The lowered security level lets the client offer 1.1 at all, so that it is the server that refuses.
    const old: ConnectionOptions = { servername: 'a.test', minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' };
    await expect(visit(port, old)).rejects.toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
  });

  test.skipIf(spawnSync('curl', ['--version']).status !== 0)('curl', async () => {
    const contexts = new LeafContexts(authority);
    const port = await serve(() => contexts.for('api.example.test'));
    const args = ['-sS', '--noproxy', '*', '--cacert', authority.certificatePath, '--connect-to', `::127.0.0.1:${port}`, 'https://api.example.test/'];
    expect((await promisify(execFile)('curl', args)).stdout).toBe('ok');
  });

  test.skipIf(spawnSync('openssl', ['version']).status !== 0)('openssl, which is sent the leaf alone', async () => {
    const contexts = new LeafContexts(authority);
    const port = await serve(() => contexts.for('api.example.test'));
    const client = promisify(execFile)('openssl', [
      ...['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'api.example.test', '-verify_hostname', 'api.example.test'],
      ...['-CAfile', authority.certificatePath, '-verify_return_error', '-x509_strict', '-showcerts'],
    ]);
    client.child.stdin?.end('GET / HTTP/1.1\r\n\r\n');
    const { stdout } = await client;
    expect(stdout).toContain('Verify return code: 0 (ok)');
    expect(stdout.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
  });
});

describe('session resumption', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s: a client that comes back resumes on the kept context', async (version) => {
    const contexts = new LeafContexts(authority);
    const port = await serve(() => contexts.for('a.test'));
    const options: ConnectionOptions = { servername: 'a.test', minVersion: version, maxVersion: version };
    const first = await visit(port, options);
    expect(first).toMatchObject({ reused: false, protocol: version });
    expect(first.session).toBeDefined();
    const second = await visit(port, { ...options, session: first.session });
    expect(second).toMatchObject({ reused: true, protocol: version });
  });

  test('a session of one host is worth nothing at another', async () => {
    const contexts = new LeafContexts(authority);
    let host = 'a.test';
    const port = await serve(() => contexts.for(host));
    const { session } = await visit(port, { servername: 'a.test' });
    host = 'b.test';
    expect(await visit(port, { servername: 'b.test', session })).toMatchObject({ reused: false, authorized: true });
  });
});

describe('what is kept', () => {
  test('one context for a host, whatever its spelling', () => {
    const contexts = new LeafContexts(authority);
    const context = contexts.for('api.example.test');
    expect(contexts.for('api.example.test')).toBe(context);
    expect(contexts.for('API.Example.Test.')).toBe(context);
    expect(contexts.for('b.test')).not.toBe(context);
    expect(contexts.for('[::1]')).toBe(contexts.for('0:0:0:0:0:0:0:1'));
  });

  test('no more than the bound, and the least recently used goes', () => {
    const contexts = new LeafContexts(authority, { max: 2 });
    const a = contexts.for('a.test');
    const b = contexts.for('b.test');
    expect(contexts.for('a.test')).toBe(a);
    contexts.for('c.test');
    expect(contexts.for('a.test')).toBe(a);
    expect(contexts.for('b.test')).not.toBe(b);
  });

  test('what is no host is refused', () => {
    expect(() => new LeafContexts(authority).for('a b')).toThrow(expect.objectContaining({ code: 'target_invalid' }));
  });
});

describe('renewal', () => {
  test('when a third of the lifetime is left', () => {
    let now = authority.notBefore + DAY;
    const contexts = new LeafContexts(authority, { now: () => now });
    const first = contexts.for('a.test');
    const minted = now;
    now = minted - 3_600_000 + 20 * DAY - 1000;
    expect(contexts.for('a.test')).toBe(first);
    now += 1000;
    const second = contexts.for('a.test');
    expect(second).not.toBe(first);
    expect(contexts.for('a.test')).toBe(second);
  });

  test('not over and over when the authority is about to expire', () => {
    let now = authority.notAfter - DAY;
    const contexts = new LeafContexts(authority, { now: () => now });
    const first = contexts.for('a.test');
    now = authority.notAfter - 1;
    expect(contexts.for('a.test')).toBe(first);
    now = authority.notAfter;
    expect(() => contexts.for('a.test')).toThrow(expect.objectContaining({ code: 'authority_invalid' }));
  });

  test('when the clock is set back to before the certificate', () => {
    let now = authority.notBefore + 10 * DAY;
    const contexts = new LeafContexts(authority, { now: () => now });
    const first = contexts.for('a.test');
    now -= DAY;
    expect(contexts.for('a.test')).not.toBe(first);
  });
});
