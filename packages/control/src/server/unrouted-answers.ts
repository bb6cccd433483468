import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { problemDocument, problemMediaType } from '@sallyport/gateway';
import { type ErrorCode, SallyportError } from '@sallyport/sdk';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { newId } from '../database/ids.js';
import { errorOf, sendProblem } from './problem-answers.js';

/** What all answers say to browsers, for those that are given before there is a hook which could say it. */
const browserFields = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'SAMEORIGIN',
} as const;

const ofParser: Readonly<Record<string, { readonly code: ErrorCode; readonly hint: string }>> = {
  HPE_HEADER_OVERFLOW: { code: 'request_head_too_large', hint: 'Send fewer or shorter header fields, or a shorter path.' },
  ERR_HTTP_REQUEST_TIMEOUT: { code: 'client_idle_timeout', hint: 'Send the whole request at once.' },
};
const malformed = { code: 'request_malformed', hint: 'Send a request that follows RFC 9112.' } as const;

/** Answers a request whose path cannot be read: no route is looked for, and no hook runs. */
export function refusePath(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  void reply.headers({ 'x-request-id': request.id, ...browserFields });
  sendProblem(errorOf(error), request, reply);
}

/** Answers bytes that are no request, or not in time, and closes the connection: what follows cannot be told apart any more. */
export function refuseBytes(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = newId('req');
  const { code, hint } = ofParser[error.code ?? ''] ?? malformed;
  const refusal = new SallyportError(code, { hint });
  const body = `${problemDocument(refusal, { requestId })}\n`;
  const fields = {
    ...browserFields,
    ...{ 'x-request-id': requestId, 'x-sallyport-error': code, 'content-type': problemMediaType },
    ...{ 'content-length': String(Buffer.byteLength(body)), connection: 'close' },
  };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}\r\n${head.join('')}\r\n${body}`, () => socket.destroy());
}
