import { type FakeReply, type FakeServer, fakeServer } from './http-server.test.support.js';

/** A service that keeps the contract of `controlPlaneTokenStore`. */
export interface FakeControlPlane extends FakeServer {
  /** Bodies by key. */
  readonly records: Map<string, { readonly body: string; readonly etag: string }>;
  /** What has to be in Authorization behind `Bearer `. */
  token: string;
}

/** Starts it empty. */
export async function fakeControlPlane(): Promise<FakeControlPlane> {
  const records: FakeControlPlane['records'] = new Map();
  let writes = 0;

  const server = await fakeServer(({ headers, method, path, body }): FakeReply => {
    if (headers.authorization !== `Bearer ${plane.token}`) return { status: 401, headers: { 'www-authenticate': 'Bearer' } };
    const key = /^\/v1\/tokens\/([^/]+)$/.exec(path)?.[1];
    if (key === undefined) return { status: 404 };
    const stored = records.get(key);
    if (method === 'GET') return stored === undefined ? { status: 404 } : { status: 200, headers: { etag: stored.etag }, body: stored.body };
    const holds = headers['if-none-match'] === '*' ? stored === undefined : stored !== undefined && headers['if-match'] === stored.etag;
    if (!holds) return { status: 412 };
    writes += 1;
    records.set(key, { body, etag: `"${writes}"` });
    return { status: stored === undefined ? 201 : 204, headers: { etag: `"${writes}"` } };
  });
  const plane: FakeControlPlane = Object.assign(server, { records, token: 'control-plane-token-value' });
  return plane;
}
