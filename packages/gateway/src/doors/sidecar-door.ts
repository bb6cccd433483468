import { performance } from 'node:perf_hooks';
import type { SallyportError } from '@sallyport/sdk';
import type { Exchange } from '../exchange.js';
import { credentialFailures } from '../pipeline/failure-codes.js';
import type { Door, Refusal } from '../pipeline/passage.js';
import { FORWARDED_FIELDS } from '../tls/mutual/forwarded-certificates.js';
import { type FieldSet, fieldId, fieldSet, hopByHopFields } from '../wire/field-names.js';
import { choiceFields, ownFields } from './forward-door.js';
import { problemRefusal } from './problem-refusal.js';
import type { SidecarOps } from './sidecar-ops.js';

/** Fields that carry credentials: those of an upstream never reach the platform, and those of the platform never reach an upstream. */
const sensitive = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key', 'x-auth-token'];

/** Fields of the platform's side of the connection, which mean nothing to an upstream or tell it too much. */
const inbound = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip'];

/** The words that clients of this door look for in `error`, by code. Every other code answers with the title of the problem. */
const words: Readonly<Record<string, string>> = {
  target_missing: 'missing Target-URL header',
  target_invalid: 'invalid target URL',
  target_path_ambiguous: 'invalid target URL',
  insecure_target: 'HTTPS required: insecure HTTP target URLs are not allowed',
  context_data_invalid: 'invalid Context-Data',
  address_denied: 'host not allowed',
  forward_target_unknown: 'internal configuration error',
  forward_target_unavailable: 'forward target unavailable',
  plugin_timeout: 'Gateway Timeout',
};

/** Credentials that could not be had, whoever is at fault: the platform is told no more than that. `code` tells them apart. */
const ourFaults: ReadonlySet<string> = new Set([...credentialFailures, 'context_data_missing', 'context_data_field_invalid', 'forward_unexpected']);

/** The fields by which the platform says what a call is about, without the prefix. */
const contextFieldNames = ['Target-URL', 'Vendor-ID', 'Environment-ID', 'Marketplace-ID', 'Product-ID', 'Subscription-ID', 'Context-Data'] as const;

export interface SidecarDoorOptions {
  readonly headerPrefix: string;
  readonly traceHeader: string;
  readonly callerHeader: string;
  readonly insecureTargets: boolean;
  readonly normalizeErrors: boolean;
  readonly sensitiveHeaders: readonly string[];
  readonly ops: SidecarOps;
}

/** How the sidecar words things: its callers read `error`, a normalized body for errors of the upstream, and `Server-Timing`. */
export class SidecarDoor implements Door {
  readonly controlFields: FieldSet;
  readonly controlPrefix: string;
  readonly sensitiveFields: FieldSet;
  readonly normalizesErrors: boolean;
  readonly insecureTargets: boolean;
  readonly forwarding: Door;
  readonly ops: SidecarOps;
  /** Ids of the fields it reads. */
  readonly targetField: number;
  readonly contextField: number;
  readonly traceField: number;
  readonly callerField: number;
  readonly vendorField: number;
  readonly serviceField: number;
  /** Ids of all the fields by which the platform says what a call is about, in the order of `contextFieldNames`. */
  readonly contextFields: readonly number[];
  readonly #traceHeader: string;

  constructor(options: SidecarDoorOptions) {
    const { headerPrefix, traceHeader, callerHeader } = options;
    this.ops = options.ops;
    this.insecureTargets = options.insecureTargets;
    this.normalizesErrors = options.normalizeErrors;
    this.controlPrefix = `${headerPrefix.toLowerCase()}-`;
    this.contextFields = contextFieldNames.map((suffix) => fieldId(`${headerPrefix}-${suffix}`));
    this.targetField = fieldId(`${headerPrefix}-Target-URL`);
    this.contextField = fieldId(`${headerPrefix}-Context-Data`);
    this.vendorField = fieldId(`${headerPrefix}-Vendor-ID`);
    this.serviceField = fieldId(`${headerPrefix}-Service-ID`);
    this.traceField = fieldId(traceHeader);
    this.callerField = fieldId(callerHeader);
    this.#traceHeader = traceHeader;
    const own = fieldSet([...Object.values(choiceFields), ...FORWARDED_FIELDS, ...inbound, ...sensitive, callerHeader, traceHeader]);
    this.controlFields = own.map((member, id) => member | hopByHopFields[id]);
    // Replaced by ours, whatever the upstream says.
    this.sensitiveFields = fieldSet([...sensitive, ...ownFields, ...options.sensitiveHeaders, 'server-timing', traceHeader]);
    this.forwarding = new ForwardingDoor(this, [...Object.values(choiceFields), ...FORWARDED_FIELDS, ...sensitive, callerHeader, traceHeader]);
  }

