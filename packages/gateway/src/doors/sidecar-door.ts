import { performance } from 'node:perf_hooks';
import type { SallyportError } from '@sallyport/sdk';
import type { Exchange } from '../exchange.js';
import type { Door, Refusal } from '../pipeline/passage.js';
import { type FieldSet, fieldId, fieldSet, hopByHopFields } from '../wire/field-names.js';
import { choiceFields, ownFields } from './forward-door.js';
import { problemRefusal } from './problem-refusal.js';

/** Fields of an upstream that never reach the platform. */
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
};

export interface SidecarDoorOptions {
  readonly headerPrefix: string;
  readonly traceHeader: string;
  readonly callerHeader: string;
  readonly insecureTargets: boolean;
  readonly normalizeErrors: boolean;
  readonly sensitiveHeaders: readonly string[];
}

/** How the sidecar words things: its callers read `error`, a normalized body for errors of the upstream, and `Server-Timing`. */
export class SidecarDoor implements Door {
  readonly controlFields: FieldSet;
  readonly controlPrefix: string;
  readonly sensitiveFields: FieldSet;
  readonly normalizesErrors: boolean;
  readonly insecureTargets: boolean;
  /** Ids of the fields it reads. */
  readonly targetField: number;
  readonly contextField: number;
  readonly traceField: number;
  readonly callerField: number;
  readonly #traceHeader: string;

  constructor(options: SidecarDoorOptions) {
    const { headerPrefix, traceHeader, callerHeader } = options;
    this.insecureTargets = options.insecureTargets;
    this.normalizesErrors = options.normalizeErrors;
    this.controlPrefix = `${headerPrefix.toLowerCase()}-`;
    this.targetField = fieldId(`${headerPrefix}-Target-URL`);
    this.contextField = fieldId(`${headerPrefix}-Context-Data`);
    this.traceField = fieldId(traceHeader);
    this.callerField = fieldId(callerHeader);
    this.#traceHeader = traceHeader;
    const own = fieldSet([...Object.values(choiceFields), ...inbound, callerHeader, traceHeader]);
    this.controlFields = own.map((member, id) => member | hopByHopFields[id]);
    // Replaced by ours, whatever the upstream says.
    this.sensitiveFields = fieldSet([...sensitive, ...ownFields, ...options.sensitiveHeaders, 'server-timing', traceHeader]);
  }

  refusal(exchange: Exchange, error: SallyportError): Refusal {
    const refused = problemRefusal(exchange, error, this.responseLines(exchange));
    const error_ = error.code === 'policy_denied' ? policyWords(error) : words[error.code];
    if (error_ === undefined) return refused;
    return { ...refused, body: `${JSON.stringify({ ...(JSON.parse(refused.body) as object), error: error_ })}\n` };
  }

  normalizedError(exchange: Exchange, status: number): { contentType: string; body: string } {
    const error = status >= 500 ? 'Upstream service error' : 'Request rejected by upstream service';
    return { contentType: 'application/json', body: JSON.stringify({ error, trace_id: exchange.requestId, status }) };
  }

  requestLines(exchange: Exchange): string {
    return `${this.#traceHeader}: ${exchange.requestId}\r\n`;
  }

  responseLines(exchange: Exchange): string {
    const credential = Math.max(0, exchange.resolveMs);
    const upstream = Math.max(0, exchange.upstreamMs);
    const overhead = Math.max(0, performance.now() - exchange.startedTick - credential - upstream);
    const timing = `plugin;dur=${hundredths(credential)}, upstream;dur=${hundredths(upstream)}, overhead;dur=${hundredths(overhead)}`;
    return `Server-Timing: ${timing}\r\n${this.#traceHeader}: ${exchange.requestId}\r\n`;
  }
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
