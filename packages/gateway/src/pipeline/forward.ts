import { performance } from 'node:perf_hooks';
import { type ErrorCode, SallyportError } from '@sallyport/sdk';
import type { DialTarget } from '../upstream/dial.js';
import type { Opening, OriginPool } from '../upstream/origin-pool.js';
import { BodyKind } from '../wire/body-reader.js';
import { type Deadlined, deadlines } from '../wire/deadlines.js';
import { ownBytes } from '../wire/direct-reads.js';
import type { FieldSet } from '../wire/field-names.js';
import type { Head } from '../wire/head.js';
import { keptLines, statusLine, trailerSection } from '../wire/head-writer.js';
import { COPY_LIMIT, ReadPasser } from '../wire/read-buffers.js';
import type { RequestSink } from '../wire/request-sink.js';
import type { ResponseSink } from '../wire/response-sink.js';
import type { ServerConnection } from '../wire/server-connection.js';
import { Tunnel } from '../wire/tunnel.js';
import { UpstreamConnection } from '../wire/upstream-connection.js';
import { HeldResponse, type Review, type Verdict } from './forward/held-response.js';
import { requestHead, requestTrailers } from './forward/request-head.js';
import { normalizedAnswer, type ResponseShape, responseHead, wholeResponseHead } from './forward/response-head.js';
import type { Passage } from './passage.js';
import { noteTunnelEnd } from './tunnel-end.js';

/** How the pipeline takes part in a response: forward itself knows no other stage. */
export interface ForwardHooks {
  /**
   * Marks what may not reach the client in the head of the upstream (or its trailer section); answers the lines that stand in. `dropped` are the
   * fields that are not passed on in any case.
   */
  sanitize(passage: Passage, head: Head, dropped: FieldSet): string;
  /** Who wants to look at the final response before any of it is passed on; null for nobody. */
  review(passage: Passage, status: number): Review | null;
  /** The upstream gave no answer that can be passed on. */
  refuse(passage: Passage, error: SallyportError): void;
  /** The exchange is over. */
  settle(passage: Passage): void;
}

/** Methods that do the same when they are done twice (RFC 9110 §9.2.2). */
export const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/**
 * Carries one exchange between the client and its upstream: the request head rewritten, bodies as they come, both ways at the same time.
 * Follows no redirect. Repeats a request only when it is idempotent, has no body, and a kept connection died before it answered; or when a review of
 * its answer says so.
 */
export class Forward implements RequestSink, ResponseSink, Deadlined {
  deadline: number;
  readonly #passage: Passage;
  readonly #hooks: ForwardHooks;
  readonly #pool: OriginPool;
  readonly #target: DialTarget;
  readonly #identity: string;
  /** Made for the first body bytes that are passed on without a copy: most exchanges have none. */
  #passer: ReadPasser | null = null;
  #upstream: UpstreamConnection | null = null;
  #cancelDial: (() => void) | null = null;
  /** The request head as it goes out; kept because it may have to go out a second time. */
  #requestText: string | null = null;
  /** The request head while it waits for the first bytes of the body that came with it, to leave in one write. */
  #heldHead: string | null = null;
  #sentTick = 0;
  #responseBegun = false;
  #repeated = false;
  /** The response while somebody looks at it, and how to say that nobody waits for what they say. */
  #held: HeldResponse | null = null;
  #reviewing: AbortController | null = null;
  /** The answer to give once the body that nobody will see has been read, and how much of that may still come. */
  #normalized: { readonly answer: string; left: number } | null = null;
  #over = false;

  constructor(passage: Passage, hooks: ForwardHooks) {
    const { exchange, runtime, destination, binding } = passage;
    this.#passage = passage;
    this.#hooks = hooks;
    this.#pool = destination?.pool ?? runtime.pool;
    this.#target = destination?.target ?? { tls: exchange.scheme === 'https', host: exchange.host, port: exchange.port, permits: passage.permits };
    // A credential of the configuration is one for all who may use it; what a plugin gives is for its caller, as is a request that carries nothing.
    const one = binding !== null || destination !== null ? exchange.credential : null;
    this.#identity = one ?? `caller ${exchange.caller?.name ?? ''}`;
    const { total } = runtime.timeouts;
    this.deadline = total === 0 ? Number.POSITIVE_INFINITY : exchange.startedTick + total;
    if (total > 0) deadlines.watch(this);
  }

