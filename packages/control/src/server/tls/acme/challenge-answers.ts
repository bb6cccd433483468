import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { errorCode, ifPresent, placeFile } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { onDisk } from '../stored-certificate.js';

/** Answers a request if it is that of an authority that checks a host (RFC 8555 §8.3), and says whether it was. */
export type ChallengeHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

/** Where the listener of challenges is; null when the server answers them on a listener of its own. */
export type ChallengeAddress = { readonly host: string | undefined; readonly port: number } | null;

/** What authorities are answered. Kept in files, so that any of several processes on one folder can be asked. */
export interface ChallengeAnswers {
  readonly handler: ChallengeHandler;
  /** Opens the listener for as long as `work` takes, and forgets all answers after it. Throws `acme_port_unavailable`. */
  during<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves once the answer would be given. */
  put(token: string, answer: string): Promise<void>;
}

const PREFIX = '/.well-known/acme-challenge/';
/** base64url of at least 128 bits (RFC 8555 §8.3), and a name that no file system takes for another. */
const TOKEN = /^[A-Za-z0-9_-]{16,128}$/;
const REQUEST_TIMEOUT_MS = 10_000;
const MOST_CONNECTIONS = 64;

/** The answers in a folder, which is made. */
export async function openChallengeAnswers(dir: string, address: ChallengeAddress): Promise<ChallengeAnswers> {
  await onDisk(mkdir(dir, { recursive: true, mode: 0o700 }), `${dir} cannot be made`);

  const handler: ChallengeHandler = (request, response) => {
    const [path] = (request.url ?? '').split('?');
    if (!path.startsWith(PREFIX)) return false;
    void answer(dir, path.slice(PREFIX.length), request, response);
    return true;
  };

  return {
    handler,
    async during(work) {
      const server = address === null ? null : await listen(handler, address);
      try {
        // What a process that died has left.
        await clear(dir);
        return await work();
      } finally {
        if (server !== null) await stop(server);
        await clear(dir);
      }
    },
    async put(token, text) {
      if (!TOKEN.test(token)) throw new SallyportError('acme_challenge_failed', { detail: 'The token of the challenge is not base64url.' });
      await onDisk(placeFile(join(dir, token), text, { replace: true }), `${dir} cannot be written to`);
    },
  };
}

/** The folder itself stays: another process may be about to use it. */
async function clear(dir: string): Promise<void> {
  const names = await onDisk(readdir(dir), `${dir} cannot be read`);
  for (const name of names) await onDisk(rm(join(dir, name), { force: true }), `${dir} cannot be emptied`);
}

async function answer(dir: string, token: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const asked = TOKEN.test(token) && (request.method === 'GET' || request.method === 'HEAD');
  // Unreadable is as good as absent to whoever asks; the order fails and says why.
  const text = asked ? await ifPresent(readFile(join(dir, token), 'utf8')).catch(() => null) : null;
  const body = text ?? 'There is no such challenge.\n';
  response.writeHead(text === null ? 404 : 200, {
    'content-type': 'application/octet-stream',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function listen(handler: ChallengeHandler, { host, port }: { readonly host: string | undefined; readonly port: number }): Promise<Server> {
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: 8192 },
    (request, response) => {
      response.setHeader('connection', 'close');
      if (!handler(request, response)) response.writeHead(404).end();
    },
  );
  server.maxConnections = MOST_CONNECTIONS;
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const detail = `The port ${port}${host === undefined ? '' : ` of ${host}`}, where authorities ask, cannot be opened (${errorCode(cause)}).`;
      reject(new SallyportError('acme_port_unavailable', { detail, cause }));
    });
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => resolve(server));
  });
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
