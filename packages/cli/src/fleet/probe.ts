import { readFile } from 'node:fs/promises';
import { SallyportError } from '@sallyport/sdk';
import { Agent, request } from 'undici';
import { quoted } from '../onboard/quoted-text.js';
import type { Endpoint, TokenReference } from './instance.js';
import { probeFailure, UnexpectedAnswer } from './probe-failure.js';
import { type Reading, readMetrics } from './reading.js';

/** What one look at an instance brought. */
export type Probe =
  | {
      readonly ok: true;
      /** Null when it does not tell, as Chaperone does not. */
      readonly ready: boolean | null;
      readonly version: string | null;
      /** Null when the metrics could not be had; `note` says why then. */
      readonly reading: Reading | null;
      /** What is not as it should be, though the instance is alive. */
      readonly note: string | null;
    }
  | { readonly ok: false; readonly error: string };

/** Looks at one instance again and again over connections that are kept. */
export interface Prober {
  /** Never rejects; an abort is a failed look. */
  look(signal: AbortSignal): Promise<Probe>;
  close(): Promise<void>;
}

const SMALL = 64 * 1024;
const LARGE = 4 * 1024 * 1024;

/** All requests of one look together have `timeout` milliseconds. Answers have 64 KiB, metrics 4 MiB; redirects are not followed. */
export function createProber(endpoint: Endpoint, timeout: number): Prober {
  let agent: Promise<Agent> | null = null;
  async function connect(): Promise<Agent> {
    const ca = endpoint.ca === null ? null : await readFile(endpoint.ca, 'utf8');
    return new Agent({ connect: { timeout, ...(ca !== null && { ca }) }, connections: 4, pipelining: 1 });
  }

  async function look(outer: AbortSignal): Promise<Probe> {
    // Not AbortSignal.any: the outer signal lives as long as the command, and would remember every look.
    const stop = new AbortController();
    const { signal } = stop;
    const end = (): void => stop.abort();
    const timer = setTimeout(() => stop.abort(new DOMException('no answer in time', 'TimeoutError')), timeout);
    outer.addEventListener('abort', end, { once: true });
    try {
      agent ??= connect();
      const dispatcher = await agent;
      const token = await bearer(endpoint.token);
      const ask: Ask = async (path, most) => {
        const headers = { accept: path === '/metrics' ? 'text/plain;version=0.0.4' : 'application/json', ...token };
        const { statusCode, body } = await request(`${endpoint.url}${path}`, { dispatcher, signal, headers });
        return { status: statusCode, text: await textOf(body, most) };
      };
      await checkHealth(ask);
      const [version, readiness, metrics] = await Promise.all([askVersion(ask), askReadiness(ask), askMetrics(ask)]);
      return { ok: true, ready: readiness.ready, version, reading: metrics.reading, note: readiness.note ?? metrics.note };
    } catch (error) {
      // A file that was not there may be there the next time.
      if (agent !== null) await agent.catch(() => (agent = null));
      return { ok: false, error: probeFailure(endpoint, error, timeout) };
    } finally {
      clearTimeout(timer);
      outer.removeEventListener('abort', end);
    }
  }

  return {
    look,
    async close() {
      const open = await agent?.catch(() => null);
      await open?.destroy();
    },
  };
}

type Ask = (path: string, most: number) => Promise<{ readonly status: number; readonly text: string }>;

async function checkHealth(ask: Ask): Promise<void> {
  const { status, text } = await ask('/_ops/health', SMALL);
  if (status === 401 || status === 403)
    throw new UnexpectedAnswer(`it wants to know who asks (${status}): register it with --token-env or --token-file`);
  if (status === 421)
    throw new UnexpectedAnswer('it answers only to programs on its own machine: bind the ops listener to an address of the network');
  if (status !== 200) throw new UnexpectedAnswer(`it answers ${status} to /_ops/health: is this the ops listener?`);
  if (typeof members(text).status !== 'string') throw new UnexpectedAnswer('what answers is neither Sallyport nor Chaperone');
}

async function askVersion(ask: Ask): Promise<string | null> {
  const { status, text } = await ask('/_ops/version', SMALL);
  const { version } = members(text);
  return status === 200 && typeof version === 'string' ? quoted(version).slice(0, 64) : null;
}

async function askReadiness(ask: Ask): Promise<{ ready: boolean | null; note: string | null }> {
  const { status, text } = await ask('/_ops/ready', SMALL);
  if (status === 200) return { ready: true, note: null };
  if (status !== 503) return { ready: null, note: null };
  const { detail } = members(text);
  return { ready: false, note: typeof detail === 'string' ? quoted(detail) : 'it is not ready' };
}

async function askMetrics(ask: Ask): Promise<{ reading: Reading | null; note: string | null }> {
  const { status, text } = await ask('/metrics', LARGE);
  if (status !== 200) return { reading: null, note: `it answers ${status} to /metrics` };
  try {
    const reading = readMetrics(text, Date.now());
    return { reading, note: reading === null ? 'its metrics are neither those of Sallyport nor of Chaperone' : null };
  } catch (error) {
    if (error instanceof SallyportError) return { reading: null, note: error.message };
    throw error;
  }
}

/** The members of a JSON object; none of what is something else. */
function members(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

async function textOf(body: AsyncIterable<Uint8Array>, most: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    // Leaving the loop closes the connection.
    if (size > most) throw new UnexpectedAnswer(`an answer is larger than ${most / 1024} KiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function bearer(token: TokenReference | null): Promise<Record<string, string>> {
  if (token === null) return {};
  const value = 'env' in token ? process.env[token.env] : (await readFile(token.file, 'utf8')).trim();
  if (value === undefined || !/^[\x21-\x7e]+$/.test(value)) {
    throw new UnexpectedAnswer(`its token is not in ${'env' in token ? `the variable ${token.env}` : token.file}`);
  }
  return { authorization: `Bearer ${value}` };
}
