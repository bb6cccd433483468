import { Agent, type IncomingMessage, request } from 'node:http';
import { SallyportError } from '@sallyport/sdk';
import { type RunOffer, runsPath } from './run-protocol.js';
import type { RunSummary } from './run-tally.js';
import type { RunCredentials } from './runs.js';

/** A run that is registered with a gateway of another process. */
export interface JoinedRun {
  readonly offer: RunOffer;
  /** Aborted when the gateway goes away before the run has ended. */
  readonly lost: AbortSignal;
  /** Withdraws the token. Answers what the run did; null when the gateway is gone and with it the answer. */
  end(): Promise<RunSummary | null>;
}

const TIMEOUT = 10_000;
const LARGEST_ANSWER = 16 * 1024 * 1024;

/**
 * Registers a run with the gateway behind a control socket; null when no gateway is there. The run lives until `end` or until this process ends.
 * Errors: `not_ready` when something is there but does not answer as a gateway does, otherwise those of the gateway.
 */
export async function joinGateway(socketPath: string, credentials: RunCredentials): Promise<JoinedRun | null> {
  // One connection for everything: the run ends with it.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const lost = new AbortController();
  const body = credentials === 'default' ? '{}' : JSON.stringify({ credentials });
  let ended = false;
  const onClose = (): void => {
    if (!ended) lost.abort();
  };
  let offer: RunOffer;
  try {
    offer = (await call(agent, socketPath, 'POST', runsPath, body, onClose)) as RunOffer;
  } catch (error) {
    agent.destroy();
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')) return null;
    throw error instanceof SallyportError ? error : unreachable(socketPath, error);
  }
  return {
    offer,
    lost: lost.signal,
    async end() {
      try {
        return lost.signal.aborted ? null : ((await call(agent, socketPath, 'DELETE', `${runsPath}/${offer.run_id}`, '', null)) as RunSummary);
      } catch {
        return null;
      } finally {
        ended = true;
        agent.destroy();
      }
    },
  };
}

function call(agent: Agent, socketPath: string, method: string, path: string, body: string, onClose: (() => void) | null): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const sent = request({ agent, socketPath, method, path, timeout: TIMEOUT, headers: { 'Content-Type': 'application/json' } });
    sent.once('timeout', () => sent.destroy(new Error('no answer')));
    sent.once('error', reject);
    sent.once('response', (response) => {
      const { socket } = response;
      readAnswer(response).then((answer) => {
        // The time limit was for the answer; from now on the connection is silent.
        socket.setTimeout(0);
        if (onClose !== null) socket.once('close', onClose);
        resolve(answer);
      }, reject);
    });
    sent.end(body);
  });
}

async function readAnswer(response: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_ANSWER) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  const answer = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>;
  const { statusCode = 0 } = response;
  if (statusCode < 300) return answer;
  throw refusal(answer);
}

/** The error that a problem document stands for. Of the codes only those that the server of runs answers with are taken over. */
function refusal({ code, detail, hint }: Record<string, unknown>): SallyportError {
  const known = code === 'credential_unavailable' || code === 'limit_exceeded' || code === 'not_ready' ? code : 'not_ready';
  return new SallyportError(known, { ...(typeof detail === 'string' && { detail }), ...(typeof hint === 'string' && { hint }) });
}

function unreachable(socketPath: string, cause: unknown): SallyportError {
  return new SallyportError('not_ready', {
    detail: `The gateway that runs with this configuration does not answer at ${socketPath}.`,
    hint: 'Look into its log. If it is gone, remove that file and try again.',
    cause,
  });
}
