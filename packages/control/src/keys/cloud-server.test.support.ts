import { createServer, type IncomingHttpHeaders } from 'node:http';

/** A request as it came over the socket. */
export interface CloudRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface CloudAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What goes wrong with the next request: another answer, none at all, one whose body never ends, or a broken connection. */
type CloudFault = CloudAnswer | 'silence' | 'stalled' | 'broken';

/** A server on this machine that behaves like one of a cloud, and badly when asked to. */
export interface CloudServer {
  readonly address: string;
  /** The requests so far. */
  readonly requests: readonly CloudRequest[];
  /** Happen to the next requests, one each, before `answer` is asked again. */
  fail(...faults: readonly CloudFault[]): void;
  /** Resolves when that many requests have come in all. */
  requested(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one that answers what `answer` says. */
export async function startCloudServer(answer: (request: CloudRequest) => Promise<CloudAnswer> | CloudAnswer): Promise<CloudServer> {
  const requests: CloudRequest[] = [];
  const faults: CloudFault[] = [];
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const received = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) };
      requests.push(received);
      for (const { count, resolve } of waiting) if (requests.length >= count) resolve();
      const fault = faults.shift();
      if (fault === 'silence') return;
      if (fault === 'broken') {
        request.socket.destroy();
        return;
      }
      if (fault === 'stalled') {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' }).write('{');
        return;
      }
      void (async () => {
        const { status, body, headers } = fault ?? (await answer(received));
        response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
      })();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    address: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    requests,
    fail: (...more) => void faults.push(...more),
    requested: (count) => new Promise((resolve) => (requests.length >= count ? resolve() : void waiting.push({ count, resolve }))),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
