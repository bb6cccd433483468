import { performance } from 'node:perf_hooks';
import { type ErrorCode, SallyportError } from '@sallyport/sdk';
import type { DialTarget } from '../upstream/dial.js';
import type { Opening, OriginPool } from '../upstream/origin-pool.js';
import { BodyKind } from '../wire/body-reader.js';
import { type Deadlined, deadlines } from '../wire/deadlines.js';
import { ownBytes } from '../wire/direct-reads.js';
import { Field, type FieldSet } from '../wire/field-names.js';
import type { Head } from '../wire/head.js';
import { cutByPrefix, keptLines, statusLine, trailerSection } from '../wire/head-writer.js';
import { COPY_LIMIT, ReadPasser } from '../wire/read-buffers.js';
import type { RequestSink, ServerConnection } from '../wire/server-connection.js';
import { Tunnel } from '../wire/tunnel.js';
import { type ResponseSink, UpstreamConnection } from '../wire/upstream-connection.js';
import type { Passage } from './passage.js';
import { noteTunnelEnd } from './tunnel-end.js';

/** How the pipeline takes part in a response: forward itself knows no other stage. */
export interface ForwardHooks {
  /**
   * Marks what may not reach the client in the head of the upstream (or its trailer section); answers the lines that stand in. `dropped` are the
   * fields that are not passed on in any case.
   */
  sanitize(passage: Passage, head: UpstreamConnection['head'], dropped: FieldSet): string;
  /** The upstream gave no answer that can be passed on. */
  refuse(passage: Passage, error: SallyportError): void;
  /** The exchange is over. */
  settle(passage: Passage): void;
}

