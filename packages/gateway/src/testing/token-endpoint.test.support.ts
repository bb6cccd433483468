import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A form that a token endpoint got. */
interface TokenRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly form: Readonly<Record<string, string>>;
}

/** What a token endpoint answers: the members of a token response, or a status with an error of OAuth. */
type TokenAnswer = Readonly<Record<string, unknown>> | { readonly status: number; readonly error: string };

/** A token endpoint of this machine, over plain HTTP. */
export interface TokenEndpointScene {
  readonly origin: string;
  readonly received: readonly TokenRequest[];
  /** What is answered from now on; the number counts the requests from 1. In the beginning: the access tokens `token-1`, `token-2` and so on. */
  answer: (request: TokenRequest, number: number) => TokenAnswer | Promise<TokenAnswer>;
}

const running = new Set<Server>();

/** Starts a token endpoint. */
export async function startTokenEndpoint(): Promise<TokenEndpointScene> {
  const received: TokenRequest[] = [];
  const scene: TokenEndpointScene = { origin: '', received, answer: (_request, number) => ({ access_token: `token-${number}`, expires_in: 3_600 }) };
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const form = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
      const one = { path: request.url ?? '', headers: request.headers, form };
      const answer = await scene.answer(one, received.push(one));
      response.writeHead('status' in answer ? Number(answer.status) : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ token_type: 'Bearer', ...answer }));
    })();
  });
  running.add(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(scene, { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

/** Stops every token endpoint. */
export async function stopTokenEndpoints(): Promise<void> {
  for (const server of running) {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  }
  running.clear();
}
