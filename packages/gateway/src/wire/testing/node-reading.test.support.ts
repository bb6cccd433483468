import { createServer, type IncomingMessage, request } from 'node:http';
import { Duplex } from 'node:stream';
import type { Reading, ReadMessage } from './reading.test.support.js';

/** A connection in memory: what is pushed is what the peer sends, what is written goes nowhere. */
class MemoryConnection extends Duplex {
  override _read(): void {}

  override _write(_chunk: unknown, _encoding: BufferEncoding, done: () => void): void {
    done();
  }
}

interface Collected {
  message: IncomingMessage;
  body: string;
}

/** What Node's own server reads, in its strict mode. The rule that HTTP/1.1 needs a Host, which is not its parser's, is off. */
export async function nodeReadRequests(input: Buffer): Promise<Reading> {
  const collected: Collected[] = [];
  let reason = '';
  let tunnel = false;
  const server = createServer({ insecureHTTPParser: false, requireHostHeader: false, maxHeaderSize: 4_194_304 });
  server.maxHeadersCount = 0;
  const take = (message: IncomingMessage): void => {
    collected.push(collect(message));
  };
  server.on('request', take);
  server.on('checkContinue', take);
  server.on('checkExpectation', take);
  server.on('connect', (message) => {
    tunnel = true;
    collected.push({ message, body: '' });
  });
  server.on('clientError', (error: NodeJS.ErrnoException) => {
    reason ||= error.code ?? error.message;
  });
  const connection = new MemoryConnection();
  connection.on('error', ignore);
  server.emit('connection', connection);
  connection.push(Buffer.from(input));
  // The parser runs in the turn in which the bytes are handed out, bodies follow in the next.
  await turns(3);
  const messages = collected.filter(({ message }) => message.complete || message.method === 'CONNECT').map(toMessage);
  connection.destroy();
  server.closeAllConnections();
  // Node's parser takes what follows a request for an upgrade for the other protocol, even when nobody wanted to upgrade.
  const upgrade = messages.at(-1)?.fields.some(([name]) => name === 'upgrade') === true && reason === '';
  return { messages, stop: tunnel || upgrade ? 'tunnel' : reason === '' ? 'incomplete' : 'refused', reason };
}

/** What Node's own client reads, in its strict mode, as the answer to `method`; after the input the connection ends. */
export async function nodeReadResponse(input: Buffer, method: string): Promise<Reading> {
  let collected: Collected | null = null;
  let reason = '';
  const connection = new MemoryConnection();
  const sent = request({ method, host: 'h', insecureHTTPParser: false, maxHeaderSize: 4_194_304, createConnection: () => connection });
  await new Promise<void>((resolve) => {
    sent.on('response', (message) => {
      collected = collect(message);
      message.on('error', (error: NodeJS.ErrnoException) => {
        reason ||= error.code ?? error.message;
      });
      message.on('close', resolve);
    });
    sent.on('upgrade', (message: IncomingMessage) => {
      collected = { message, body: '' };
      resolve();
    });
    sent.on('error', (error: NodeJS.ErrnoException) => {
      reason ||= error.code ?? error.message;
      resolve();
    });
    sent.on('socket', () => {
      connection.push(Buffer.from(input));
      connection.push(null);
    });
    sent.end();
  });
  await turns(1);
  connection.destroy();
  const { message } = (collected ?? { message: null }) as Collected | { message: null };
  const messages = message?.complete === true ? [toMessage(collected as unknown as Collected)] : [];
  return { messages, stop: messages.length > 0 ? 'closed' : reason.startsWith('HPE_') ? 'refused' : 'incomplete', reason };
}

function collect(message: IncomingMessage): Collected {
  const collected = { message, body: '' };
  message.setEncoding('latin1');
  message.on('data', (text: string) => {
    collected.body += text;
  });
  message.on('error', ignore);
  return collected;
}

function toMessage({ message, body }: Collected): ReadMessage {
  const start = message.method
    ? ([message.method, message.url ?? ''] as const)
    : ([String(message.statusCode), message.statusMessage ?? ''] as const);
  return { start, minorVersion: message.httpVersionMinor, fields: pairs(message.rawHeaders), body, trailers: pairs(message.rawTrailers) };
}

function pairs(raw: readonly string[]): Array<readonly [string, string]> {
  return Array.from({ length: raw.length / 2 }, (_, index) => [(raw[2 * index] ?? '').toLowerCase(), raw[2 * index + 1] ?? ''] as const);
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

function ignore(): void {}
