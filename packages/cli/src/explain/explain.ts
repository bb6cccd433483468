import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import {
  admit,
  type Caller,
  type ConnectDecision,
  compilePolicy,
  Exchange,
  explainRoute,
  type GatewayConfig,
  judgeAddress,
  type PolicyVerdict,
  parseTargetUrl,
  pathForms,
  type RouteExplanation,
  type RuleConsidered,
} from '@sallyport/gateway';
import { type ErrorCode, SallyportError, type TransactionFields } from '@sallyport/sdk';
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

/** What is asked about. */
export interface ExplainedRequest {
  readonly method: string;
  readonly url: string;
  /** Undefined: what `sallyport run` would be. */
  readonly callerName: string | undefined;
  /** What the platform says about a call through the sidecar, the target aside; null for a request through the forward proxy. */
  readonly platform: Omit<TransactionFields, 'targetUrl'> | null;
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
  /** Empty where the call goes to a forward target instead. */
  readonly addresses: readonly AddressExplanation[];
  /** Who decides about a call through the sidecar; null through the forward proxy. */
  readonly route: RouteExplanation | null;
  /** Name of the credential that would be added by a binding; null where a route, the default or the plugin decides. */
  readonly credential: string | null;
  readonly bindings: readonly BindingExplanation[];
  readonly error: ErrorExplanation | null;
}

/**
 * Explains one request by one caller. Nothing is sent, no credential is fetched and no plugin is asked; only the name of the host is resolved.
 * Errors: `target_invalid`, `target_path_ambiguous`, `caller_unknown`, `config_invalid` for a sidecar that the configuration does not have.
 */
export async function explain(config: GatewayConfig, { method, url, callerName, platform }: ExplainedRequest): Promise<Explanation> {
  const door = platform === null ? 'forward' : 'sidecar';
  if (platform !== null) requireSidecar(config);
  const caller = callerNamed(config, callerName);
  const target = parseTargetUrl(url, door === 'sidecar');
  if (door === 'sidecar' && pathForms(target.path) === null) throw new SallyportError('target_path_ambiguous');
  const exchange = new Exchange(door, '127.0.0.1');
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
  const connect: ConnectDecision | null = door === 'forward' && target.scheme === 'https' ? policy.decideConnect(exchange.host, exchange.port) : null;
  const tunnel = connect?.action === 'tunnel';
  const admitted = tunnel ? connect.decision.permits : admit(exchange, policy);
  const permits = admitted instanceof SallyportError ? [] : admitted;
  const route = platform === null ? null : explainRoute(config, { ...platform, targetUrl: url });
  // A forward target is dialed in the place of the host, wherever it is.
  const forwarded = route?.outcome === 'forward';
  const judged = forwarded
    ? []
    : (await resolveHost(exchange.host, config.upstream.hosts)).map((address) => ({ address, ...judgeAddress(address, permits) }));
  const {
    credential,
    bindings,
    error: notChosen,
  } = route === null || route.outcome === 'bindings' ? explainBindings(config, exchange, caller) : none;
  const insecure = target.scheme === 'http' && config.listeners[door]?.insecure_targets === false ? new SallyportError('insecure_target') : null;
  const unrouted = route?.outcome === 'none' ? new SallyportError('route_not_found', { detail: 'no route matches, and there is no default' }) : null;
  const reasons = [insecure, admitted, unrouted, tunnel ? null : notChosen, forwarded ? null : addressError(judged, exchange.host)];
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
    route,
    credential: tunnel ? null : credential,
    bindings,
    error: first === undefined ? null : { code: first.code, detail: first.message, hint: first.hint },
  };
}

const none = { credential: null, bindings: [], error: null } as const;

function requireSidecar({ listeners }: GatewayConfig): void {
  if (listeners.sidecar !== undefined) return;
  throw new SallyportError('config_invalid', {
    detail: 'The configuration has no sidecar that the call could go through.',
    hint: 'Add gateway.listeners.sidecar, or ask without the options of a sidecar call to learn about the forward proxy.',
  });
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
async function resolveHost(host: string, fixed: Readonly<Record<string, string>>): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  if (Object.hasOwn(fixed, host)) return [fixed[host]];
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
