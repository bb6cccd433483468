import { performance } from 'node:perf_hooks';
import type { ErrorCode } from '@sallyport/sdk';
import type { Attempt, Exchange, ExchangeTrace, Wait } from '../../exchange.js';
import { Field, fieldId } from '../../wire/field-names.js';
import type { Head } from '../../wire/head.js';
import type { ServerConnection } from '../../wire/server-connection.js';
import { spanIdOf, traceIdOf } from './correlation-id.js';
import { spanIds } from './random-ids.js';
import type { Sampler } from './sampler.js';
import { isBaggage, isTraceState } from './trace-lists.js';
import { formatTraceparent, parseTraceparent, type TraceParent } from './trace-parent.js';

/** What a door knows of a request that is not in its exchange. */
interface TracedRequest {
  readonly connection: ServerConnection;
  /** Field that carries the correlation id. */
  readonly correlationField: number;
  /** Fields of the platform; null at a door without one. */
  readonly platform: { readonly serviceField: number; readonly tls: boolean } | null;
}

/** Puts exchanges into traces while they are under way. There is none when tracing is off, and then nothing of this costs anything. */
export interface Tracing {
  /**
   * Begins the part of an exchange in the trace that its caller names, or else in the one that belongs to its request id. Takes the fields out of the
   * head that ours replace, and those that are malformed.
   */
  begin(exchange: Exchange, request: TracedRequest): ExchangeTrace;
}

const traceparent = fieldId('traceparent');
const tracestate = fieldId('tracestate');
const baggage = fieldId('baggage');

/** Far more attempts or waits than one exchange has. */
const MOST_STEPS = 32;

export function createTracing(sampler: Sampler): Tracing {
  const newSpanId = spanIds();
  return {
    begin(exchange, { connection, correlationField, platform }) {
      const { head } = connection;
      const caller = callerOf(head);
      const { requestId } = exchange;
      const traceId = caller === null ? traceIdOf(requestId) : caller.traceId;
      const sampled = sampler(traceId, caller === null ? null : caller.sampled);
      const correlated = caller === null && head.valueIs(correlationField, requestId);
      return new Trace(newSpanId, {
        traceId,
        sampled,
        random: caller?.random ?? false,
        parent: caller === null ? (correlated ? { spanId: spanIdOf(requestId), state: '' } : null) : { spanId: caller.spanId, state: caller.state },
        called: platform === null ? null : { authority: head.value(Field.host) ?? '', tls: platform.tls },
        serviceId: platform === null ? '' : (head.value(platform.serviceField) ?? ''),
      });
    },
  };
}

/** What the caller says of itself. The fields that it says it with are cut from the head as far as they do not go on. */
function callerOf(head: Head): (TraceParent & { readonly state: string }) | null {
  const text = joined(head, traceparent);
  const state = joined(head, tracestate);
  const parent = text === null ? null : parseTraceparent(text);
  const known = parent !== null && state !== null && isTraceState(state);
  head.cutField(traceparent);
  // A list that belongs to no parent, or cannot be read, does not go on (§3.3).
  if (state !== null && !known) head.cutField(tracestate);
  const carried = joined(head, baggage);
  if (carried !== null && !isBaggage(carried)) head.cutField(baggage);
  return parent === null ? null : { ...parent, state: known ? state : '' };
}

/** All fields of a name as one, which is what they mean (RFC 9110 §5.3): two of `traceparent` are malformed then, as they have to be. */
function joined(head: Head, field: number): string | null {
  let text: string | null = null;
  for (let i = 0; i < head.count; i++) {
    if (head.id[i] === field) text = text === null ? head.valueAt(i) : `${text},${head.valueAt(i)}`;
  }
  return text;
}

type Begun = Pick<ExchangeTrace, 'traceId' | 'sampled' | 'parent' | 'called' | 'serviceId'> & { readonly random: boolean };

class Trace implements ExchangeTrace {
  readonly traceId: string;
  readonly spanId: string;
  readonly parent: ExchangeTrace['parent'];
  readonly sampled: boolean;
  readonly attempts: Attempt[] = [];
  readonly waits: Wait[] = [];
  readonly called: ExchangeTrace['called'];
  readonly serviceId: string;
  readonly #random: boolean;
  readonly #newSpanId: () => string;

  constructor(newSpanId: () => string, { traceId, sampled, parent, called, serviceId, random }: Begun) {
    this.traceId = traceId;
    this.spanId = newSpanId();
    this.parent = parent;
    this.sampled = sampled;
    this.called = called;
    this.serviceId = serviceId;
    this.#random = random;
    this.#newSpanId = newSpanId;
  }

  attempt(exchange: Exchange): string {
    const last = this.attempts.at(-1);
    // Its answer was refused here, and another credential is tried.
    if (last !== undefined) end(last, last.sentTick + Math.max(0, exchange.upstreamMs), exchange.upstreamStatus, null);
    return `traceparent: ${this.#parentText(this.#add(exchange))}\r\n`;
  }

  attemptAgain(head: string, exchange: Exchange): string {
    const last = this.attempts.at(-1);
    if (last === undefined) return head;
    const before = this.#parentText(last.spanId);
    end(last, performance.now(), 0, 'upstream_reset');
    return head.replace(before, this.#parentText(this.#add(exchange)));
  }

  waited(wait: Wait): void {
    if (this.waits.length < MOST_STEPS) this.waits.push(wait);
  }

  #add({ upstreamReused, connectMs, upstreamAddress: address }: Exchange): string {
    const spanId = this.#newSpanId();
    const now = performance.now();
    const startTick = upstreamReused ? now : now - Math.max(0, connectMs);
    if (this.attempts.length < MOST_STEPS) this.attempts.push({ spanId, startTick, sentTick: now, endTick: -1, status: 0, error: null, address });
    return spanId;
  }

  #parentText(spanId: string): string {
    return formatTraceparent({ traceId: this.traceId, spanId, sampled: this.sampled, random: this.#random });
  }
}

function end(attempt: Attempt, tick: number, status: number, error: ErrorCode | null): void {
  attempt.endTick = tick;
  attempt.status = status;
  attempt.error = error;
}