  refusal(exchange: Exchange, error: SallyportError): Refusal {
    const refused = problemRefusal(exchange, error, this.responseLines(exchange));
    const known = platformAnswer(error);
    if (known === null) return refused;
    const status = known.status ?? refused.status;
    return { ...refused, status, body: `${JSON.stringify({ ...(JSON.parse(refused.body) as object), status, error: known.error })}\n` };
  }

  normalizedError(exchange: Exchange, status: number): { contentType: string; body: string } {
    const error = status >= 500 ? 'Upstream service error' : 'Request rejected by upstream service';
    return { contentType: 'application/json', body: JSON.stringify({ error, trace_id: exchange.requestId, status }) };
  }

  requestLines(exchange: Exchange): string {
    const line = `${this.#traceHeader}: ${exchange.requestId}\r\n`;
    return exchange.trace === null ? line : line + exchange.trace.attempt(exchange);
  }

  responseLines(exchange: Exchange): string {
    const credential = Math.max(0, exchange.resolveMs);
    const upstream = Math.max(0, exchange.upstreamMs);
    const overhead = Math.max(0, performance.now() - exchange.startedTick - credential - upstream);
    const timing = `plugin;dur=${hundredths(credential)}, upstream;dur=${hundredths(upstream)}, overhead;dur=${hundredths(overhead)}`;
    return `Server-Timing: ${timing}\r\n${this.#traceHeader}: ${exchange.requestId}\r\n`;
  }
}

/** What goes to a forward target: the context fields stay, for the router there to read, and its answers come back as they are. */
class ForwardingDoor implements Door {
  readonly controlFields: FieldSet;
  readonly controlPrefix = null;
  readonly sensitiveFields: FieldSet;
  readonly normalizesErrors = false;
  readonly forwarding = null;
  readonly #platform: Door;

  constructor(platform: Door, kept: readonly string[]) {
    this.#platform = platform;
    this.controlFields = fieldSet(kept).map((member, id) => member | hopByHopFields[id]);
    this.sensitiveFields = fieldSet([...sensitive, ...ownFields, 'server-timing']);
  }

  refusal(exchange: Exchange, error: SallyportError): Refusal {
    return this.#platform.refusal(exchange, error);
  }

  normalizedError(): never {
    throw new Error('what a forward target answers is passed on');
  }

  requestLines(exchange: Exchange): string {
    return `${this.#platform.requestLines(exchange)}X-Forwarded-For: ${exchange.clientAddress}\r\n`;
  }

  responseLines(exchange: Exchange): string {
    return this.#platform.responseLines(exchange);
  }
}

/** The status and the `error` by which a platform knows what went wrong; null where the problem document says it in its own way. */
function platformAnswer(error: SallyportError): { readonly status: number | null; readonly error: string } | null {
  const { code } = error;
  if (code === 'policy_denied') return { status: null, error: policyWords(error) };
  const known = words[code];
  if (known !== undefined) return { status: null, error: known };
  if (code.startsWith('upstream_')) return { status: 502, error: 'Bad Gateway' };
  return ourFaults.has(code) ? { status: 500, error: 'Internal Server Error' } : null;
}

function policyWords(error: SallyportError): string {
  return error.members.reason === 'no_path_match' || error.members.reason === 'no_method_match' ? 'path not allowed' : 'host not allowed';
}

/** A duration with two decimals. Done with integers: `toFixed` is many times slower, and this runs three times for every response. */
function hundredths(duration: number): string {
  const rounded = Math.round(duration * 100);
  const rest = rounded % 100;
  return `${(rounded - rest) / 100}.${rest < 10 ? '0' : ''}${rest}`;
}
