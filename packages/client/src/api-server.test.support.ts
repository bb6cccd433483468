import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { type Client, type ClientOptions, createClient } from './index.js';

/** How a server answers one request. */
export type AnswerRequest = (request: IncomingMessage, response: ServerResponse, body: string) => unknown;

/** A server on loopback that goes when the test ends, with the requests that came. Each is answered by the next of these, the last for ever. */
export async function serverWith(
  ...answers: readonly AnswerRequest[]
): Promise<{ readonly url: string; readonly seen: IncomingMessage[]; readonly bodies: string[] }> {
  const seen: IncomingMessage[] = [];
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.once('end', () => {
      seen.push(request);
      bodies.push(body);
      answers[Math.min(seen.length, answers.length) - 1]?.(request, response, body);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, bodies };
}

/** An address where nobody listens any more. A fixed one would not do: `fetch` refuses low ports without trying. */
export async function nobody(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return `http://127.0.0.1:${port}`;
}

/** Answers as JSON. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): AnswerRequest {
  const type = status >= 400 ? 'application/problem+json' : 'application/json';
  return (_, response) => response.writeHead(status, { 'Content-Type': type, ...headers }).end(JSON.stringify(body));
}

/** A client that waits for nothing; `pauses` is how long it would have waited. */
export function clientFor(url: string, more: Partial<ClientOptions> = {}): { readonly client: Client; readonly pauses: number[] } {
  const pauses: number[] = [];
  const client = createClient({ baseUrl: url, token: 'the-token', pause: async (milliseconds) => void pauses.push(milliseconds), ...more });
  return { client, pauses };
}
