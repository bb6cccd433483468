import { lookup } from 'node:dns/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { type Authority, leafMinter } from '@sallyport/gateway';
import { zip } from '../zip.js';

/** What every client has to print: it stands in each answer that needs the credential. */
export const marker = 'sallyport-doctor-ok';

/** A name or an address under which this machine reaches itself. */
export interface Place {
  readonly host: string;
  /** The one address that the name stands for. */
  readonly address: string;
}

/** An API on this machine that answers only to its bearer token, under a certificate of an authority that nobody knows. */
export interface TestUpstream {
  /** `https://HOST:PORT`, without a slash at the end. */
  readonly origin: string;
  readonly host: string;
  readonly address: string;
  close(): void;
}

const PACKAGE = 'sallyport_doctor';
const WHEEL = `${PACKAGE}-1.0.0-py3-none-any.whl`;

/** Starts the API at a place, with a certificate of the given authority. */
export async function startTestUpstream(
  { host, address }: Place,
  { authority, token }: { authority: Authority; token: string },
): Promise<TestUpstream> {
  const minter = leafMinter(authority);
  const server = createServer({ key: minter.keyPem, cert: minter.mint(host, Date.now()).pem }, (request, response) => {
    answer(request, response, token);
  });
  const port = await listen(server, address);
  return {
    origin: `https://${host}:${port}`,
    host: `${host}:${port}`,
    address,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/**
 * Where to start it: under a name, because some clients stumble over addresses in certificates, and beyond the loopback network, because some never
 * ask a proxy for what is in there. One place where one does for both.
 */
export async function testPlaces(): Promise<{ named: Place; beyondLoopback: Place }> {
  const named = (await resolveHostname()) ?? { host: 'localhost', address: '127.0.0.1' };
  if (!named.address.startsWith('127.')) return { named, beyondLoopback: named };
  for (const { family, internal, address } of Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])) {
    if (family === 'IPv4' && !internal && !address.startsWith('169.254.')) return { named, beyondLoopback: { host: address, address } };
  }
  return { named, beyondLoopback: named };
}

/** Null when the name does not resolve, or to another machine. */
async function resolveHostname(): Promise<Place | null> {
  const host = hostname().toLowerCase();
  if (!/^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(host) || host === 'localhost') return null;
  try {
    const { address } = await lookup(host, { family: 4 });
    const probe = createServer();
    await listen(probe, address);
    probe.close();
    return { host, address };
  } catch {
    return null;
  }
}

function listen(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, address, () => resolve((server.address() as AddressInfo).port));
  });
}

function answer({ url = '/', headers }: IncomingMessage, response: ServerResponse, token: string): void {
  if (headers.authorization !== `Bearer ${token}`) {
    response.writeHead(401, { 'Content-Type': 'text/plain' }).end('the credential was not added\n');
    return;
  }
  const { type, body } = content(url, headers.host ?? '');
  response.writeHead(200, { 'Content-Type': type, 'Content-Length': body.length, 'Cache-Control': 'no-store' }).end(body);
}

function content(url: string, host: string): { type: string; body: Buffer } {
  const [path = ''] = url.split('?');
  const text = (type: string, body: string): { type: string; body: Buffer } => ({ type, body: Buffer.from(body) });
  if (path === '/repo.git/info/refs') {
    const refs = `${'5a'.repeat(20)} refs/heads/${marker}\0 \n`;
    return text('application/x-git-upload-pack-advertisement', `${packet('# service=git-upload-pack\n')}0000${packet(refs)}0000`);
  }
  if (path.startsWith('/npm/')) {
    const manifest = {
      name: 'sallyport-doctor',
      version: '1.0.0',
      description: marker,
      dist: { tarball: `https://${host}/npm/x.tgz`, shasum: '0'.repeat(40) },
    };
    return text('application/json', JSON.stringify({ name: manifest.name, 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': manifest } }));
  }
  if (path.startsWith('/simple/')) return text('text/html', `<!DOCTYPE html><a href="/wheels/${WHEEL}">${WHEEL}</a>`);
  if (path.startsWith('/wheels/')) return { type: 'application/octet-stream', body: wheel() };
  if (path.startsWith('/s3')) {
    const bucket = `<Bucket><Name>${marker}</Name><CreationDate>2020-01-01T00:00:00Z</CreationDate></Bucket>`;
    return text('application/xml', `<?xml version="1.0"?><ListAllMyBucketsResult><Buckets>${bucket}</Buckets></ListAllMyBucketsResult>`);
  }
  return text('text/plain', `${marker}\n`);
}

/** A pkt-line of the git protocol. */
function packet(line: string): string {
  return `${(line.length + 4).toString(16).padStart(4, '0')}${line}`;
}

function wheel(): Buffer {
  const info = `${PACKAGE}-1.0.0.dist-info`;
  const file = (name: string, content: string): { name: string; content: Buffer } => ({ name, content: Buffer.from(content) });
  return zip([
    file(`${info}/METADATA`, 'Metadata-Version: 2.1\nName: sallyport-doctor\nVersion: 1.0.0\n'),
    file(`${info}/WHEEL`, 'Wheel-Version: 1.0\nGenerator: sallyport\nRoot-Is-Purelib: true\nTag: py3-none-any\n'),
    file(`${info}/RECORD`, ''),
  ]);
}
