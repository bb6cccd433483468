import { STATUS_CODES } from 'node:http';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import type { Caller } from '../exchange.js';
import type { Passage } from '../pipeline/passage.js';
import { refuse, settle } from '../pipeline/pipeline.js';
import type { Renewal, RenewalInstallation } from '../tls/renewal/renewal.js';
import { receiveBody } from './sidecar-ops-body.js';

/** What the operations paths of the sidecar tell about. */
export interface SidecarOps {
  readonly version: string;
  readonly renewal: Renewal;
}

/** The same for one request. */
export interface OpsServices extends SidecarOps {
  /** The caller when it was identified by a client certificate, null when by anything else or not at all. May throw why it was refused. */
  readonly certificateCaller: (passage: Passage) => Caller | null;
}

interface Answer {
  readonly status: number;
  /** Header lines beyond Content-Length and Connection, each with its CR LF. */
  readonly lines: string;
  readonly body: string;
}

interface Operation {
  readonly methods: readonly string[];
  readonly run: (passage: Passage, services: OpsServices) => void;
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  '/_ops/health': { methods: ['GET', 'HEAD'], run: (passage) => answerJson(passage, { status: 'alive' }) },
  '/_ops/version': { methods: ['GET', 'HEAD'], run: (passage, { version }) => answerJson(passage, { version }) },
  '/_ops/renew/prepare': { methods: ['POST'], run: (passage, services) => renew(passage, services, prepare) },
  '/_ops/renew/install': { methods: ['POST'], run: (passage, services) => renew(passage, services, install) },
};

/**
 * Answers a request for one of the operations paths on the port of the sidecar, and ends its exchange, now or once the answer is there. False, with
 * nothing done, when the path is none of them. Health and version are for all who can connect; renewal is for callers with a client certificate.
 */
export function answerOps(passage: Passage, services: OpsServices): boolean {
  const [path = ''] = passage.client.head.target.split('?', 1);
  if (!Object.hasOwn(OPERATIONS, path)) return false;
  const { methods, run } = OPERATIONS[path];
  if (!methods.includes(passage.exchange.method)) refuseMethod(passage, methods);
  else run(passage, services);
  return true;
}

function renew(passage: Passage, services: OpsServices, work: (body: string, renewal: Renewal) => Promise<Answer>): void {
  const { client, exchange } = passage;
  try {
    // Asked first: without TLS no caller could have a certificate, and the reason would be lost.
    services.renewal.requireEnabled();
    exchange.caller = services.certificateCaller(passage);
    if (exchange.caller === null) throw new SallyportError('renewal_not_permitted');
  } catch (error) {
    refuse(passage, asSallyportError(error));
    return;
  }
  receiveBody(client, {
    onBody: (body) => {
      exchange.requestBytes = Buffer.byteLength(body);
      work(body, services.renewal).then(
        (answer) => reply(passage, answer),
        (error: unknown) => {
          if (client.closed) abandon(passage);
          else refuse(passage, asSallyportError(error));
        },
      );
    },
    onFault: (error) => refuse(passage, error),
    onGone: () => abandon(passage),
  });
}

async function prepare(_: string, renewal: Renewal): Promise<Answer> {
  return json(await renewal.prepare());
}

async function install(body: string, renewal: Renewal): Promise<Answer> {
  await renewal.install(readInstallation(body));
  return { status: 202, lines: '', body: '' };
}

/** Members that are not known are passed over, as clients of this interface expect. */
function readInstallation(body: string): RenewalInstallation {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw notInstallation('It is not JSON.', 'invalid request body');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw notInstallation('It is not a JSON object.', 'invalid request body');
  const { renewal_id, certificate } = value as Readonly<Record<string, unknown>>;
  for (const [name, text] of Object.entries({ renewal_id, certificate })) {
    if (text === undefined || text === '') throw notInstallation(`\`${name}\` is missing.`, 'renewal_id and certificate are required');
    if (typeof text !== 'string') throw notInstallation(`\`${name}\` is not a text.`, 'invalid request body');
  }
  return { renewal_id: renewal_id as string, certificate: certificate as string };
}

function notInstallation(detail: string, error: string): SallyportError {
  return new SallyportError('renewal_request_invalid', { detail, members: { error } });
}

function answerJson(passage: Passage, value: object): void {
  reply(passage, json(value));
}

function json(value: object): Answer {
  return { status: 200, lines: 'Content-Type: application/json\r\n', body: JSON.stringify(value) };
}

/** A 405 has to say what is allowed (RFC 9110 §15.5.6). */
function refuseMethod(passage: Passage, methods: readonly string[]): void {
  const { exchange, door } = passage;
  const error = new SallyportError('method_not_allowed');
  const { status, contentType, lines, body } = door.refusal(exchange, error);
  exchange.outcome = 'refused';
  exchange.error = error.code;
  exchange.errorDetail = error.message;
  const named = `Allow: ${methods.join(', ')}\r\nContent-Type: ${contentType}\r\nX-Sallyport-Error: ${error.code}\r\n`;
  reply(passage, { status, lines: lines + named, body });
}

function reply(passage: Passage, { status, lines, body }: Answer): void {
  const { client, exchange } = passage;
  if (client.closed) {
    abandon(passage);
    return;
  }
  // The rest of a body that nobody reads would be taken for the next request.
  if (!client.body.done) client.persistent = false;
  const connection = client.persistent ? (client.head.minorVersion === 0 ? 'Connection: keep-alive\r\n' : '') : 'Connection: close\r\n';
  const encoded = Buffer.from(body, 'utf8').toString('latin1');
  exchange.status = status;
  exchange.responseBytes = exchange.method === 'HEAD' ? 0 : encoded.length;
  client.write(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Answer'}\r\n${lines}Content-Length: ${encoded.length}\r\nCache-Control: no-store\r\n` +
      `${connection}\r\n${exchange.method === 'HEAD' ? '' : encoded}`,
  );
  settle(passage);
  client.finish();
}

/** The client left before there was anything to answer. */
function abandon(passage: Passage): void {
  passage.exchange.outcome = 'aborted';
  passage.exchange.error = 'client_aborted';
  settle(passage);
}
