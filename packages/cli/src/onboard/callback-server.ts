import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SallyportError } from '@sallyport/sdk';
import type { Judgement } from './authorization.js';

/** A server on loopback that waits for the browser to come back. */
export interface CallbackServer {
  /** `http://127.0.0.1:PORT/callback` */
  readonly redirectUri: string;
  /** Resolves with the parameters of the one answer that counts; rejects with the refusal that it carries. */
  readonly answer: Promise<URLSearchParams>;
  /** Closes the connections too, and resolves when the port is free again. */
  close(): Promise<void>;
}

/** What the browser is shown. */
interface Page {
  readonly status: number;
  readonly title: string;
  readonly text: string;
  /** Called once the browser has it: whoever waits for the answer closes every connection. */
  readonly sent?: () => void;
}

const PATH = '/callback';
const TIME_LIMIT = 10_000;
const CONNECTIONS = 16;

/**
 * Opens the server; port 0 takes any free one. Requests that `judge` calls stray are answered 400, and the waiting goes on; the first that is none
 * counts, and no other after it. Errors: `address_in_use`, `bind_failed`.
 */
export async function openCallbackServer(port: number, judge: (answer: URLSearchParams) => Judgement): Promise<CallbackServer> {
  let settle: { resolve(parameters: URLSearchParams): void; reject(error: SallyportError): void } | undefined;
  const answer = new Promise<URLSearchParams>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Who closes the server without waiting for an answer is not to be told of one.
  answer.catch(() => {});
  let over = false;

  function decide({ url = '', method }: IncomingMessage): Page {
    const [path, query] = splitOnce(url, '?');
    if (path !== PATH) return { status: 404, title: 'There is nothing here', text: 'This address only waits for the answer of a sign-in.' };
    if (method !== 'GET') return { status: 405, title: 'This cannot be done', text: 'Only GET is answered here.' };
    if (over) return { status: 400, title: 'Already finished', text: 'The answer of this sign-in has come already.' };
    const judgement = judge(new URLSearchParams(query));
    if (judgement.kind === 'stray') return { status: 400, title: 'This is not the answer', text: judgement.why };
    over = true;
    if (judgement.kind === 'denied') {
      const text = 'The consent was not given. The terminal says more; you can close this window.';
      return { status: 400, title: 'Authorization failed', text, sent: () => settle?.reject(judgement.error) };
    }
    const text = 'You can close this window and go back to the terminal.';
    return { status: 200, title: 'Authorization complete', text, sent: () => settle?.resolve(judgement.parameters) };
  }

  const server = createServer({ maxHeaderSize: 32 * 1024, connectionsCheckingInterval: 1_000 }, (request, response) =>
    send(response, decide(request)),
  );
  server.maxConnections = CONNECTIONS;
  server.headersTimeout = TIME_LIMIT;
  server.requestTimeout = TIME_LIMIT;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, port)));
    server.listen({ host: '127.0.0.1', port }, resolve);
  });
  server.removeAllListeners('error').on('error', () => {});
  return {
    redirectUri: `http://127.0.0.1:${(server.address() as AddressInfo).port}${PATH}`,
    answer,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // Browsers open connections ahead of need and keep them.
        server.closeAllConnections();
      }),
  };
}

/** Nothing that came with the request is in the page, and nothing in it is loaded from elsewhere. */
function send(response: ServerResponse, { status, title, text, sent }: Page): void {
  const body = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1><p>${text}</p></html>\n`;
  if (sent !== undefined) response.once('close', sent);
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    Connection: 'close',
    ...(status === 405 && { Allow: 'GET' }),
  });
  response.end(body);
}

function splitOnce(text: string, border: string): [string, string] {
  const at = text.indexOf(border);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function listenError(error: NodeJS.ErrnoException, port: number): SallyportError {
  if (error.code === 'EADDRINUSE') {
    return new SallyportError('address_in_use', {
      detail: `The callback cannot use 127.0.0.1:${port}: something else listens there.`,
      hint: 'Choose another port with --port, or leave it out to take any free one.',
      cause: error,
    });
  }
  return new SallyportError('bind_failed', {
    detail: `The callback cannot be opened on 127.0.0.1:${port}: ${error.message}.`,
    hint: 'Choose another port with --port; ports below 1024 need rights.',
    cause: error,
  });
}
