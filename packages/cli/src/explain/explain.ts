import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import {
  admit,
  type Caller,
  type ConnectDecision,
  compilePolicy,
  Exchange,
  type GatewayConfig,
  judgeAddress,
  type PolicyVerdict,
  parseTargetUrl,
  type RuleConsidered,
} from '@sallyport/gateway';
import { type ErrorCode, SallyportError } from '@sallyport/sdk';
import { type BindingExplanation, explainBindings } from './explain-bindings.js';

/** Why a request does not go out. */
interface ErrorExplanation {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly hint: string;
}

/** One address of the host. */
interface AddressExplanation {
  readonly address: string;
  readonly class: string;
  readonly allowed: boolean;
  /** Why it may not be called. */
  readonly reason?: string;
}

/** What would happen to a request, stage by stage: each with the verdict of the code that decides about real ones. */
export interface Explanation {
  readonly method: string;
  readonly url: string;
  readonly caller: { readonly name: string; readonly credentials: readonly string[] | 'all' };
  readonly policy: {
    readonly mode: string;
    readonly considered: readonly RuleConsidered[];
    readonly verdict: PolicyVerdict | null;
    readonly rule: string | null;
  };
  /** The forward proxy passes the whole connection unseen: path and method are not looked at, and no credential is added. */
  readonly tunnel: boolean;
  readonly addresses: readonly AddressExplanation[];
  /** Name of the credential that would be added. */
  readonly credential: string | null;
  readonly bindings: readonly BindingExplanation[];
  readonly error: ErrorExplanation | null;
}

/** Explains one request by one caller. Nothing is sent; only the name of the host is resolved. Errors: `target_invalid`, `caller_unknown`. */
export async function explain(
  config: GatewayConfig,
  { method, url, callerName }: { method: string; url: string; callerName: string | undefined },
): Promise<Explanation> {
  const caller = callerNamed(config, callerName);
  const target = parseTargetUrl(url);
  const exchange = new Exchange('forward', '127.0.0.1');
  Object.assign(exchange, {
    method,
    scheme: target.scheme,
    host: target.host.text,
    port: target.port,
    path: target.path,
    query: target.query,
    caller,
  });
  const policy = compilePolicy(config.policy);
  const connect: ConnectDecision | null = target.scheme === 'https' ? policy.decideConnect(exchange.host, exchange.port) : null;
  const tunnel = connect?.action === 'tunnel';
  const admitted = tunnel ? connect.decision.permits : admit(exchange, policy);
  const permits = admitted instanceof SallyportError ? [] : admitted;
  const judged = (await resolveHost(exchange.host)).map((address): AddressExplanation => ({ address, ...judgeAddress(address, permits) }));
  const { credential, bindings, error: notChosen } = explainBindings(config, exchange, caller);
  const insecure = target.scheme === 'http' && config.listeners.forward?.insecure_targets === false ? new SallyportError('insecure_target') : null;
  const reasons = [insecure, admitted, tunnel ? null : notChosen, addressError(judged, exchange.host)];
  const first = reasons.find((reason) => reason instanceof SallyportError);
  return {
    method,
    url,
    caller: { name: caller.name, credentials: caller.credentials === 'all' ? 'all' : [...caller.credentials] },
    policy: {
      mode: policy.mode,
      considered: policy.explain(exchange.host, exchange.port, method, exchange.path, exchange.scheme),
      verdict: tunnel ? connect.decision.verdict : exchange.verdict,
      rule: tunnel ? connect.decision.rule : exchange.rule,
    },
    tunnel,
    addresses: judged,
    credential: tunnel ? null : credential,
    bindings,
    error: first === undefined ? null : { code: first.code, detail: first.message, hint: first.hint },
  };
}

/** Without a name: what `sallyport run` would be. */
function callerNamed({ callers, credentials: known }: GatewayConfig, name: string | undefined): Caller {
  const configured = callers[name ?? 'run'];
  if (configured === undefined && name !== undefined) {
    const names = Object.keys(callers);
    throw new SallyportError('caller_unknown', {
      detail: `There is no caller named ${JSON.stringify(name)} in the configuration.`,
      hint: names.length === 0 ? 'The configuration has no callers.' : `These are there: ${names.join(', ')}.`,
    });
  }
  const credentials = configured?.credentials ?? Object.keys(known);
  return { name: name ?? 'run', kind: name === undefined ? 'run' : 'token', credentials: credentials === 'all' ? 'all' : new Set(credentials) };
}

/** Resolved here as the gateway would: on another machine the answer may be another one. */
async function resolveHost(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  try {
    return (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}

function addressError(judged: readonly AddressExplanation[], host: string): SallyportError | null {
  if (judged.some(({ allowed }) => allowed)) return null;
  if (judged.length === 0) return new SallyportError('upstream_dns_failed', { detail: `${host} does not resolve on this machine` });
  return new SallyportError('address_denied', { detail: `none of the addresses of ${host} may be called` });
}
