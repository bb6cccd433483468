import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import type { Gateway } from '../gateway.js';
import { problemDocument, problemMediaType } from '../record/problem.js';
import { listenOnControlSocket } from './control-socket.js';
import { prepareOffer, type RunOffer, runsPath } from './run-protocol.js';
import type { RunCredentials, Runs } from './runs.js';

/** The control socket of a gateway. */
export interface RunServer {
  /** Takes no more runs. Those that are under way go on until `close`. */
  drain(): void;
  /** Ends every run. */
  close(): void;
}

const LARGEST_BODY = 65_536;
const MOST_CONNECTIONS = 1_100;
/** The gateway hears of the end of a program's last connections a moment after the program ended. Milliseconds. */
const AFTERMATH = 50;

/**
 * Lets `sallyport run` of the same user register runs with a gateway, over a socket at `path`:
 *
 *   POST /v1/runs {"credentials": ["name"] | "all"}   201, the `RunOffer`; without `credentials` what the configuration gives to runs
 *   GET /v1/runs/ID                                   200, the `RunSummary`
 *   DELETE /v1/runs/ID                                200, the last `RunSummary`; the token is withdrawn
 *
 * A run lives as long as the connection that registered it: however a program ends, its token ends with it. Everything else is answered with a
 * problem document. Errors: `bind_failed`.
 */
export async function serveRuns(gateway: Gateway, runs: Runs, path: string): Promise<RunServer> {
  const owned = new Map<Socket, Set<string>>();
  let draining = false;
  const server = createServer({ maxHeaderSize: 8_192 }, (request, response) => {
    answer(request).then(
      ({ status, body }) => send(response, status, 'application/json', JSON.stringify(body)),
      (error: unknown) => refuse(response, asSallyportError(error)),
    );
  });
  server.maxConnections = MOST_CONNECTIONS;
  // Between its first and its last request a run is silent, for days perhaps.
  server.keepAliveTimeout = 0;
  server.on('connection', (socket) => {
    socket.once('close', () => {
      for (const id of owned.get(socket) ?? []) runs.end(id);
      owned.delete(socket);
    });
  });

  async function answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    const { method, url = '' } = request;
    if (url === runsPath) {
      if (method !== 'POST') throw new SallyportError('method_not_allowed', { detail: `${runsPath} answers POST` });
      return { status: 201, body: await register(request.socket, readCredentials(await readBody(request))) };
    }
    const id = url.startsWith(`${runsPath}/`) ? url.slice(runsPath.length + 1) : '';
    if (method === 'DELETE') await wait(AFTERMATH);
    const summary = method === 'GET' ? runs.summary(id) : method === 'DELETE' ? runs.end(id) : null;
    if (summary === null)
      throw new SallyportError('not_found', { detail: 'there is no such run', hint: 'The run has ended, or it was another gateway’s.' });
    return { status: 200, body: summary };
  }

  async function register(socket: Socket, credentials: RunCredentials): Promise<RunOffer> {
    if (draining)
      throw new SallyportError('not_ready', { detail: 'The gateway that runs with this configuration is stopping.', hint: 'Try again in a moment.' });
    const offerTo = await prepareOffer(gateway);
    if (socket.destroyed) throw new SallyportError('client_aborted');
    const run = runs.begin(gateway, credentials);
    owned.set(socket, (owned.get(socket) ?? new Set()).add(run.id));
    return offerTo(run);
  }

  await listenOnControlSocket(server, path);
  return {
    drain() {
      // The server itself stays open: closing it would close the connections of silent runs, and end them.
      draining = true;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_BODY) throw new SallyportError('limit_exceeded', { detail: `the body is larger than ${LARGEST_BODY} bytes` });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function readCredentials(body: string): RunCredentials {
  const credentials = parse(body)?.credentials ?? 'default';
  if (credentials === 'all' || credentials === 'default') return credentials;
  if (Array.isArray(credentials) && credentials.every((name) => typeof name === 'string')) return credentials;
  throw malformed();
}

function parse(body: string): Record<string, unknown> | null {
  if (body.trim() === '') return null;
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw malformed();
}

function malformed(): SallyportError {
  return new SallyportError('request_malformed', {
    detail: 'the body is not a JSON object with an optional member "credentials": a list of names, or "all"',
  });
}

function refuse(response: ServerResponse, error: SallyportError): void {
  response.setHeader('X-Sallyport-Error', error.code);
  // A body that nobody reads may still be on its way.
  response.setHeader('Connection', 'close');
  send(response, error.status === 0 ? 500 : error.status, problemMediaType, problemDocument(error, { requestId: randomUUID() }));
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body), 'Cache-Control': 'no-store' });
  response.end(body);
}
