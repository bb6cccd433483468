import type { Exchange } from '../exchange.js';
import { cut, foreignText, type Sought, soughtIn } from './foreign-text.js';
import { milliseconds, quoted } from './json-text.js';

/** What is recorded of a target: its host, the path too, or the query as well. */
export type RecordedTarget = 'host' | 'path' | 'full';

/** One field of the request event, as docs/events.md shows it. */
export interface EventField {
  readonly name: string;
  readonly type: 'string' | 'number' | 'boolean' | 'array of strings';
  /** What a number counts in, or the most characters that a string may have. */
  readonly unit: string;
  readonly meaning: string;
  /** `always`, or when the field is there. A field that is not there is left out, never null. */
  readonly present: string;
}

/** The most characters of the texts that others decide on; what is longer is cut and ends in `…`. */
const LIMITS = {
  requestId: 256,
  name: 128,
  address: 64,
  method: 32,
  host: 256,
  path: 2048,
  query: 2048,
  rule: 512,
  detail: 1024,
  header: 128,
} as const;

/** The most header names that a record lists. */
const HEADER_NAMES = 32;

/** Every field of the request event in the order in which it is written. docs/events.md is made from this table. */
export const eventFields: readonly EventField[] = [
  field('level', 'number', '', '30 info; 40 warning: refused, or a status of 400 or more; 50 error: failed, or a status of 500 or more.', 'always'),
  field('time', 'number', 'ms since 1970', 'When the exchange ended.', 'always'),
  field('msg', 'string', '', '`exchange`, which tells request events from the other lines of the log.', 'always'),
  field('request_id', 'string', chars(LIMITS.requestId), 'The id that the client sent, or that was generated for it.', 'once known'),
  field('trace_id', 'string', '', 'The trace that the exchange belongs to, and `span_id` its span: 32 and 16 hexadecimal digits.', 'tracing is on'),
  field('span_id', 'string', '', 'See `trace_id`.', 'tracing is on'),
  field('door', 'string', '', 'Where the request came in: `forward` or `sidecar`.', 'always'),
  field('kind', 'string', '', '`request`, `tunnel` (bytes that were not looked at) or `upgrade` (bytes after a 101, as for a WebSocket).', 'always'),
  field('caller', 'string', chars(LIMITS.name), 'Who asked: the name in the configuration, or the id of a run.', 'the caller was identified'),
  field('client_address', 'string', chars(LIMITS.address), 'The address that the connection came from.', 'always'),
  field('vendor_id', 'string', chars(LIMITS.name), 'Whose service is called, as the platform says.', 'the sidecar was told'),
  field('method', 'string', chars(LIMITS.method), 'The request method.', 'the request could be read'),
  field('scheme', 'string', '', '`http` or `https`, as spoken with the upstream.', 'the target is known'),
  field('host', 'string', chars(LIMITS.host), 'The host of the target.', 'the target is known'),
  field('port', 'number', '', 'The port of the target.', 'the target is known'),
  field('path', 'string', chars(LIMITS.path), 'The path of the target.', 'the target is known; never for tunnels, nor where `log.target` is `host`'),
  field(
    'query',
    'string',
    chars(LIMITS.query),
    'The query of the target as the client sent it, with its `?`.',
    '`log.target` is `full` and there is one',
  ),
  field(
    'verdict',
    'string',
    '',
    '`allowed`, `denied`, `passthrough`, or `observed`: let out, though strict mode would deny it.',
    'the policy was asked',
  ),
  field('rule', 'string', chars(LIMITS.rule), 'The rule that decided.', 'a rule matched'),
  field('forward_target', 'string', chars(LIMITS.name), 'The forward target that it went to instead of its target.', 'a route led to one'),
  field('credential', 'string', chars(LIMITS.name), 'The name of the credential that was selected, or of the plugin that gave one.', 'there was one'),
  field(
    'injected_headers',
    'array of strings',
    `${HEADER_NAMES} names`,
    'The names of the headers that were injected, never their values.',
    'headers were injected',
  ),
  field('upstream_address', 'string', chars(LIMITS.address), 'The address that was dialed.', 'an upstream was dialed'),
  field('upstream_reused', 'boolean', '', 'Whether the connection had served an earlier exchange.', 'an upstream was dialed'),
  field('status', 'number', '', 'The status that the client was sent.', 'the client was answered'),
  field('upstream_status', 'number', '', 'The status that the upstream answered.', 'the upstream answered'),
  field('outcome', 'string', '', '`completed`, `refused` (by Sallyport), `failed` (on the way) or `aborted` (by the client).', 'always'),
  field('error', 'string', '', 'The stable code of what went wrong; docs/errors.md lists them.', 'something went wrong'),
  field('error_detail', 'string', chars(LIMITS.detail), 'The sentence that belongs to it.', 'there is more to say than the code'),
  field('request_bytes', 'number', 'bytes', 'Body bytes taken from the client; for tunnels and upgrades all bytes.', 'always'),
  field('response_bytes', 'number', 'bytes', 'Body bytes handed to the client; for tunnels and upgrades all bytes.', 'always'),
  field('resolve_ms', 'number', 'ms', 'How long it took to get hold of the credential.', 'a credential was resolved'),
  field('connect_ms', 'number', 'ms', 'How long it took to open the upstream connection, TLS included.', 'a connection was opened'),
  field('upstream_ms', 'number', 'ms', 'From the request leaving to the first byte of the final response head.', 'the upstream answered'),
  field('duration_ms', 'number', 'ms', 'From the first byte of the request to the end of the exchange.', 'always'),
];