  /** Sends the request on its way. */
  start(): void {
    const taken = this.#pool.take(this.#target, this.#identity);
    if (taken instanceof UpstreamConnection) this.#send(taken);
    else this.#open(taken);
  }

  // The request, from the client.

  onRequestBody(bytes: Buffer, start: number, end: number): boolean {
    // Another body went out instead.
    if (this.#passage.wholeBody !== null) return true;
    this.#passage.exchange.requestBytes += end - start;
    const upstream = this.#upstream;
    // Somebody looks at an answer that did not wait for the rest: nobody else will.
    if (upstream === null) return true;
    const part = ownBytes(bytes, start, end);
    if (this.#heldHead === null) return upstream.write(part);
    const held = this.#heldHead;
    this.#heldHead = null;
    return upstream.writeBoth(held, part);
  }

  onRequestEnd(): void {
    const upstream = this.#upstream;
    const { wholeBody, client } = this.#passage;
    // A whole body has gone out with its head.
    if (upstream === null || wholeBody !== null) return;
    this.#flushHead();
    if (client.body.trailers !== null) upstream.write(requestTrailers(this.#passage, client.body.trailers));
    upstream.requestSent();
  }

  onRequestFault(error: SallyportError): void {
    this.#giveUp(error);
  }

  onClientGone(code: ErrorCode): void {
    if (this.#over) return;
    this.#dropUpstream();
    this.#end('aborted', new SallyportError(code));
  }

  onClientDrain(): void {
    this.#passer?.settle(this.#passage.client);
    if (this.#held === null) this.#upstream?.resume();
  }

  // The response, from the upstream.

  onInterimResponse(): void {
    const { client } = this.#passage;
    const { head } = this.#upstream as UpstreamConnection;
    // HTTP/1.0 knows no interim responses (RFC 9110 §15.2).
    if (client.head.minorVersion === 0) return;
    const { hopByHop } = this.#passage.runtime;
    const masked = this.#sanitize(head, hopByHop);
    client.write(`${statusLine(head)}${keptLines(head, hopByHop)}${masked}\r\n`);
  }

  onResponse(bytes: Buffer, start: number, end: number): boolean {
    const { exchange } = this.#passage;
    const upstream = this.#upstream as UpstreamConnection;
    const { head } = upstream;
    exchange.upstreamMs = performance.now() - this.#sentTick;
    exchange.upstreamStatus = head.statusCode;
    if (head.statusCode === 101) {
      this.#switchProtocols(upstream, bytes, start, end);
      return true;
    }
    const review = this.#hooks.review(this.#passage, head.statusCode);
    if (review === null) return this.#respond(upstream, bytes, start, end);
    this.#hold(review, upstream, bytes, start, end);
    return false;
  }

  onResponseBody(bytes: Buffer, start: number, end: number): boolean {
    if (this.#held !== null) return this.#held.take(bytes, start, end);
    if (this.#normalized !== null) return this.#skip(this.#normalized, end - start);
    return this.#respondBody(bytes, start, end);
  }

  onResponseEnd(): void {
    const upstream = this.#upstream as UpstreamConnection;
    if (this.#held !== null) {
      this.#upstream = null;
      this.#held.finish(upstream.body.trailers);
      this.#pool.release(upstream);
      return;
    }
    if (this.#normalized !== null) {
      this.#answerNormalized();
      return;
    }
    const { trailers } = upstream.body;
    if (!upstream.contentOnly) this.#respondTrailers(trailers);
    this.#upstream = null;
    this.#pool.release(upstream);
    this.#complete();
  }

  onUpstreamGone(error: SallyportError): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    this.#dropUpstream();
    if (this.#held !== null) this.#held.break(error);
    else if (!this.#responseBegun && this.#mayRepeat(upstream, error)) {
      this.#repeated = true;
      this.#open(this.#pool.fresh(this.#target, this.#identity));
    } else this.#giveUp(error);
  }

  onUpstreamDrain(): void {
    this.#passage.client.resumeBody();
  }

  onDeadline(): void {
    this.#giveUp(new SallyportError('total_timeout', { detail: `the exchange took longer than ${this.#passage.runtime.timeouts.total} ms` }));
  }

  // Inside: the request.

  #open(opening: Opening): void {
    const began = performance.now();
    let settled = false;
    const cancel = opening.open((error, connection) => {
      settled = true;
      this.#cancelDial = null;
      this.#passage.exchange.connectMs = performance.now() - began;
      if (connection === null) this.#refuse(error as SallyportError);
      else this.#send(connection);
    });
    if (settled) return;
    this.#cancelDial = cancel;
    // Whether the client is still there shows only on a connection that is being read.
    if (this.#passage.client.body.done) this.#passage.client.attach(this);
  }

  #send(upstream: UpstreamConnection): void {
    const { exchange, client, renewable, wholeBody } = this.#passage;
    this.#upstream = upstream;
    exchange.upstreamAddress = upstream.address;
    exchange.upstreamReused = upstream.reused;
    upstream.begin(this, exchange.method);
    upstream.contentOnly = client.head.minorVersion === 0;
    this.#sentTick = performance.now();
    const sent = this.#requestText;
    const text = sent === null ? requestHead(this.#passage, this.#target) : (exchange.trace?.attemptAgain(sent, exchange) ?? sent);
    this.#requestText = text;
    // What the request said is in the text now: its bytes may go, unless it may have to be said with another credential.
    if (!renewable) client.head.release();
    if (wholeBody !== null) {
      exchange.requestBytes = wholeBody.length;
      upstream.writeBoth(text, wholeBody);
      upstream.requestSent();
    } else if (client.body.done) upstream.write(text);
    else this.#heldHead = text;
    client.attach(this);
    if (!client.bodyAtHand) this.#flushHead();
  }

  #flushHead(): void {
    if (this.#heldHead === null) return;
    this.#upstream?.write(this.#heldHead);
    this.#heldHead = null;
  }

  #mayRepeat(upstream: UpstreamConnection, error: SallyportError): boolean {
    const { client, exchange } = this.#passage;
    const dead = error.code === 'upstream_reset' && upstream.reused;
    return dead && !this.#repeated && client.bodyKind === BodyKind.none && idempotent.has(exchange.method) && exchange.kind === 'request';
  }

  // Inside: the response.

  /** Marks what may not reach the client; answers the lines that stand in. */
  #sanitize(head: Head, dropped: FieldSet): string {
    return this.#hooks.sanitize(this.#passage, head, dropped);
  }

  /** From here on the client has part of an answer. True when of this one only the status goes on. */
  #begin(statusCode: number, showsErrors: boolean): boolean {
    const { exchange, client, door } = this.#passage;
    exchange.status = statusCode;
    this.#responseBegun = true;
    // A response that overtakes its request: what is left of the request cannot be told from a next one.
    if (!client.body.done) client.persistent = false;
    return statusCode >= 400 && door.normalizesErrors && !showsErrors;
  }

  #normalizedAnswer(head: Head): string {
    return normalizedAnswer(this.#passage, head, this.#sanitize(head, this.#passage.runtime.representationFields));
  }

  /** Begins to answer the client with this response; `bytes[start, end)` is what has come of its body. */
  #respond(shape: ResponseShape, bytes: Buffer, start: number, end: number, showsErrors = false): boolean {
    const { exchange, client, runtime } = this.#passage;
    const size = end - start;
    if (this.#begin(shape.head.statusCode, showsErrors)) {
      this.#normalized = { answer: this.#normalizedAnswer(shape.head), left: runtime.limits.normalizedBody };
      return this.#skip(this.#normalized, size);
    }
    exchange.kind = 'request';
    exchange.responseBytes += size;
    const text = responseHead(this.#passage, shape, this.#sanitize(shape.head, runtime.hopByHop));
    if (size === 0) return client.write(text);
    if (size <= COPY_LIMIT) return client.write(text + bytes.toString('latin1', start, end));
    client.socket.cork();
    client.write(text);
    const flowing = this.#pass(client, bytes, start, end);
    client.socket.uncork();
    return flowing;
  }

  #respondBody(bytes: Buffer, start: number, end: number): boolean {
    this.#passage.exchange.responseBytes += end - start;
    return this.#pass(this.#passage.client, bytes, start, end);
  }

  #respondTrailers(trailers: Head | null): void {
    if (trailers === null) return;
    const { client, runtime } = this.#passage;
    const masked = this.#sanitize(trailers, runtime.hopByHop);
    client.write(masked + trailerSection(trailers, runtime.hopByHop));
  }

  #complete(): void {
    this.#end('completed', null);
    this.#passage.client.finish();
  }

  #pass(client: ServerConnection, bytes: Buffer, start: number, end: number): boolean {
    // Without an upstream the bytes are ours: they were held back.
    if (this.#upstream === null) return client.write(bytes.subarray(start, end));
    this.#passer ??= new ReadPasser();
    return this.#passer.pass(this.#upstream, client, bytes, start, end);
  }

  // Inside: a response that is looked at before it goes on.

  #hold(review: Review, upstream: UpstreamConnection, bytes: Buffer, start: number, end: number): void {
    const held = new HeldResponse(upstream, this.#passage.runtime.limits.head, () => this.#upstream?.resume());
    this.#held = held;
    this.#reviewing = new AbortController();
    held.take(bytes, start, end);
    review(held, this.#reviewing.signal).then(
      (verdict) => this.#decided(held, verdict),
      (error: unknown) => this.#giveUp(new SallyportError('internal_error', { cause: error })),
    );
  }

  #decided(held: HeldResponse, verdict: Verdict): void {
    if (this.#over) return;
    this.#held = null;
    this.#reviewing = null;
    if (verdict.again) {
      this.#dropUpstream();
      this.#requestText = null;
      this.start();
      return;
    }
    const { statusCode } = verdict.head;
    // Between a status that has a body and one that has none, the framing of the upstream does not carry over.
    const reframed = isBodyless(statusCode) !== isBodyless(held.head.statusCode) ? NOTHING : null;
    const whole = verdict.replacement ?? (held.bodyKind === BodyKind.none ? null : held.content) ?? reframed;
    if (whole !== null) {
      this.#dropUpstream();
      this.#respondWhole(verdict, whole);
      return;
    }
    const raw = held.raw;
    const { bodyKind, contentOnly } = held;
    const flowing = this.#respond({ head: verdict.head, bodyKind, contentOnly }, raw, 0, raw.length, verdict.showsErrors);
    // A neutral answer may have been all that there was to say.
    if (this.#over) return;
    if (held.fault !== null) this.#giveUp(held.fault);
    else if (!held.ended) {
      if (flowing) this.#upstream?.resume();
    } else if (this.#normalized !== null) this.#answerNormalized();
    else {
      if (!held.contentOnly) this.#respondTrailers(held.trailers);
      this.#complete();
    }
  }

  /** Answers with a body that is at hand as a whole: another one, or the one that somebody read. */
  #respondWhole({ head, showsErrors }: Extract<Verdict, { again: false }>, whole: Uint8Array): void {
    const { exchange, client, runtime } = this.#passage;
    if (this.#begin(head.statusCode, showsErrors)) {
      client.write(this.#normalizedAnswer(head));
      this.#complete();
      return;
    }
    // What may not have a body has none, whatever stands in (RFC 9110 §6.4.1).
    const bodyless = exchange.method === 'HEAD' || isBodyless(head.statusCode);
    const length = bodyless ? '' : `Content-Length: ${whole.length}\r\n`;
    client.write(wholeResponseHead(this.#passage, head, runtime.hopByHop, length, this.#sanitize(head, runtime.hopByHop)));
    if (!bodyless) {
      exchange.responseBytes = whole.length;
      client.write(whole);
    }
    this.#complete();
  }

  // Inside: a response of which only the status goes on.

  /** Lets go of the body of an error. Longer than anyone reads of an error page: the answer is known, the rest is not waited for. */
  #skip(normalized: { left: number }, size: number): boolean {
    normalized.left -= size;
    if (normalized.left >= 0) return true;
    this.#answerNormalized();
    return false;
  }

  #answerNormalized(): void {
    const { client } = this.#passage;
    const upstream = this.#upstream;
    this.#upstream = null;
    if (upstream !== null) {
      if (upstream.body.done) this.#pool.release(upstream);
      else this.#pool.drop(upstream);
    }
    client.write(this.#normalized?.answer ?? '');
    this.#normalized = null;
    this.#complete();
  }

  /** The upstream agreed to another protocol: from here on bytes go both ways, unseen. */
  #switchProtocols(upstream: UpstreamConnection, bytes: Buffer, start: number, end: number): void {
    const { exchange, client, runtime } = this.#passage;
    const { head } = upstream;
    if (exchange.kind !== 'upgrade' || !head.upgradeWebSocket) {
      this.#giveUp(new SallyportError('upstream_response_malformed', { detail: 'the upstream switched to a protocol that it was not asked for' }));
      return;
    }
    // There was room when the request came; others may have been faster.
    const full = runtime.noRoomForTunnel();
    if (full !== null) {
      this.#giveUp(full);
      return;
    }
    exchange.status = 101;
    this.#responseBegun = true;
    const masked = this.#sanitize(head, runtime.hopByHop);
    const kept = keptLines(head, runtime.hopByHop);
    client.write(`${statusLine(head)}Connection: Upgrade\r\nUpgrade: websocket\r\n${kept}${masked}${this.#passage.door.responseLines(exchange)}\r\n`);
    const early = Buffer.from(bytes.subarray(start, end));
    const fromClient = client.detach();
    this.#upstream = null;
    this.#pool.forget(upstream);
    const tunnel = new Tunnel(client.socket, upstream, runtime.timeouts.idle, (end) => {
      runtime.tunnels.delete(tunnel);
      if (this.#over) return;
      this.#over = true;
      this.#leave();
      noteTunnelEnd(exchange, end);
      this.#hooks.settle(this.#passage);
    });
    runtime.tunnels.add(tunnel);
    tunnel.start(fromClient, early);
  }

  // Inside: the end.

  /** Ends the exchange in the clearest way that is left: an answer of ours, or a response that breaks off where it is. */
  #giveUp(error: SallyportError): void {
    this.#dropUpstream();
    if (this.#normalized !== null) this.#answerNormalized();
    else if (this.#responseBegun) this.#break(error);
    else this.#refuse(error);
  }

  /** The client has part of a response that will not be completed: it has to see that. */
  #break(error: SallyportError): void {
    if (this.#over) return;
    this.#end('failed', error);
    this.#passage.client.destroy(true);
  }

  #refuse(error: SallyportError): void {
    if (this.#over) return;
    this.#over = true;
    this.#leave();
    this.#hooks.refuse(this.#passage, error);
  }

  #end(outcome: 'completed' | 'failed' | 'aborted', error: SallyportError | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#leave();
    const { exchange } = this.#passage;
    exchange.outcome = outcome;
    if (error !== null) {
      exchange.error = error.code;
      exchange.errorDetail = error.message;
    }
    this.#hooks.settle(this.#passage);
  }

  #leave(): void {
    this.#cancelDial?.();
    this.#cancelDial = null;
    this.#reviewing?.abort(new SallyportError('client_aborted'));
    this.#reviewing = null;
    this.#held = null;
    if (this.#passage.runtime.timeouts.total > 0) deadlines.forget(this);
  }

  #dropUpstream(): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    this.#heldHead = null;
    if (upstream !== null) this.#pool.drop(upstream);
  }
}

function isBodyless(status: number): boolean {
  return status === 204 || status === 304;
}

const NOTHING = new Uint8Array(0);
