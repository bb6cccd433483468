import { Readable } from 'node:stream';
import type { Client, Fetch } from '@sallyport/client';
import type { Secret } from '@sallyport/sdk';
import { withServerFailures } from './server-failure.js';
import { basePath } from './server-url.js';

/** Whom a client talks to, and how it proves who asks. */
export interface ApiClientOptions {
  readonly address: URL;
  readonly token: () => Promise<Secret>;
  /** Authorities in PEM, instead of the public ones. */
  readonly authorities?: string | undefined;
}

/**
 * Opens a client of this service, has `work` do its work with it, and closes it. What the client rejects with becomes an error of ours: that of the problem
 * document, `server_refused`, `server_unreachable` or `server_answer_invalid`.
 */
export async function withClient<T>({ address, token, authorities }: ApiClientOptions, work: (client: Client) => Promise<T>): Promise<T> {
  const [{ createClient }, { Agent, request }] = await Promise.all([import('@sallyport/client'), import('undici')]);
  const dispatcher = new Agent({ connect: authorities === undefined ? {} : { ca: authorities }, connections: 4 });
  // Not the `fetch` of undici: it refuses ports that browsers keep away from, and a control plane may listen there.
  const fetch: Fetch = async (url, { method, headers, body, signal }) => {
    const answer = await request(url, { dispatcher, method: method as 'GET', headers, signal, ...(body !== undefined && { body }) });
    return { status: answer.statusCode, headers: { get: (name) => one(answer.headers[name]) }, body: Readable.toWeb(answer.body) };
  };
  const client = createClient({
    baseUrl: `${address.origin}${basePath(address)}`,
    getToken: async () => (await token()).reveal(),
    fetch,
  });
  try {
    return await withServerFailures(address.origin, () => work(client));
  } finally {
    await dispatcher.destroy();
  }
}

function one(field: string | string[] | undefined): string | null {
  return (Array.isArray(field) ? field[0] : field) ?? null;
}
