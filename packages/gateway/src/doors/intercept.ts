import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import { Exchange } from '../exchange.js';
import { type Identity, stillHolds } from '../pipeline/identify.js';
import { Passage } from '../pipeline/passage.js';
import { refuse, run } from '../pipeline/pipeline.js';
import { canonicalHost, parseAuthority } from '../policy/canonical-host.js';
import { Field } from '../wire/field-names.js';
import { type RequestHandler, ServerConnection } from '../wire/server-connection.js';
import { CONNECTED } from './connect-tunnel.js';
import { chosenCredential, noteUpgrade, setTarget } from './entering.js';
import type { ForwardDoor } from './forward-door.js';
import { type Served, SPOKEN } from './listener.js';
import { requestIdFrom } from './request-id.js';
import { defaultPorts, parseTargetUrl } from './target-url.js';

/** The first byte of a TLS record that holds a handshake message (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16;

/** Whoever leaves sooner than this after a handshake, and without a request, left because of the handshake. Milliseconds. */
const HASTY = 1_000;

/** What a CONNECT named: every request inside has to be for it. */
interface Tunneled {
  readonly host: string;
  readonly port: number;
  readonly identity: Identity;
}

/**
 * Answers a CONNECT and looks at what comes: TLS, which is ended here with a certificate for the host that CONNECT named, or plain HTTP, which some
 * clients tunnel too. The CONNECT itself makes no record; each request inside makes one, and so does a handshake that fails.
 */
export function intercept({ exchange, client, runtime }: Passage, served: Served<ForwardDoor>, identity: Identity): void {
  const inside: Tunneled = { host: exchange.host, port: exchange.port, identity };
  // Before the answer: a host no certificate can be made for is refused in clear words instead of by a broken handshake.
  const secureContext = runtime.leaves.for(inside.host);
  client.write(CONNECTED);
  const { socket } = client;
  const rest = client.detach();
  runtime.leave();
  const first = (bytes: Buffer): void => {
    stop();
    if (bytes[0] === TLS_HANDSHAKE) handshake(bytes);
    else serve(socket, 'http', bytes);
  };
  const stop = (): void => {
    clearTimeout(timer);
    socket.off('data', first);
    socket.off('close', stop);
    socket.off('end', gone);
    socket.off('error', gone);
  };
  const gone = (): void => {
    stop();
    socket.on('error', ignore);
    socket.destroy();
  };
  // A client that opens a tunnel and says nothing is no exchange, and keeps nothing for longer than a head may take.
  const timer = setTimeout(gone, runtime.timeouts.tlsHandshake);
  socket.on('error', gone);
  socket.on('end', gone);
  socket.on('close', stop);
  if (rest !== null && rest.length > 0) first(rest);
  else {
    socket.on('data', first);
    socket.resume();
  }

  function serve(stream: Socket, scheme: 'http' | 'https', bytes: Buffer | null): void {
    const handler = new InterceptedConnection(served, inside, scheme, stream, exchange);
    const { runtime: current } = served.current;
    const connection = new ServerConnection(stream, handler, current.limits.head, current.timeouts, socket);
    served.opened(connection);
    // Not when the listener is closing and has just closed this one.
    if (stream.writable) connection.start(bytes);
  }

  function handshake(bytes: Buffer): void {
    socket.pause();
    // On the accepted socket's own handle: what was read already goes in front.
    socket.unshift(bytes);
    const secure = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: SPOKEN });
    let reported = false;
    const failed = (error?: NodeJS.ErrnoException): void => {
      clearTimeout(late);
      secure.off('secure', established);
      secure.on('error', ignore);
      secure.destroy();
      socket.destroy();
      if (reported) return;
      reported = true;
      recordFailedHandshake(served, exchange, error?.code ?? error?.message ?? 'the client closed the connection');
    };
    const established = (): void => {
      clearTimeout(late);
      secure.off('error', failed);
      secure.off('end', failed);
      secure.off('close', failed);
      serve(secure, 'https', null);
    };
    const late = setTimeout(() => failed(new Error(`not finished within ${runtime.timeouts.tlsHandshake} ms`)), runtime.timeouts.tlsHandshake);
    socket.on('error', ignore);
    secure.once('error', failed);
    // Half-open sockets do not close by themselves when the peer ends in the middle of the handshake.
    secure.once('end', failed);
    secure.once('close', failed);
    secure.once('secure', established);
  }
}

/** A handshake that fails is nearly always a client that does not trust the authority: somebody will look for it in the log. */
function recordFailedHandshake(served: Served<ForwardDoor>, connect: Exchange, reason: string): void {
  connect.outcome = 'failed';
  connect.error = 'client_tls_failed';
  connect.errorDetail = `the TLS handshake with the client failed (${reason})`;
  served.current.runtime.recorder.record(connect);
}

/** The requests inside one intercepted connection. */
class InterceptedConnection implements RequestHandler {
  readonly #served: Served<ForwardDoor>;
  readonly #inside: Tunneled;
  readonly #scheme: 'http' | 'https';
  readonly #stream: Socket;
  /** The CONNECT that opened the connection. */
  readonly #connect: Exchange;
  readonly #opened = performance.now();
  #spoken = false;
  /** The last Host value that was found to name the tunneled host. */
  #host = '';

