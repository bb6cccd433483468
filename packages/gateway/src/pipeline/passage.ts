import { inspect } from 'node:util';
import type { Material } from '@sallyport/credentials';
import type { SallyportError, TransactionContext } from '@sallyport/sdk';
import type { Exchange } from '../exchange.js';
import type { Network } from '../policy/network.js';
import type { FieldSet } from '../wire/field-names.js';
import type { ServerConnection } from '../wire/server-connection.js';
import type { Binding } from './bindings.js';
import type { ForwardTarget } from './forward-targets.js';
import type { Runtime } from './runtime.js';

/** The answer that a door gives for a request that does not get through. */
export interface Refusal {
  readonly status: number;
  /** Header lines beyond Content-Type and Content-Length, each with its CR LF. */
  readonly lines: string;
  readonly contentType: string;
  readonly body: string;
}

/** What the pipeline has to know of a door: which fields stay on its side, and how it words things. It holds no state of a request. */
export interface Door {
  /** Fields of the client that never go upstream. */
  readonly controlFields: FieldSet;
  /** Lower-case prefix of further such fields; null for none. */
  readonly controlPrefix: string | null;
  /** Fields of the upstream that never reach the client. */
  readonly sensitiveFields: FieldSet;
  /** Replaces the bodies of 4xx and 5xx answers of the upstream with a neutral one. */
  readonly normalizesErrors: boolean;
  /** How the same door treats what goes to a forward target; null where nothing does. */
  readonly forwarding: Door | null;
  refusal(exchange: Exchange, error: SallyportError): Refusal;
  /** The body that stands in for that of an upstream's 4xx or 5xx. */
  normalizedError(exchange: Exchange, status: number): { contentType: string; body: string };
  /** Header lines that every request gets on its way out. */
  requestLines(exchange: Exchange): string;
  /** Header lines that every response gets. */
  responseLines(exchange: Exchange): string;
}

/** What the platform that calls says about its call. */
export interface Transaction {
  /** Of two requests with the same key the platform said the same. */
  readonly key: string;
  /** Decoded when a plugin is asked, which is not for every request. Errors: `context_data_invalid`. */
  context(): TransactionContext;
}

/** One exchange on its way through the stages, with what they hand on to each other beyond the record in `exchange`. */
export class Passage {
  readonly exchange: Exchange;
  readonly client: ServerConnection;
  /** That of the listener, until a route leads to a forward target: that has ways of its own. */
  door: Door;
  /** The configuration that this exchange began under; a reload does not change it half way. */
  readonly runtime: Runtime;

  /** Null where the door's callers say no such thing: plugins are not asked then. */
  transaction: Transaction | null = null;

  // admit
  permits: readonly Network[] = NO_NETWORKS;
  // route
  /** Where it goes instead of its target; null when it goes there. */
  destination: ForwardTarget | null = null;
  // inject
  /** What was injected, and by which rule; null for what a plugin placed. */
  binding: Binding | null = null;
  material: Material | null = null;
  injectedLines = '';
  /** Values that may not come back, as they stand in the request; Latin-1. */
  placedValues: readonly string[] = NO_VALUES;
  injectedFields: FieldSet | null = null;
  /** The same as lower-case names, where they are not known before the request. */
  injectedNames: readonly string[] = NO_VALUES;
  /** The query with what was placed into it; null when nothing was. */
  query: string | null = null;
  /** The whole body of the request, where a plugin read it or put another one in its place. */
  wholeBody: Uint8Array | null = null;
  /** Whether another credential may be tried when the upstream refuses this one. */
  renewable = false;

  constructor(exchange: Exchange, client: ServerConnection, door: Door, runtime: Runtime) {
    this.exchange = exchange;
    this.client = client;
    this.door = door;
    this.runtime = runtime;
  }

  /** Prints which exchange it is and nothing else: what was injected is all over its fields. */
  [inspect.custom](): string {
    return `Passage ${this.exchange.requestId}`;
  }
}

const NO_NETWORKS: readonly Network[] = Object.freeze([]);
const NO_VALUES: readonly string[] = Object.freeze([]);
