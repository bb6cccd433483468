import { createServer as createHttpServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureVersion } from 'node:tls';

/** A form as it arrived. */
interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly form: Readonly<Record<string, string>>;
}

/** What is answered to a form; `reset` breaks the connection, `silence` never answers. */
export type Reply = { readonly status?: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown } | 'reset' | 'silence';

/** A token endpoint on loopback whose every answer the test gives. */
export interface ScriptedEndpoint {
  readonly url: string;
  readonly received: Received[];
  /** What is answered from now on. */
  answer(reply: Reply | ((received: Received) => Reply | Promise<Reply>)): void;
  close(): Promise<void>;
}

/** Certificate and key of a server, PEM. */
export interface ServerTls {
  readonly key: string;
  readonly cert: string;
  readonly maxVersion?: SecureVersion;
}

export async function scriptedEndpoint(tls?: ServerTls): Promise<ScriptedEndpoint> {
  const received: Received[] = [];
  let script: (received: Received) => Reply | Promise<Reply> = () => ({ body: { access_token: 'access', token_type: 'Bearer', expires_in: 3_600 } });

  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      void (async () => {
        const form = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
        const one = { path: request.url ?? '', headers: request.headers, form };
        received.push(one);
        const reply = await script(one);
        if (reply === 'silence') return;
        if (reply === 'reset') return void request.socket.destroy();
        const { status = 200, headers = {}, body = {} } = reply;
        response.writeHead(status, { 'content-type': 'application/json;charset=UTF-8', ...headers });
        response.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));
      })();
    });
  };
  const server: Server = tls === undefined ? createHttpServer(listener) : createHttpsServer(tls, listener);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return {
    url: tls === undefined ? `http://127.0.0.1:${port}/token` : `https://localhost:${port}/token`,
    received,
    answer(reply) {
      script = typeof reply === 'function' ? reply : () => reply;
    },
    async close() {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await closed;
    },
  };
}