function field(name: string, type: EventField['type'], unit: string, meaning: string, present: string): EventField {
  return { name, type, unit, meaning, present };
}

function chars(limit: number): string {
  return `≤ ${limit} characters`;
}

/** How grave the end of an exchange is, in pino's numbers: 30 info, 40 warning, 50 error. */
export function eventLevel(exchange: Exchange): 30 | 40 | 50 {
  if (exchange.outcome === 'failed' || exchange.status >= 500) return 50;
  return exchange.outcome === 'refused' || exchange.status >= 400 ? 40 : 30;
}

/**
 * The request event of a finished exchange: one line of JSON in pino's shape with its line end, of bounded length. Texts that came
 * from outside are free of the exchange's secrets. Built by hand, because a logger takes several times as long.
 */
export function formatEvent(exchange: Exchange, recorded: RecordedTarget = 'path'): string {
  const secrets = soughtIn(exchange.secrets);
  const ended = Math.round(exchange.startedAt + Math.max(0, exchange.durationMs));
  let line = `{"level":${eventLevel(exchange)},"time":${ended},"msg":"exchange"`;
  if (exchange.requestId !== '') line += `,"request_id":${foreign(exchange.requestId, LIMITS.requestId, secrets)}`;
  if (exchange.trace !== null) line += `,"trace_id":"${exchange.trace.traceId}","span_id":"${exchange.trace.spanId}"`;
  line += origin(exchange);
  if (exchange.vendorId !== '') line += `,"vendor_id":${foreign(exchange.vendorId, LIMITS.name, secrets)}`;
  if (exchange.method !== '') line += `,"method":${foreign(exchange.method, LIMITS.method, secrets)}`;
  if (exchange.host !== '') line += target(exchange, secrets, recorded);
  line += decisions(exchange);
  if (exchange.upstreamAddress !== null) {
    line += `,"upstream_address":${own(exchange.upstreamAddress, LIMITS.address)},"upstream_reused":${exchange.upstreamReused}`;
  }
  if (exchange.status > 0) line += `,"status":${exchange.status}`;
  if (exchange.upstreamStatus > 0) line += `,"upstream_status":${exchange.upstreamStatus}`;
  line += `,"outcome":"${exchange.outcome}"`;
  if (exchange.error !== null) line += `,"error":"${exchange.error}"`;
  if (exchange.errorDetail !== null) line += `,"error_detail":${foreign(exchange.errorDetail, LIMITS.detail, secrets)}`;
  line += `,"request_bytes":${exchange.requestBytes},"response_bytes":${exchange.responseBytes}`;
  if (exchange.resolveMs >= 0) line += `,"resolve_ms":${milliseconds(exchange.resolveMs)}`;
  if (exchange.connectMs >= 0) line += `,"connect_ms":${milliseconds(exchange.connectMs)}`;
  if (exchange.upstreamMs >= 0) line += `,"upstream_ms":${milliseconds(exchange.upstreamMs)}`;
  return `${line},"duration_ms":${milliseconds(Math.max(0, exchange.durationMs))}}\n`;
}