  constructor(served: Served<ForwardDoor>, inside: Tunneled, scheme: 'http' | 'https', stream: Socket, connect: Exchange) {
    this.#served = served;
    this.#inside = inside;
    this.#scheme = scheme;
    this.#stream = stream;
    this.#connect = connect;
  }

  onRequest(connection: ServerConnection): void {
    const passage = this.#passage(connection);
    const { exchange } = passage;
    exchange.method = connection.head.method;
    exchange.scheme = this.#scheme;
    exchange.host = this.#inside.host;
    exchange.port = this.#inside.port;
    try {
      this.#request(passage);
    } catch (error) {
      refuse(passage, asSallyportError(error));
    }
  }

  onRefusedHead(connection: ServerConnection, error: SallyportError): void {
    const passage = this.#passage(connection);
    passage.exchange.scheme = this.#scheme;
    passage.exchange.host = this.#inside.host;
    passage.exchange.port = this.#inside.port;
    passage.exchange.caller = this.#inside.identity.caller;
    refuse(passage, error);
  }

  onClosed(connection: ServerConnection): void {
    this.#served.closed(connection);
    const { socket } = connection;
    const leftByClient = socket.readableEnded || socket.errored !== null;
    if (this.#spoken || !leftByClient || this.#scheme === 'http' || performance.now() - this.#opened > HASTY) return;
    // Node's own TLS looks at the certificate only after the handshake: a client that does not trust it leaves without a word.
    recordFailedHandshake(this.#served, this.#connect, 'the client left right after it saw the certificate');
  }

  #passage(connection: ServerConnection): Passage {
    const { runtime, door } = this.#served.current;
    runtime.enter();
    this.#spoken = true;
    const exchange = new Exchange('forward', this.#connect.clientAddress);
    exchange.requestId = requestIdFrom(connection.head.value(Field.xRequestId));
    const { tracing } = runtime.recorder;
    if (tracing !== null) exchange.trace = tracing.begin(exchange, { connection, correlationField: Field.xRequestId, platform: null });
    return new Passage(exchange, connection, door, runtime);
  }

  #request(passage: Passage): void {
    const { exchange, client, runtime } = passage;
    const { head } = client;
    this.#requireTunneledHost(client);
    const text = head.target;
    if (text.startsWith('/')) {
      if (text.includes('#')) throw new SallyportError('target_invalid', { detail: 'the path holds a fragment (#…), which is never sent' });
      const question = text.indexOf('?');
      exchange.path = question < 0 ? text : text.slice(0, question);
      exchange.query = question < 0 ? '' : text.slice(question);
    } else this.#absolute(exchange, text);
    // What opened the tunnel may have been withdrawn since.
    const refusal = this.#inside.identity.certificate?.refusal() ?? null;
    if (refusal !== null) {
      client.persistent = false;
      throw refusal;
    }
    const caller = stillHolds(this.#inside.identity, runtime.callers);
    if (caller === null) throw new SallyportError('caller_unknown', { detail: 'what this connection was opened with is no longer valid' });
    exchange.caller = caller;
    const { door } = this.#served.current;
    if (this.#scheme === 'http' && !door.insecureTargets) throw new SallyportError('insecure_target');
    noteUpgrade(exchange, client);
    run(passage, chosenCredential(client));
  }

  #absolute(exchange: Exchange, text: string): void {
    if (text === '*' || exchange.method === 'CONNECT') {
      throw new SallyportError('request_target_unsupported', { detail: 'inside a CONNECT tunnel a request names a path' });
    }
    const target = parseTargetUrl(text);
    if (target.host.text !== this.#inside.host || target.port !== this.#inside.port || target.scheme !== this.#scheme)
      throw this.#misdirected('the request line');
    setTarget(exchange, target);
  }

  /** Host, SNI and CONNECT have to name the same host: a decision taken for one of them must hold for all (RFC 9110 §7.4). */
  #requireTunneledHost({ head }: ServerConnection): void {
    const host = head.value(Field.host) ?? '';
    if (host === this.#host && host !== '') return;
    if (host !== '') {
      const named = parseAuthority(host);
      if (named.host.text !== this.#inside.host || (named.port ?? defaultPorts[this.#scheme]) !== this.#inside.port)
        throw this.#misdirected('the Host field');
    }
    const { servername } = this.#stream as Partial<TLSSocket> & { servername?: string | false };
    // Without TLS inside, the stream is that of the listener, and its name is that of the gateway.
    if (this.#scheme === 'https' && typeof servername === 'string' && servername !== '' && canonicalHost(servername).text !== this.#inside.host)
      throw this.#misdirected('the server name of the TLS handshake');
    this.#host = host;
  }

  #misdirected(where: string): SallyportError {
    return new SallyportError('misdirected_request', {
      detail: `the connection was opened to ${this.#inside.host}:${this.#inside.port}, but ${where} names another host`,
    });
  }
}

function ignore(): void {}
