import { type Attributes, createTraceState, type HrTime, SpanKind, type SpanStatus, SpanStatusCode } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import type { ErrorCode } from '@sallyport/sdk';
import type { Attempt, Exchange, ExchangeTrace, Wait } from '../../exchange.js';
import type { RecordedTarget } from '../request-event.js';
import { errorKind, isUpstreamError } from './error-kind.js';
import { clientAttributes, serverAttributes } from './span-attributes.js';

/** What all spans of a process have in common. */
export interface SpanOrigin {
  readonly resource: Resource;
  readonly scope: ReadableSpan['instrumentationScope'];
  /** What is told of targets; a span never tells the query. */
  readonly target: RecordedTarget;
  readonly newSpanId: () => string;
}

/** What a span is made of, beyond its trace. */
interface SpanParts {
  readonly name: string;
  readonly kind: SpanKind;
  readonly spanId: string;
  readonly parent: { readonly spanId: string; readonly remote: boolean } | null;
  readonly startTick: number;
  readonly endTick: number;
  readonly attributes: Attributes;
  readonly error: boolean;
}

const SAMPLED = 1;

/**
 * The spans of a finished exchange: one for the exchange itself (server), one for each time that it waited for a plugin or a credential (internal), and
 * one for each attempt at the upstream (client), those included that ended before anything could be sent.
 */
export function spansOf(exchange: Exchange, trace: ExchangeTrace, origin: SpanOrigin): ReadableSpan[] {
  const span = (parts: SpanParts): ReadableSpan => readable(exchange, trace, origin, parts);
  const ended = exchange.startedTick + Math.max(0, exchange.durationMs);
  return [
    span({
      name: serverName(exchange),
      kind: SpanKind.SERVER,
      spanId: trace.spanId,
      parent: trace.parent === null ? null : { spanId: trace.parent.spanId, remote: true },
      startTick: exchange.startedTick,
      endTick: ended,
      attributes: serverAttributes(exchange, trace, origin.target),
      error: exchange.outcome === 'failed' || exchange.status >= 500,
    }),
    ...trace.waits.map((wait) => span(waitParts(wait, trace, origin))),
    ...attemptsOf(exchange, trace, origin, ended).map((attempt, index) => span(attemptParts(exchange, trace, attempt, index, origin))),
  ];
}

function serverName({ door, kind, method, host }: Exchange): string {
  if (method === '') return kind === 'tunnel' ? 'CONNECT' : 'HTTP';
  return door === 'sidecar' && host !== '' ? `${known(method)} /proxy` : known(method);
}

/** Names of spans come from a bounded set: of methods, those that are registered in HTTP itself. */
function known(method: string): string {
  return /^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE)$/.test(method) ? method : 'HTTP';
}

function waitParts({ step, startTick, endTick, error }: Wait, trace: ExchangeTrace, { newSpanId }: SpanOrigin): SpanParts {
  return {
    name: step,
    kind: SpanKind.INTERNAL,
    spanId: newSpanId(),
    parent: { spanId: trace.spanId, remote: false },
    startTick,
    endTick,
    attributes: error === null ? {} : { 'error.type': error },
    error: error !== null,
  };
}

/** The last attempt ends with the exchange, and the way that ended says how. */
function attemptsOf(exchange: Exchange, { attempts }: ExchangeTrace, { newSpanId }: SpanOrigin, ended: number): readonly Attempt[] {
  const { connectMs, startedTick, upstreamStatus: status, upstreamAddress: address } = exchange;
  const error = upstreamFault(exchange);
  const last = attempts.at(-1);
  if (last !== undefined) return [...attempts.slice(0, -1), { ...last, endTick: ended, status, error }];
  if (connectMs < 0 && error === null) return [];
  const startTick = startedTick + Math.max(0, exchange.resolveMs);
  const endTick = exchange.kind === 'tunnel' && error === null ? ended : Math.max(startTick, Math.min(ended, startTick + Math.max(0, connectMs)));
  return [{ spanId: newSpanId(), startTick, sentTick: startTick, endTick, status, error, address }];
}

/** What went wrong between us and the upstream; null where nothing did. */
function upstreamFault({ error, upstreamError, outcome }: Exchange): ErrorCode | null {
  if (upstreamError !== null) return upstreamError;
  if (error === null || !(isUpstreamError(error) || error === 'total_timeout' || outcome === 'aborted')) return null;
  return error;
}

function attemptParts(exchange: Exchange, trace: ExchangeTrace, attempt: Attempt, index: number, { target }: SpanOrigin): SpanParts {
  const { status, error } = attempt;
  return {
    name: `${known(exchange.method)} ${exchange.forwardTarget ?? exchange.host}`,
    kind: SpanKind.CLIENT,
    spanId: attempt.spanId,
    parent: { spanId: trace.spanId, remote: false },
    startTick: attempt.startTick,
    endTick: attempt.endTick,
    attributes: {
      ...clientAttributes(exchange, attempt.address, target),
      ...(status > 0 ? { 'http.response.status_code': status } : {}),
      ...(index > 0 ? { 'http.request.resend_count': index } : {}),
      ...(error !== null ? { 'error.type': errorKind(error), 'sallyport.error': error } : status >= 400 ? { 'error.type': String(status) } : {}),
    },
    // What the client gave up is not the fault of the upstream.
    error: (error !== null && error !== 'client_aborted') || status >= 500,
  };
}

function readable(exchange: Exchange, trace: ExchangeTrace, { resource, scope }: SpanOrigin, parts: SpanParts): ReadableSpan {
  const { traceId } = trace;
  const state = trace.parent?.state ?? '';
  const context = { traceId, spanId: parts.spanId, traceFlags: SAMPLED, ...(state === '' ? {} : { traceState: createTraceState(state) }) };
  const { parent } = parts;
  const status: SpanStatus = { code: parts.error ? SpanStatusCode.ERROR : SpanStatusCode.UNSET };
  return {
    name: parts.name,
    kind: parts.kind,
    spanContext: () => context,
    ...(parent === null ? {} : { parentSpanContext: { traceId, spanId: parent.spanId, traceFlags: SAMPLED, isRemote: parent.remote } }),
    startTime: atTick(exchange, parts.startTick),
    endTime: atTick(exchange, parts.endTick),
    duration: hrTime(Math.max(0, parts.endTick - parts.startTick)),
    status,
    attributes: parts.attributes,
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** The wall clock at a tick, as it was when the exchange began: a clock that is set meanwhile stretches no span. */
function atTick({ startedAt, startedTick }: Exchange, tick: number): HrTime {
  return hrTime(startedAt + tick - startedTick);
}

function hrTime(milliseconds: number): HrTime {
  const seconds = Math.floor(milliseconds / 1_000);
  return [seconds, Math.round((milliseconds - seconds * 1_000) * 1_000_000)];
}
