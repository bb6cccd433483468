import { randomBytes } from 'node:crypto';
import { SallyportError } from '@sallyport/sdk';
import type { GatewayConfig } from '../config/schema.js';
import type { Caller, Exchange } from '../exchange.js';
import { type CallerRegistry, digestToken, type TokenDigest } from '../pipeline/callers.js';
import { type RunSummary, RunTally } from './run-tally.js';

/** The part of a gateway that runs are registered with. */
export interface RunGateway {
  readonly runs: CallerRegistry;
  readonly config: GatewayConfig;
}

/** The credentials that a run asks for: some by name, all, or what the configuration gives to runs. */
export type RunCredentials = readonly string[] | 'all' | 'default';

/** A registered run. The token is what its programs present; it is nowhere else. */
export interface Run {
  /** `run-` and 16 hexadecimal digits. The name of its caller in records. */
  readonly id: string;
  /** 32 random bytes, Base64url. */
  readonly token: string;
}

const MOST_RUNS = 1_000;

/** The runs of one gateway, and what each of them does. At most 1,000 at a time. */
export class Runs {
  readonly #open = new Map<string, { readonly tally: RunTally; readonly digest: TokenDigest; readonly registry: CallerRegistry }>();

  /** For `onExchange` of the gateway. */
  readonly note = (exchange: Exchange): void => {
    if (exchange.caller?.kind === 'run' && exchange.host !== '') this.#open.get(exchange.caller.name)?.tally.note(exchange);
  };

  /**
   * Registers a run. `default` are the credentials of the caller named `run` in the configuration, or all of them when there is no such caller:
   * whoever can start a run can read the configuration. Errors: `credential_unavailable` for a name that is not there, `limit_exceeded`.
   */
  begin({ runs: registry, config }: RunGateway, wanted: RunCredentials): Run {
    const credentials = permitted(config, wanted);
    if (this.#open.size >= MOST_RUNS) {
      throw new SallyportError('limit_exceeded', { detail: `there are ${MOST_RUNS} runs already`, hint: 'Wait until one of them has ended.' });
    }
    const id = `run-${randomBytes(8).toString('hex')}`;
    const token = randomBytes(32).toString('base64url');
    const digest = digestToken(token);
    registry.add({ name: id, kind: 'run', credentials }, digest);
    this.#open.set(id, { tally: new RunTally(id), digest, registry });
    return { id, token };
  }

  /** What a run did so far; null when there is no such run. */
  summary(id: string): RunSummary | null {
    return this.#open.get(id)?.tally.summary() ?? null;
  }

  /** Withdraws the token of a run and answers what the run did; null when there is no such run. */
  end(id: string): RunSummary | null {
    const run = this.#open.get(id);
    if (run === undefined) return null;
    this.#open.delete(id);
    run.registry.remove(run.digest);
    return run.tally.summary();
  }
}

function permitted({ credentials, callers }: GatewayConfig, wanted: RunCredentials): Caller['credentials'] {
  if (wanted === 'all') return 'all';
  if (wanted === 'default') {
    const configured = callers.run?.credentials ?? 'all';
    return configured === 'all' ? 'all' : new Set(configured);
  }
  for (const name of wanted) {
    if (Object.hasOwn(credentials, name)) continue;
    const known = Object.keys(credentials);
    throw new SallyportError('credential_unavailable', {
      detail: `There is no credential named ${JSON.stringify(name)} in the configuration.`,
      hint: known.length === 0 ? 'The configuration has no credentials at all.' : `These are there: ${known.join(', ')}.`,
    });
  }
  return new Set(wanted);
}
