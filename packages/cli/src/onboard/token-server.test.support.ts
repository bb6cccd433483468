import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a scripted server was asked. */
interface Asked {
  readonly path: string;
  readonly form: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

/** One answer: a status and a JSON body, or a text as it is; `drop` closes the connection without one. */
type Scripted = readonly [status: number, body: unknown] | 'drop';

/** A server that answers as the script says, one answer after the other, the last one for ever. */
export interface TokenServer {
  readonly origin: string;
  readonly asked: readonly Asked[];
  close(): Promise<void>;
}

export async function startTokenServer(script: readonly Scripted[]): Promise<TokenServer> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      const answer = script[Math.min(asked.length, script.length - 1)];
      asked.push({ path: request.url ?? '', form: new URLSearchParams(body), headers: request.headers });
      if (answer === 'drop') return void request.socket.destroy();
      const text = typeof answer[1] === 'string' ? answer[1] : JSON.stringify(answer[1]);
      response.writeHead(answer[0], { 'Content-Type': typeof answer[1] === 'string' ? 'text/html' : 'application/json' }).end(text);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
