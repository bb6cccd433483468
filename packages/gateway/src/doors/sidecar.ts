import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import { type Caller, Exchange } from '../exchange.js';
import { type Identity, identify, stillHolds } from '../pipeline/identify.js';
import { Passage } from '../pipeline/passage.js';
import { refuse, run } from '../pipeline/pipeline.js';
import { pathForms } from '../policy/path-forms.js';
import type { CertificateReader } from '../tls/mutual/certificate-reader.js';
import type { Head } from '../wire/head.js';
import type { RequestHandler, ServerConnection } from '../wire/server-connection.js';
import { chosenCredential, noteUpgrade, setTarget } from './entering.js';
import type { Served } from './listener.js';
import { requestIdFrom } from './request-id.js';
import type { SidecarDoor } from './sidecar-door.js';
import { answerOps } from './sidecar-ops.js';
import { TransactionReader } from './sidecar-transaction.js';
import { parseTargetUrl, type TargetUrl } from './target-url.js';

/** The sidecar on one client connection: `/proxy`, with the target in a header. The query of `/proxy` itself means nothing and goes nowhere. */
export class SidecarConnection implements RequestHandler {
  readonly #served: Served<SidecarDoor>;
  readonly #address: string;
  readonly #certificate: CertificateReader;
  readonly #tls: boolean;
  #token: string | null = null;
  #identity: Identity | null = null;
  readonly #transactions = new TransactionReader();
  #targetText = '';
  /** The last vendor that was named: mostly that of the request before. */
  #vendor = '';
  #target: TargetUrl | null = null;

  constructor(served: Served<SidecarDoor>, socket: Socket) {
    this.#served = served;
    this.#address = socket.remoteAddress ?? '';
    this.#certificate = served.certificateReader(socket);
    this.#tls = socket instanceof TLSSocket;
  }

  onRequest(connection: ServerConnection): void {
    const passage = this.#passage(connection);
    passage.exchange.method = connection.head.method;
    try {
      this.#request(passage);
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
    const exchange = new Exchange('sidecar', this.#address);
    exchange.requestId = requestIdFrom(connection.head.value(door.traceField));
    exchange.vendorId = this.#vendorOf(connection.head, door);
    const { tracing } = runtime.recorder;
    if (tracing !== null)
      exchange.trace = tracing.begin(exchange, {
        connection,
        correlationField: door.traceField,
        platform: { serviceField: door.serviceField, tls: this.#tls },
      });
    return new Passage(exchange, connection, door, runtime);
  }

  #request(passage: Passage): void {
    const { exchange, client } = passage;
    const { door } = this.#served.current;
    const { head } = client;
    if (!head.targetIs('/proxy') && this.#answeredOps(passage)) return;
    const identity = this.#identify(passage);
    exchange.caller = identity.caller;
    const target = this.#parse(passage);
    setTarget(exchange, target);
    if (target.scheme === 'http' && !door.insecureTargets) throw new SallyportError('insecure_target');
    this.#transactions.requireReadable(head, door);
    if (passage.runtime.plugin !== null) passage.transaction = this.#transactions.read(head, door, identity.caller.name, exchange.requestId);
    noteUpgrade(exchange, client);
    run(passage, chosenCredential(client));
  }

  /** Whether the request was for one of the operations paths. Throws when it is for no path of this door. */
  #answeredOps(passage: Passage): boolean {
    const { target } = passage.client.head;
    if (target.startsWith('/_ops/')) {
      const certificateCaller = (asking: Passage): Caller | null => {
        const { caller } = this.#identify(asking);
        return caller.kind === 'certificate' ? caller : null;
      };
      if (answerOps(passage, { ...this.#served.current.door.ops, certificateCaller })) return true;
    }
    requireProxyPath(target);
    return false;
  }

  #vendorOf(head: Head, { vendorField }: SidecarDoor): string {
    if (!head.valueIs(vendorField, this.#vendor)) this.#vendor = head.value(vendorField) ?? '';
    return this.#vendor;
  }

  #parse({ client: { head } }: Passage): TargetUrl {
    const { targetField } = this.#served.current.door;
    if (this.#target !== null && head.valueIs(targetField, this.#targetText)) return this.#target;
    const text = head.value(targetField);
    if (text === null || text === '') throw new SallyportError('target_missing');
    const target = parseTargetUrl(text, true);
    if (pathForms(target.path) === null) throw new SallyportError('target_path_ambiguous');
    this.#targetText = text;
    this.#target = target;
    return target;
  }

  /** The token is looked up once for a connection, and again whenever it or the configuration changes. */
  #identify({ client, runtime }: Passage): Identity {
    const { door } = this.#served.current;
    const certificate = this.#certificate(client);
    if (certificate instanceof SallyportError) throw certificate;
    const known = this.#identity;
    if (known !== null && known.certificate === certificate && this.#presentsSame(client.head) && stillHolds(known, runtime.callers) === known.caller)
      return known;
    const token = client.head.value(door.callerField);
    const bare = token?.replace(/^Bearer +/i, '') ?? null;
    const identity = identify(bare, this.#address, runtime.callers, runtime.throttle, certificate);
    if (identity instanceof SallyportError) throw identity;
    this.#identity = identity;
    this.#token = token;
    return identity;
  }

  #presentsSame(head: Head): boolean {
    const { callerField } = this.#served.current.door;
    return this.#token === null ? head.indexOf(callerField) < 0 : head.valueIsSecret(callerField, this.#token);
  }
}

function requireProxyPath(target: string): void {
  if (target.startsWith('/proxy?')) return;
  const code = target.startsWith('/') ? 'not_found' : 'request_target_unsupported';
  throw new SallyportError(code, { detail: 'the sidecar answers at /proxy; the target goes into a header' });
}