/** The part that is the same for all exchanges of a client, and so mostly the same as for the exchange before. */
let lastOrigin = { door: '', kind: '', caller: '', address: '', text: '' };

function origin({ door, kind, caller, clientAddress }: Exchange): string {
  const name = caller?.name ?? '';
  if (lastOrigin.door === door && lastOrigin.kind === kind && lastOrigin.caller === name && lastOrigin.address === clientAddress)
    return lastOrigin.text;
  const from = caller === null ? '' : `,"caller":${own(name, LIMITS.name)}`;
  const text = `,"door":"${door}","kind":"${kind}"${from},"client_address":${own(clientAddress, LIMITS.address)}`;
  if (caller !== null) lastOrigin = { door, kind, caller: name, address: clientAddress, text };
  return text;
}

function target(exchange: Exchange, secrets: Sought, recorded: RecordedTarget): string {
  const { path, query } = exchange;
  let text = `,"scheme":"${exchange.scheme}","host":${foreign(exchange.host, LIMITS.host, secrets)},"port":${exchange.port}`;
  if (path !== '' && recorded !== 'host') text += `,"path":${foreign(path, LIMITS.path, secrets)}`;
  if (query !== '' && recorded === 'full') text += `,"query":${foreign(query, LIMITS.query, secrets)}`;
  return text;
}

/** The part that depends on rule and binding alone, and so is mostly the same as for the exchange before. */
let lastDecisions: { verdict: unknown; rule: unknown; forwardTarget: unknown; credential: unknown; headers: unknown; text: string } = {
  verdict: null,
  rule: null,
  forwardTarget: null,
  credential: null,
  headers: null,
  text: '',
};

function decisions({ verdict, rule, forwardTarget, credential, injectedHeaders: headers }: Exchange): string {
  const last = lastDecisions;
  if (
    last.verdict === verdict &&
    last.rule === rule &&
    last.forwardTarget === forwardTarget &&
    last.credential === credential &&
    last.headers === headers
  ) {
    return last.text;
  }
  let text = '';
  if (verdict !== null) text += `,"verdict":"${verdict}"`;
  if (rule !== null) text += `,"rule":${own(rule, LIMITS.rule)}`;
  if (forwardTarget !== null) text += `,"forward_target":${own(forwardTarget, LIMITS.name)}`;
  if (credential !== null) text += `,"credential":${own(credential, LIMITS.name)}`;
  if (headers.length > 0) {
    const names = headers.slice(0, HEADER_NAMES).map((name) => own(name, LIMITS.header));
    text += `,"injected_headers":[${names.join(',')}]`;
  }
  lastDecisions = { verdict, rule, forwardTarget, credential, headers, text };
  return text;
}

/** A text that comes from the configuration or the system. */
function own(text: string, limit: number): string {
  return quoted(cut(text, limit));
}

/** A text that the client or the upstream had a hand in. */
function foreign(text: string, limit: number, sought: Sought): string {
  return quoted(foreignText(text, limit, sought));
}
