import { Credential } from '@sallyport/credentials';
import { type Caller, compileBindings, Exchange, type GatewayConfig, select } from '@sallyport/gateway';
import { SallyportError } from '@sallyport/sdk';

/** One binding for the host of a request. */
export interface BindingExplanation {
  readonly credential: string;
  /** Its number under `bind`, from 1. */
  readonly binding: number;
  readonly used: boolean;
  /** A clause that says why it is used or why not. */
  readonly why: string;
}

interface Candidate {
  readonly credential: string;
  readonly index: number;
  readonly binding: GatewayConfig['credentials'][string]['bind'][number];
}

/**
 * Which credential `select` would choose, and what it would say to each binding alone. There is no second judgement here: to learn why a binding is
 * not chosen, `select` is asked again with one thing changed.
 */
export function explainBindings(
  config: GatewayConfig,
  exchange: Exchange,
  caller: Caller,
): { credential: string | null; bindings: readonly BindingExplanation[]; error: SallyportError | null } {
  const candidates = Object.entries(config.credentials).flatMap(([credential, { bind }]) =>
    bind.map((binding, index) => ({ credential, index, binding })),
  );
  const here = candidates.filter((candidate) => tableOf([candidate]).lookup(exchange.host, exchange.port).length > 0);
  const chosen = choose(here, exchange, caller);
  const used = chosen instanceof SallyportError ? null : chosen;
  return {
    credential: used?.credential ?? null,
    bindings: here.map((candidate) => ({
      credential: candidate.credential,
      binding: candidate.index + 1,
      used: candidate === used,
      why: candidate === used ? 'it is the most specific one that fits' : whyNot(candidate, exchange, caller, chosen),
    })),
    error: chosen instanceof SallyportError ? chosen : null,
  };
}

/** The candidate that `select` chooses; null when none fits. */
function choose(candidates: readonly Candidate[], exchange: Exchange, caller: Caller): Candidate | SallyportError | null {
  // By their own names first, for what is said; then each binding under a name of its own, to tell those of one credential apart.
  const chosen = select(exchange, caller, null, tableOf(candidates));
  if (chosen === null || chosen instanceof SallyportError) return chosen;
  const apart = select(
    exchange,
    everyone,
    null,
    tableOf(
      candidates.filter(({ credential }) => credential === chosen.credential.name),
      nameApart,
    ),
  );
  const names = apart instanceof SallyportError ? rivalsIn(apart) : apart === null ? [] : [apart.credential.name];
  return candidates.find((candidate) => names.includes(nameApart(candidate))) ?? null;
}

function whyNot(candidate: Candidate, exchange: Exchange, caller: Caller, chosen: Candidate | SallyportError | null): string {
  const { binding, credential } = candidate;
  const alone = (request: Exchange, by: Caller): ReturnType<typeof select> => select(request, by, null, tableOf([candidate]));
  if (alone(exchange, everyone) === null) {
    const [method] = binding.methods ?? [];
    if (method === undefined || binding.methods?.includes(exchange.method)) return `the path does not match ${binding.paths?.join(', ')}`;
    const methods = `it is for ${binding.methods?.join(', ')}, not ${exchange.method}`;
    return alone(Object.assign(new Exchange('forward', ''), exchange, { method }), everyone) === null
      ? `${methods}, and the path does not match ${binding.paths?.join(', ')}`
      : methods;
  }
  const result = alone(exchange, caller);
  if (result === null) return `the caller ${caller.name} may not use ${credential}`;
  if (result instanceof SallyportError) return result.message;
  const better = chosen instanceof SallyportError ? rivalsIn(chosen) : chosen === null ? [] : [`${chosen.credential}, binding ${chosen.index + 1},`];
  if (better.includes(credential)) return `it fits, and as well as ${better.filter((name) => name !== credential).join(', ')}`;
  return `it fits, but ${better.join(' and ')} ${better.length === 1 ? 'is' : 'are'} more specific`;
}

/** The credentials that fit equally well; none when the error is another one. */
function rivalsIn({ code, members }: SallyportError): string[] {
  return code === 'credential_ambiguous' ? (members.candidates as string[]) : [];
}

const everyone: Caller = { name: 'everyone', kind: 'token', credentials: 'all' };

function nameApart({ credential, index }: Candidate): string {
  return `${credential} ${index}`;
}

function tableOf(
  candidates: readonly Candidate[],
  nameOf: (candidate: Candidate) => string = ({ credential }) => credential,
): ReturnType<typeof compileBindings> {
  const credentials = new Map<string, Credential>();
  const config: GatewayConfig['credentials'] = {};
  for (const candidate of candidates) {
    const name = nameOf(candidate);
    config[name] ??= { source: neverFetched.config, bind: [] };
    config[name].bind.push(candidate.binding);
    if (!credentials.has(name)) credentials.set(name, new Credential({ name, source: neverFetched.source }));
  }
  return compileBindings({ credentials: config }, credentials);
}

/** Choosing a credential takes no secret. */
const neverFetched = {
  config: { type: 'env', var: 'NOTHING' },
  source: { type: 'none', description: 'nothing', fetch: () => Promise.reject(new Error('nothing is fetched for an explanation')) },
} as const;
