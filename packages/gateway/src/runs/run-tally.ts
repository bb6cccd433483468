import { type ErrorCode, errorCatalogue, SallyportError } from '@sallyport/sdk';
import { Exchange } from '../exchange.js';
import { admit } from '../pipeline/admit.js';
import { compilePolicy } from '../policy/policy.js';

/** Why requests of a run to one host did not get through. */
export interface RunProblem {
  readonly code: ErrorCode;
  /** `refused`: Sallyport said no. `failed`: something went wrong on the way. */
  readonly outcome: 'refused' | 'failed' | 'aborted';
  count: number;
  /** Of the first of them: what was wrong, and what would let it through. */
  readonly detail: string;
  readonly hint: string;
}

/** What a run did with one host. Sizes are bytes of bodies; of tunnels, all bytes. */
export interface RunHost {
  readonly host: string;
  readonly port: number;
  /** Requests that the upstream answered. */
  requests: number;
  /** Connections that passed unseen. */
  tunnels: number;
  request_bytes: number;
  response_bytes: number;
  /** How often the upstream answered with each status. */
  readonly statuses: Record<string, number>;
  /** Names of the credentials that were added. */
  readonly credentials: string[];
  readonly problems: RunProblem[];
}

/** What a run did, host by host in the order in which they were first asked for. */
export interface RunSummary {
  readonly run_id: string;
  readonly hosts: readonly RunHost[];
  /** Requests to further hosts, which are only counted. */
  readonly requests_to_further_hosts: number;
}

const MOST_HOSTS = 1_000;
const MOST_CREDENTIALS = 100;
const nothingAllowed = compilePolicy({ mode: 'strict', rules: [] });

/** Adds up what one run did. Bounded: hosts beyond the first 1,000 are not told apart. */
export class RunTally {
  readonly #id: string;
  readonly #hosts = new Map<string, RunHost>();
  #further = 0;

  constructor(id: string) {
    this.#id = id;
  }

  note(exchange: Exchange): void {
    const host = this.#host(exchange);
    if (host === null) {
      this.#further++;
      return;
    }
    host.request_bytes += exchange.requestBytes;
    host.response_bytes += exchange.responseBytes;
    const { credential, error } = exchange;
    if (exchange.kind === 'tunnel' && error === null) host.tunnels++;
    else if (exchange.upstreamStatus !== 0) {
      host.requests++;
      host.statuses[exchange.upstreamStatus] = (host.statuses[exchange.upstreamStatus] ?? 0) + 1;
    }
    if (credential !== null && host.credentials.length < MOST_CREDENTIALS && !host.credentials.includes(credential))
      host.credentials.push(credential);
    if (error !== null) noteProblem(host, exchange, error);
  }

  /** As it is now; later exchanges do not change what was handed out. */
  summary(): RunSummary {
    return structuredClone({ run_id: this.#id, hosts: [...this.#hosts.values()], requests_to_further_hosts: this.#further });
  }

  #host({ host, port }: Exchange): RunHost | null {
    const key = `${host}:${port}`;
    const known = this.#hosts.get(key);
    if (known !== undefined) return known;
    if (this.#hosts.size >= MOST_HOSTS) return null;
    const fresh: RunHost = { host, port, requests: 0, tunnels: 0, request_bytes: 0, response_bytes: 0, statuses: {}, credentials: [], problems: [] };
    this.#hosts.set(key, fresh);
    return fresh;
  }
}

function noteProblem(host: RunHost, exchange: Exchange, code: ErrorCode): void {
  const known = host.problems.find((problem) => problem.code === code);
  if (known !== undefined) known.count++;
  else {
    const outcome = exchange.outcome === 'completed' ? 'failed' : exchange.outcome;
    host.problems.push({ code, outcome, count: 1, detail: exchange.errorDetail ?? errorCatalogue[code].title, hint: hintFor(exchange, code) });
  }
}

function hintFor(exchange: Exchange, code: ErrorCode): string {
  // Where no rule was found, the stage that refused names the rule to add; asked once more, since a record keeps no hints.
  const again =
    code === 'policy_denied' && exchange.rule === null ? admit(Object.assign(new Exchange(exchange.door, ''), exchange), nothingAllowed) : null;
  return again instanceof SallyportError ? again.hint : errorCatalogue[code].hint;
}
