import { type LookupAddress, lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { judgeAddress } from '@sallyport/gateway';
import { SallyportError } from '@sallyport/sdk';
import { Agent, request } from 'undici';
import type { FindKeys } from './issuers.js';
import { parseKeySet } from './key-set.js';
import type { VerificationKey } from './verification-key.js';

/** Where keys are fetched, and how often. Times in milliseconds. */
export interface RemoteKeySetOptions {
  /** `https:` only, without user information. */
  readonly url: string;
  /** How long fetched keys are used before they are fetched anew. 10 minutes when left out. */
  readonly maxAge?: number;
  /** The least time between two fetches, however many unknown key ids come along. 30 seconds when left out. */
  readonly cooldown?: number;
  /** How long keys are still used when fetching fails. One hour when left out. */
  readonly maxStale?: number;
  readonly timeout?: number;
  /** Certificates to trust instead of those of Node, in PEM. */
  readonly ca?: string;
  /** Whether an address may be dialed. Global addresses only when left out. */
  readonly mayDial?: (address: string) => boolean;
  /** Never runs backwards: with a clock that is put right, keys of a wrong time would be good for ever. */
  readonly clock?: () => number;
}

const LARGEST = 256 * 1024;

/**
 * Keys of a JWKS address. The resolved address is judged and is the one that is dialed; redirects are not followed; an answer that is too large, too slow
 * or no key set leaves the keys as they are. Shared secrets in it are never used. `close` ends its connections.
 */
export function remoteKeySet(options: RemoteKeySetOptions): { readonly findKeys: FindKeys; readonly close: () => Promise<void> } {
  const { maxAge = 600_000, cooldown = 30_000, maxStale = 3_600_000, timeout = 5_000, clock = () => performance.now() } = options;
  const mayDial = options.mayDial ?? ((address: string) => judgeAddress(address, []).allowed);
  const url = keySetUrl(options.url);
  const agent = new Agent({
    connections: 2,
    connect: { lookup: judgingLookup(mayDial), timeout, ...(options.ca === undefined ? {} : { ca: options.ca }) },
    headersTimeout: timeout,
    bodyTimeout: timeout,
  });
  let keys: readonly VerificationKey[] = [];
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let underWay: Promise<void> | undefined;
  let failure: unknown;

  async function fetchKeys(): Promise<void> {
    triedAt = clock();
    try {
      const literal = url.hostname.replace(/^\[|\]$/g, '');
      // An address in the URL is dialed without a look-up, so it is judged here.
      if (isIP(literal) !== 0 && !mayDial(literal)) throw new Error('the address may not be dialed');
      const answer = await request(url, { dispatcher: agent, headers: { accept: 'application/json' }, signal: AbortSignal.timeout(timeout) });
      const body = await readBounded(answer.body);
      if (answer.statusCode !== 200) throw new Error(`the answer is ${answer.statusCode}`);
      keys = await parseKeySet(JSON.parse(body), { strict: false, shared: false });
      fetchedAt = clock();
      failure = undefined;
    } catch (error) {
      failure = error;
    }
  }

  // One fetch at a time, whoever asks; who gives up leaves it to the others.
  async function refresh(): Promise<void> {
    if (clock() - triedAt < cooldown && underWay === undefined) return;
    underWay ??= fetchKeys().finally(() => {
      underWay = undefined;
    });
    await underWay;
  }

  return {
    async findKeys({ kid }, signal) {
      const among = (): readonly VerificationKey[] => (kid === undefined ? (keys.length === 1 ? keys : []) : keys.filter((key) => key.kid === kid));
      if (clock() - fetchedAt >= maxAge || among().length === 0) await refresh();
      signal?.throwIfAborted();
      if (clock() - fetchedAt >= maxAge + maxStale) throw new SallyportError('token_keys_unavailable', { cause: failure });
      return among();
    },
    close: () => agent.destroy(),
  };
}

function keySetUrl(text: string): URL {
  const url = URL.parse(text);
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw new SallyportError('actor_key_invalid', { detail: 'Keys are fetched from an https: address without user information' });
  }
  return url;
}

function judgingLookup(mayDial: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      const [first] = error === null ? addresses : [];
      if (error !== null || first === undefined) return callback(error ?? new Error('the name has no address'), '', 0);
      // One forbidden address among good ones is how rebinding begins.
      if (!addresses.every(({ address }) => mayDial(address))) return callback(new Error('the address may not be dialed'), '', 0);
      return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family);
    });
  };
}

async function readBounded(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > LARGEST) throw new Error(`the answer is larger than ${LARGEST} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
