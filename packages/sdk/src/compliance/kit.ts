import type { CallOptions, Credential, Plugin, RouteAction } from '../plugin.js';
import { TransactionContext, type TransactionFields } from '../transaction-context.js';
import { type Outcome, settle } from './outcome.js';
import { type ProbeRequest, probeRequest, type RequestFields } from './probes.js';

/** One thing that is asked of a plugin. */
export interface Check {
  /** What is true of a plugin that passes; the same in every version. */
  readonly name: string;
  /** Rejects with an error that says what is wrong, and holds no value that the plugin answered. */
  readonly run: () => Promise<void>;
}

/** What the kit may know about a plugin. */
export interface ContractOptions {
  /** Calls that the plugin knows: it has to answer them. Without them the kit makes some up, which a plugin may refuse, and then tells less. */
  readonly contexts?: readonly TransactionFields[];
  /** A certificate request in PEM that the plugin has to sign. */
  readonly csr?: string;
  /** Texts that may never be seen in an error, besides the credentials that the plugin answers. */
  readonly secrets?: readonly string[];
  /** Milliseconds that one call may take, 2000 when left out. */
  readonly timeout?: number;
}

/** One call of `getCredentials`, and what it did to its arguments. */
export interface Trial {
  readonly outcome: Outcome<Credential | null>;
  readonly request: ProbeRequest;
  /** True when the context is not what it was. */
  readonly changedContext: boolean;
}

/** A plugin under test, and what is called with. */
export interface Kit {
  readonly plugin: Plugin;
  readonly contexts: readonly TransactionFields[];
  /** True when the contexts are those of the author. */
  readonly isGiven: boolean;
  readonly csr: string | null;
  readonly secrets: readonly string[];
  readonly timeout: number;
  /** Errors that were let go of so far. */
  readonly strays: unknown[];
  /** A request to the target of the call. */
  requestFor(fields: TransactionFields, other?: Omit<RequestFields, 'url'>): ProbeRequest;
  /** Calls `getCredentials`, each time with a context of its own, and with a request of its own unless one is given. */
  ask(fields: TransactionFields, request?: ProbeRequest, context?: TransactionContext): Promise<Trial>;
  /** Calls `routeRequest`. */
  route(fields: TransactionFields): Promise<{ readonly outcome: Outcome<RouteAction | null>; readonly changedContext: boolean }>;
}

/** A call that says everything. */
export const fullContext: TransactionFields = {
  targetUrl: 'https://api.vendor.test/v1/items?page=2',
  vendorId: 'test-vendor',
  environmentId: 'test-environment',
  marketplaceId: 'test-marketplace',
  productId: 'test-product',
  subscriptionId: 'test-subscription',
  traceId: 'trace-00000001',
  data: null,
};

/** A call that says nothing. */
export const emptyContext: TransactionFields = { targetUrl: 'https://api.vendor.test/' };

const madeUp: readonly TransactionFields[] = [
  fullContext,
  { ...fullContext, subscriptionId: 'other-subscription', data: { TenantID: 'test-tenant', Resource: 'https://api.vendor.test' } },
  { ...fullContext, vendorId: 'other-vendor', productId: 'other-product' },
];

/** Puts a plugin on the bench. */
export function kitFor(plugin: Plugin, { contexts, csr, secrets = [], timeout = 2000 }: ContractOptions): Kit {
  let hangs = false;
  /** After one call without an end nobody waits for another: the check of the time has something to say already. */
  const timed = async <T>(call: (options: CallOptions) => T | Promise<T>): Promise<Outcome<T>> => {
    if (hangs) return { kind: 'timeout' };
    const controller = new AbortController();
    const outcome = await settle(() => call({ signal: controller.signal }), timeout);
    if (outcome.kind !== 'timeout') return outcome;
    hangs = true;
    controller.abort();
    return outcome;
  };
  return {
    plugin,
    contexts: contexts ?? madeUp,
    isGiven: contexts !== undefined,
    csr: csr ?? null,
    secrets,
    timeout,
    strays: [],
    requestFor: (fields, other = {}) => probeRequest({ ...other, url: fields.targetUrl }),
    async ask(fields, request = probeRequest({ url: fields.targetUrl }), context = contextOf(fields)) {
      const before = JSON.stringify(context);
      const outcome = await timed((options) => (plugin.getCredentials === undefined ? null : plugin.getCredentials(context, request, options)));
      return { outcome, request, changedContext: JSON.stringify(context) !== before };
    },
    async route(fields) {
      const context = contextOf(fields);
      const before = JSON.stringify(context);
      const outcome = await timed((options) => (plugin.routeRequest === undefined ? null : plugin.routeRequest(context, options)));
      return { outcome, changedContext: JSON.stringify(context) !== before };
    },
  };
}

/** A context of its own: what one call does to it is not seen by the next. */
export function contextOf(fields: TransactionFields): TransactionContext {
  return new TransactionContext({ ...fields, data: structuredClone(fields.data ?? null) });
}

/** Names a call in a message. */
export function callName(kit: Kit, fields: TransactionFields): string {
  const i = kit.contexts.indexOf(fields);
  return kit.isGiven && i >= 0 ? `contexts[${i}]` : `a call for vendor ${JSON.stringify(fields.vendorId ?? '')}`;
}
