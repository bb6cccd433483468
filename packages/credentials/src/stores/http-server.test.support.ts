import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as the server read it. */
export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** An answer; a body that is no text goes out as JSON. */
export interface FakeReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** What goes wrong: `lost` does what was asked and never says so, `reset` does nothing, `hang` never answers, a reply stands in for the real one. */
export type Fault = 'lost' | 'reset' | 'hang' | FakeReply;

/** A real HTTP server on loopback. What the handler does is one step: nothing happens in between. */
export interface FakeServer {
  readonly url: string;
  /** Everything that came in, in order. */
  readonly requests: FakeRequest[];
  /** Asked before each request is handled; may take its time. */
  intercept: (request: FakeRequest) => Fault | null | Promise<Fault | null>;
  close(): Promise<void>;
}

/** Starts a server; whoever starts it closes it. */
export async function fakeServer(handle: (request: FakeRequest) => FakeReply): Promise<FakeServer> {
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => void answer(Buffer.concat(chunks).toString()));
    async function answer(body: string): Promise<void> {
      const url = new URL(incoming.url ?? '/', 'http://fake');
      const request = { method: incoming.method ?? '', path: url.pathname, query: url.searchParams, headers: incoming.headers, body };
      fake.requests.push(request);
      const fault = await fake.intercept(request);
      if (fault === 'hang') return;
      const reply = fault === null || fault === 'lost' ? handle(request) : fault;
      if (fault === 'lost' || fault === 'reset' || typeof reply === 'string') {
        incoming.socket.destroy();
        return;
      }
      outgoing.writeHead(reply.status, reply.headers);
      outgoing.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const fake: FakeServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    intercept: () => null,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
  return fake;
}

/** An interceptor that lets the fault happen to the first so many requests that it is for. */
export function faultOn(matches: (request: FakeRequest) => boolean, fault: Fault, times = 1): FakeServer['intercept'] {
  let left = times;
  return (request) => {
    if (left === 0 || !matches(request)) return null;
    left -= 1;
    return fault;
  };
}