const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/**
 * Carries one exchange between the client and its upstream: the request head rewritten, bodies as they come, both ways at the same time.
 * Follows no redirect. Repeats a request only when it is idempotent, has no body, and a kept connection died before it answered.
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
  /** The answer to give once the body that nobody will see has been read, and how much of that may still come. */
  #normalized: { readonly answer: string; left: number } | null = null;
  #over = false;

  constructor(passage: Passage, hooks: ForwardHooks) {
    const { exchange, runtime } = passage;
    this.#passage = passage;
    this.#hooks = hooks;
    this.#pool = runtime.pool;
    this.#target = { tls: exchange.scheme === 'https', host: exchange.host, port: exchange.port, permits: passage.permits };
    this.#identity = exchange.credential ?? `caller ${exchange.caller?.name ?? ''}`;
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
    const upstream = this.#upstream as UpstreamConnection;
    this.#passage.exchange.requestBytes += end - start;
    const part = ownBytes(bytes, start, end);
    if (this.#heldHead === null) return upstream.write(part);
    const held = this.#heldHead;
    this.#heldHead = null;
    return upstream.writeBoth(held, part);
  }

  onRequestEnd(): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    this.#flushHead();
    const { trailers } = this.#passage.client.body;
    if (trailers !== null) upstream.write(this.#requestTrailers(trailers));
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
    this.#upstream?.resume();
  }

  // The response, from the upstream.

  onInterimResponse(): void {
    const { client } = this.#passage;
    const { head } = this.#upstream as UpstreamConnection;
    // HTTP/1.0 knows no interim responses (RFC 9110 §15.2).
    if (client.head.minorVersion === 0) return;
    const { hopByHop } = this.#passage.runtime;
    const masked = this.#hooks.sanitize(this.#passage, head, hopByHop);
    client.write(`${statusLine(head)}${keptLines(head, hopByHop)}${masked}\r\n`);
  }

  onResponse(bytes: Buffer, start: number, end: number): boolean {
    const { exchange, client } = this.#passage;
    const upstream = this.#upstream as UpstreamConnection;
    const { head } = upstream;
    exchange.upstreamMs = performance.now() - this.#sentTick;
    exchange.upstreamStatus = head.statusCode;
    if (head.statusCode === 101) {
      this.#switchProtocols(upstream, bytes, start, end);
      return true;
    }
    exchange.status = head.statusCode;
    this.#responseBegun = true;
    // A response that overtakes its request: what is left of the request cannot be told from a next one.
    if (!client.body.done) client.persistent = false;
    if (head.statusCode >= 400 && this.#passage.door.normalizesErrors) {
      this.#normalized = { answer: this.#normalizedAnswer(head), left: this.#passage.runtime.limits.normalizedBody };
      return this.#skip(this.#normalized, end - start);
    }
    exchange.kind = 'request';
    const size = end - start;
    exchange.responseBytes += size;
    const text = this.#responseHead(upstream);
    if (size === 0) return client.write(text);
    if (size <= COPY_LIMIT) return client.write(text + bytes.toString('latin1', start, end));
    client.socket.cork();
    client.write(text);
    const flowing = this.#pass(upstream, client, bytes, start, end);
    client.socket.uncork();
    return flowing;
  }

  onResponseBody(bytes: Buffer, start: number, end: number): boolean {
    if (this.#normalized !== null) return this.#skip(this.#normalized, end - start);
    this.#passage.exchange.responseBytes += end - start;
    return this.#pass(this.#upstream as UpstreamConnection, this.#passage.client, bytes, start, end);
  }

  onResponseEnd(): void {
    const { client } = this.#passage;
    const upstream = this.#upstream as UpstreamConnection;
    if (this.#normalized !== null) {
      this.#answerNormalized();
      return;
    }
    const { trailers } = upstream.body;
    if (trailers !== null && !upstream.contentOnly) {
      const { hopByHop } = this.#passage.runtime;
      const masked = this.#hooks.sanitize(this.#passage, trailers, hopByHop);
      client.write(masked + trailerSection(trailers, hopByHop));
    }
    this.#upstream = null;
    this.#pool.release(upstream);
    this.#end('completed', null);
    client.finish();
  }

  onUpstreamGone(error: SallyportError): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    this.#dropUpstream();
    if (!this.#responseBegun && this.#mayRepeat(upstream, error)) {
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

  // Inside.

  /** Ends the exchange in the clearest way that is left: an answer of ours, or a response that breaks off where it is. */
  #giveUp(error: SallyportError): void {
    this.#dropUpstream();
    if (this.#normalized !== null) this.#answerNormalized();
    else if (this.#responseBegun) this.#break(error);
    else this.#refuse(error);
  }

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
    const { exchange, client } = this.#passage;
    this.#upstream = upstream;
    exchange.upstreamAddress = upstream.address;
    exchange.upstreamReused = upstream.reused;
    upstream.begin(this, exchange.method);
    upstream.contentOnly = client.head.minorVersion === 0;
    this.#sentTick = performance.now();
    this.#requestText ??= this.#requestHead();
    // What the request said is in the text now: its bytes may go.
    client.head.release();
    if (client.body.done) upstream.write(this.#requestText);
    else this.#heldHead = this.#requestText;
    client.attach(this);
    if (!client.bodyAtHand) this.#flushHead();
  }

  #flushHead(): void {
    if (this.#heldHead === null) return;
    this.#upstream?.write(this.#heldHead);
    this.#heldHead = null;
  }

  /** The request head as the upstream gets it: our start line, Host and framing; the client's fields but for those that stay here; what was injected. */
  #requestHead(): string {
    const { exchange, client, door, injectedLines, query } = this.#passage;
    const { head } = client;
    if (door.controlPrefix !== null) cutByPrefix(head, door.controlPrefix);
    const kept = keptLines(head, door.controlFields);
    const authority = authorityOf(this.#target);
    let text = `${exchange.method} ${exchange.path}${query ?? exchange.query} HTTP/1.1\r\nHost: ${authority}\r\n${kept}${door.requestLines(exchange)}${injectedLines}`;
    if (client.bodyKind === BodyKind.chunked) text += 'Transfer-Encoding: chunked\r\n';
    else if (head.contentLength >= 0) text += `Content-Length: ${head.contentLength}\r\n`;
    if (exchange.kind === 'upgrade') return `${text}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    // The one use of TE beyond this hop: the client is ready for trailers (RFC 9110 §10.1.4).
    if (head.indexOf(Field.te) >= 0 && /(?:^|,)\s*trailers\s*(?:,|$)/i.test(head.value(Field.te) ?? '')) text += 'TE: trailers\r\nConnection: TE\r\n';
    return `${text}\r\n`;
  }

  /** What holds for the fields of the head holds for those behind the body: none of ours goes out, and none stands beside what was injected. */
  #requestTrailers(trailers: Head): string {
    const { door, injectedFields } = this.#passage;
    if (door.controlPrefix !== null) cutByPrefix(trailers, door.controlPrefix);
    for (let i = 0; i < trailers.count; i++) if (injectedFields?.[trailers.id[i]] === 1) trailers.cut[i] = 1;
    return trailerSection(trailers, door.controlFields);
  }

  #responseHead(upstream: UpstreamConnection): string {
    const { exchange, client, door, runtime } = this.#passage;
    const { head } = upstream;
    const masked = this.#hooks.sanitize(this.#passage, head, runtime.hopByHop);
    let framing = '';
    switch (upstream.bodyKind) {
      case BodyKind.chunked:
        if (upstream.contentOnly) client.persistent = false;
        else framing = 'Transfer-Encoding: chunked\r\n';
        break;
      case BodyKind.untilClose:
        client.persistent = false;
        break;
      default:
        // For HEAD and 304 it says what a GET would have brought; a 204 may not have one (RFC 9110 §8.6).
        if (head.contentLength >= 0 && head.statusCode !== 204) framing = `Content-Length: ${head.contentLength}\r\n`;
    }
    return `${statusLine(head)}${keptLines(head, runtime.hopByHop)}${masked}${door.responseLines(exchange)}${framing}${this.#connectionLine()}\r\n`;
  }

  /** The whole answer to a 4xx or 5xx with the neutral body of the door: what described the old body goes with it. Made while the head is at hand. */
  #normalizedAnswer(head: Head): string {
    const { exchange, door, runtime } = this.#passage;
    const { contentType, body } = door.normalizedError(exchange, head.statusCode);
    const masked = this.#hooks.sanitize(this.#passage, head, runtime.representationFields);
    const kept = keptLines(head, runtime.representationFields);
    const shown = exchange.method === 'HEAD' ? '' : body;
    const length = Buffer.byteLength(body);
    exchange.responseBytes = shown === '' ? 0 : length;
    return `${statusLine(head)}${kept}${masked}${door.responseLines(exchange)}Content-Type: ${contentType}\r\nContent-Length: ${length}\r\n${this.#connectionLine()}\r\n${Buffer.from(shown, 'utf8').toString('latin1')}`;
  }

  #pass(upstream: UpstreamConnection, client: ServerConnection, bytes: Buffer, start: number, end: number): boolean {
    this.#passer ??= new ReadPasser();
    return this.#passer.pass(upstream, client, bytes, start, end);
  }

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
    this.#end('completed', null);
    client.finish();
  }

  #connectionLine(): string {
    const { client } = this.#passage;
    if (!client.persistent) return 'Connection: close\r\n';
    return client.head.minorVersion === 0 ? 'Connection: keep-alive\r\n' : '';
  }

  /** The upstream agreed to another protocol: from here on bytes go both ways, unseen. */
  #switchProtocols(upstream: UpstreamConnection, bytes: Buffer, start: number, end: number): void {
    const { exchange, client, runtime } = this.#passage;
    const { head } = upstream;
    if (exchange.kind !== 'upgrade' || !head.upgradeWebSocket) {
      this.#giveUp(new SallyportError('upstream_response_malformed', { detail: 'the upstream switched to a protocol that it was not asked for' }));
      return;
    }
    exchange.status = 101;
    this.#responseBegun = true;
    const masked = this.#hooks.sanitize(this.#passage, head, runtime.hopByHop);
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

  #mayRepeat(upstream: UpstreamConnection, error: SallyportError): boolean {
    const { client, exchange } = this.#passage;
    const dead = error.code === 'upstream_reset' && upstream.reused;
    return dead && !this.#repeated && client.bodyKind === BodyKind.none && idempotent.has(exchange.method) && exchange.kind === 'request';
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
    if (this.#passage.runtime.timeouts.total > 0) deadlines.forget(this);
  }

  #dropUpstream(): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    this.#heldHead = null;
    if (upstream !== null) this.#pool.drop(upstream);
  }
}

function authorityOf({ tls, host, port }: DialTarget): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === (tls ? 443 : 80) ? name : `${name}:${port}`;
}
