import type { SallyportError } from '@sallyport/sdk';
import type { Exchange } from '../exchange.js';
import type { Door, Refusal } from '../pipeline/passage.js';
import { FORWARDED_FIELDS } from '../tls/mutual/forwarded-certificates.js';
import { Field, type FieldSet, fieldSet, hopByHopFields } from '../wire/field-names.js';
import { problemRefusal } from './problem-refusal.js';

/** Credentials of ours or of a proxy on the way: no client has a use for them in a response. `Set-Cookie` stays: clients log in through this door. */
const sensitive = ['authorization', 'proxy-authorization', 'proxy-authenticate', 'cookie', 'x-api-key', 'x-auth-token'];

/** What only Sallyport says: an upstream that says it too would pass its own answer off as a refusal. */
export const ownFields = ['x-sallyport-error', 'x-sallyport-request-id', 'x-moat-blocked'] as const;

/** Header fields by which a client names the credential that it wants, the second for clients of an older gateway. */
export const choiceFields = { own: 'x-sallyport-credential', clef: 'x-clef-service' } as const;

/** Codes for which clients of an older proxy look at `X-Moat-Blocked`. */
const blockedByPolicy: ReadonlySet<string> = new Set(['policy_denied', 'address_denied', 'target_path_ambiguous']);

/** How the forward proxy words things: problem documents, and nothing of its own on the way out but the request id. */
export class ForwardDoor implements Door {
  readonly controlFields: FieldSet;
  readonly controlPrefix = null;
  readonly sensitiveFields: FieldSet;
  readonly normalizesErrors = false;
  /** Routes are for the platforms that call the sidecar. */
  readonly forwarding = null;
  /** Whether `http://` targets may be called. */
  readonly insecureTargets: boolean;

  constructor(options: { readonly insecureTargets: boolean; readonly sensitiveHeaders: readonly string[] }) {
    this.insecureTargets = options.insecureTargets;
    this.controlFields = fieldSet([...Object.values(choiceFields), ...FORWARDED_FIELDS]).map((member, id) => member | hopByHopFields[id]);
    this.controlFields[Field.xRequestId] = 1;
    this.sensitiveFields = fieldSet([...sensitive, ...ownFields, ...options.sensitiveHeaders]);
  }

  refusal(exchange: Exchange, error: SallyportError): Refusal {
    const blocked = blockedByPolicy.has(error.code) ? 'X-Moat-Blocked: request-rule\r\n' : '';
    return problemRefusal(exchange, error, `${blocked}${this.responseLines(exchange)}`);
  }

  normalizedError(): never {
    throw new Error('the forward door passes error bodies on');
  }

  requestLines(exchange: Exchange): string {
    const line = `X-Request-Id: ${exchange.requestId}\r\n`;
    return exchange.trace === null ? line : line + exchange.trace.attempt(exchange);
  }

  responseLines(exchange: Exchange): string {
    return `X-Sallyport-Request-Id: ${exchange.requestId}\r\n`;
  }
}
