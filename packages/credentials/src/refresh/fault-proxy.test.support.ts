import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gate } from './gate.test.support.js';
import { closeServer } from './rotating-server.test.support.js';

/** What happens to one request on its way to the server and back. */
export type Fault =
  | 'none'
  /** The connection breaks before the server gets anything. */
  | 'reset before'
  /** 500, and the server gets nothing. */
  | 'refuse'
  /** The server does it, and the connection breaks before the answer. */
  | 'reset after'
  /** The server does it, and the answer breaks off in the middle of the body. */
  | 'cut'
  /** The server does it, and something in between answers 500. */
  | 'error after'
  /** The server does it, and something in between answers 200 with a page. */
  | 'page after'
  /** The server does it, and no answer ever comes. */
  | 'silence';

/** A proxy in front of a server that does to each request what it was told to, and passes on everything else. */
export interface FaultProxy {
  readonly url: string;
  /** What happens to the next requests, in this order; `none` when nothing is left. */
  plan(...faults: Fault[]): void;
  /** Resolves as soon as the server has answered a request whose answer is not passed on. */
  swallowed(): Promise<void>;
  close(): Promise<void>;
}

export async function faultProxy(target: string): Promise<FaultProxy> {
  const planned: Fault[] = [];
  let swallowed = gate();

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const fault = planned.shift() ?? 'none';
    const body = await readAll(incoming);
    if (fault === 'reset before') return void incoming.socket.destroy();
    if (fault === 'refuse') return void outgoing.writeHead(500).end();
    const answer = await forward(target, incoming, body);
    if (fault !== 'none') {
      swallowed.open();
      swallowed = gate();
    }
    switch (fault) {
      case 'none':
        outgoing.writeHead(answer.status, answer.headers).end(answer.body);
        return;
      case 'reset after':
        incoming.socket.destroy();
        return;
      case 'cut':
        outgoing.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length });
        outgoing.write(answer.body.subarray(0, answer.body.length / 2), () => incoming.socket.destroy());
        return;
      case 'error after':
        outgoing.writeHead(500, { 'content-type': 'application/json' }).end('{"error":"server_error"}');
        return;
      case 'page after':
        outgoing.writeHead(200, { 'content-type': 'text/html' }).end('<html></html>');
        return;
      case 'silence':
    }
  }

  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    plan: (...faults) => void planned.splice(0, planned.length, ...faults),
    swallowed: () => swallowed.opened,
    close: () => closeServer(server),
  };
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

function forward(target: string, { method, url, headers }: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(target + url, { method, headers: { ...headers, host: new URL(target).host }, agent: false }, (incoming) => {
      readAll(incoming).then((bytes) => {
        resolve({ status: incoming.statusCode ?? 0, headers: { 'content-type': incoming.headers['content-type'] ?? '' }, body: bytes });
      }, reject);
    });
    outgoing.on('error', reject).end(body);
  });
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
