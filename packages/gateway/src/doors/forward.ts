import type { Socket } from 'node:net';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import { Exchange } from '../exchange.js';
import { admitConnect } from '../pipeline/admit.js';
import { type Identity, identify, presentedToken, stillHolds } from '../pipeline/identify.js';
import { Passage } from '../pipeline/passage.js';
import { refuse, run } from '../pipeline/pipeline.js';
import { parseAuthority } from '../policy/canonical-host.js';
import type { CertificateReader } from '../tls/mutual/certificate-reader.js';
import { BodyKind } from '../wire/body-reader.js';
import { Field } from '../wire/field-names.js';
import type { Head } from '../wire/head.js';
import type { RequestHandler, ServerConnection } from '../wire/server-connection.js';
import { openTunnel } from './connect-tunnel.js';
import { chosenCredential, noteUpgrade, setTarget } from './entering.js';
import type { ForwardDoor } from './forward-door.js';
import { intercept } from './intercept.js';
import type { Served } from './listener.js';
import { requestIdFrom } from './request-id.js';
import { parseTargetUrl, type TargetUrl } from './target-url.js';

/**
 * The forward proxy on one client connection: absolute-form requests (`http://` and `https://`), and CONNECT, which is looked into, passed unseen
 * or refused as policy says. Every request on the connection is identified, decided and given credentials on its own.
 */
export class ForwardConnection implements RequestHandler {
  readonly #served: Served<ForwardDoor>;
  readonly #address: string;
  readonly #certificate: CertificateReader;
  #authorization: string | null = null;
  #identity: Identity | null = null;
  #authority = '';
  #target: TargetUrl | null = null;

  constructor(served: Served<ForwardDoor>, socket: Socket) {
    this.#served = served;
    this.#address = socket.remoteAddress ?? '';
    this.#certificate = served.certificateReader(socket);
  }

  onRequest(connection: ServerConnection): void {
    const passage = this.#passage(connection);
    const { exchange } = passage;
    exchange.method = connection.head.method;
    const identity = this.#identify(connection, passage);
    try {
      if (exchange.method === 'CONNECT') this.#connect(passage, identity);
      else this.#request(passage, identity);
    } catch (error) {
      refuse(passage, asSallyportError(error));
    }
  }

  onRefusedHead(connection: ServerConnection, error: SallyportError): void {
    refuse(this.#passage(connection), error);
  }

  onClosed(connection: ServerConnection): void {
    this.#served.closed(connection);
  }

  #passage(connection: ServerConnection): Passage {
    const { runtime, door } = this.#served.current;
    runtime.enter();
    const exchange = new Exchange('forward', this.#address);
    exchange.requestId = requestIdFrom(connection.head.value(Field.xRequestId));
    const { tracing } = runtime.recorder;
    if (tracing !== null) exchange.trace = tracing.begin(exchange, { connection, correlationField: Field.xRequestId, platform: null });
    return new Passage(exchange, connection, door, runtime);
  }

  #request(passage: Passage, identity: Identity | SallyportError): void {
    const { exchange, client } = passage;
    const { door } = this.#served.current;
    const text = client.head.target;
    if (text.startsWith('/') || text === '*') {
      throw new SallyportError('request_target_unsupported', {
        detail: 'a proxy needs an absolute URL in the request line; this request names only a path',
      });
    }
    const target = this.#parse(text);
    setTarget(exchange, target);
    if (identity instanceof SallyportError) throw identity;
    exchange.caller = identity.caller;
    if (target.scheme === 'http' && !door.insecureTargets) throw new SallyportError('insecure_target');
    requireSameAuthority(client, target);
    noteUpgrade(exchange, client);
    run(passage, chosenCredential(client));
  }

  #connect(passage: Passage, identity: Identity | SallyportError): void {
    const { exchange, client, runtime } = passage;
    const { host, port } = parseAuthority(client.head.target);
    if (port === null) throw new SallyportError('target_invalid', { detail: 'CONNECT needs a host and a port, as in example.com:443' });
    exchange.host = host.text;
    exchange.port = port;
    exchange.path = '';
    if (client.bodyKind !== BodyKind.none) throw new SallyportError('request_malformed', { detail: 'a CONNECT request has no body' });
    if (identity instanceof SallyportError) throw identity;
    exchange.caller = identity.caller;
    const decision = admitConnect(exchange, runtime.policy);
    if (decision instanceof SallyportError) throw decision;
    if (decision.action === 'tunnel') openTunnel(passage, decision.decision.permits);
    else intercept(passage, this.#served, identity);
  }

  /** The last target is remembered by its authority: clients keep a connection for one upstream. */
  #parse(text: string): TargetUrl {
    const known = this.#target;
    if (known !== null && text.startsWith(this.#authority)) {
      const rest = text.slice(this.#authority.length);
      const question = rest.indexOf('?');
      if (rest.startsWith('/') && !rest.includes('#')) {
        return { ...known, path: question < 0 ? rest : rest.slice(0, question), query: question < 0 ? '' : rest.slice(question) };
      }
    }
    const target = parseTargetUrl(text);
    this.#authority = `${text.slice(0, text.indexOf('//') + 2)}${target.authority}`;
    this.#target = target;
    return target;
  }

  #identify(connection: ServerConnection, { runtime }: Passage): Identity | SallyportError {
    const { head } = connection;
    const certificate = this.#certificate(connection);
    if (certificate instanceof SallyportError) return certificate;
    if (this.#identity !== null && this.#presentsSame(head) && stillHolds(this.#identity, runtime.callers) === this.#identity.caller)
      return this.#identity;
    const authorization = head.value(Field.proxyAuthorization);
    const token = authorization === null ? null : presentedToken(authorization);
    if (authorization !== null && token === null) {
      return new SallyportError('caller_unknown', {
        detail: 'the Proxy-Authorization header is neither Basic with a password nor Bearer with a token',
      });
    }
    const identity = identify(token, this.#address, runtime.callers, runtime.throttle, certificate);
    if (identity instanceof SallyportError) return identity;
    this.#identity = identity;
    this.#authorization = authorization;
    return identity;
  }

  #presentsSame(head: Head): boolean {
    return this.#authorization === null
      ? head.indexOf(Field.proxyAuthorization) < 0
      : head.valueIsSecret(Field.proxyAuthorization, this.#authorization);
  }
}

/** The Host field has to name what the request line names (RFC 9112 §3.2.2): a client that says two things is refused, not believed half. */
function requireSameAuthority({ head }: ServerConnection, target: TargetUrl): void {
  const host = head.value(Field.host);
  if (host === null || host === target.authority) return;
  const named = parseAuthority(host);
  if (named.host.text === target.host.text && (named.port ?? target.port) === target.port) return;
  throw new SallyportError('misdirected_request', {
    detail: `the request line is for ${target.host.text}:${target.port}, the Host field for another host`,
  });
}
