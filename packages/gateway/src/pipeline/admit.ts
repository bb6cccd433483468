import { SallyportError } from '@sallyport/sdk';
import type { Exchange } from '../exchange.js';
import type { Decision } from '../policy/decision.js';
import type { Network } from '../policy/network.js';
import type { ConnectDecision, Policy } from '../policy/policy.js';

/**
 * Decides whether an exchange may go out, on the canonical target that will be dialed. Addresses are judged where they are resolved, right before
 * the dial; what they may be beyond global ones is in the answer. Error: `policy_denied`, or `target_path_ambiguous` where a rule looks at the path.
 */
export function admit(exchange: Exchange, policy: Policy): readonly Network[] | SallyportError {
  const decision = policy.decide(exchange.host, exchange.port, exchange.method, exchange.path, exchange.scheme);
  note(exchange, decision);
  return decision.verdict === 'denied' ? denied(exchange, decision) : decision.permits;
}

/** Decides about a CONNECT: pass it unseen, look into it, or refuse it because nothing inside could be allowed. Error: `policy_denied`. */
export function admitConnect(exchange: Exchange, policy: Policy): ConnectDecision | SallyportError {
  const answer = policy.decideConnect(exchange.host, exchange.port);
  note(exchange, answer.decision);
  return answer.action === 'refuse' ? denied(exchange, answer.decision) : answer;
}

function note(exchange: Exchange, decision: Decision): void {
  exchange.verdict = decision.verdict;
  exchange.rule = decision.rule;
}

function denied(exchange: Exchange, decision: Decision): SallyportError {
  const { method, host, port } = exchange;
  const defaultPort = exchange.scheme === 'https' ? 443 : 80;
  const pattern = port === defaultPort ? host : host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const members = { rule: decision.rule, reason: decision.reason, host, port, method };
  if (decision.reason === 'ambiguous_path') {
    return new SallyportError('target_path_ambiguous', {
      detail: 'a rule for this host looks at the path, and this path can be read in more than one way',
      members,
    });
  }
  const detail =
    decision.rule === null ? `no rule lets ${method} to ${host}:${port} out (${words[decision.reason]})` : `the rule "${decision.rule}" denies it`;
  const rule = method === 'CONNECT' ? `allow ${pattern}` : `allow ${pattern} ${method} ${exchange.path}`;
  const hint =
    decision.rule === null
      ? `To let it out, add the rule "${rule}" under gateway.policy.rules.`
      : 'To let it out, change that rule, or put a more specific one beside it.';
  return new SallyportError('policy_denied', { detail, hint, members });
}

const words: Readonly<Record<Decision['reason'], string>> = {
  rule: 'a rule decided',
  mode: 'the rules for this host only deny',
  no_host_rule: 'no rule is for this host and port',
  no_method_match: 'the rules for this host are for other methods',
  no_path_match: 'the rules for this host are for other paths',
  ambiguous_path: 'the path is ambiguous',
};
