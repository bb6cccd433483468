import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsOptions } from 'node:tls';
import { type Authority, openAuthority } from '../tls/authority.js';
import { leafMinter } from '../tls/leaf.js';

/** An authority in a directory of its own, for the certificates of upstreams. */
export interface TestAuthority {
  readonly authority: Authority;
  /** Where its certificate is, for `gateway.upstream.ca`. */
  readonly path: string;
  /** What a TLS server needs to be `host`, with a certificate that was made at `now`, milliseconds since the epoch, for the next `lifetime`. */
  serverFor(host: string, now?: number, lifetime?: number): TlsOptions;
  remove(): Promise<void>;
}

/** Makes one. */
export async function testAuthority(): Promise<TestAuthority> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-test-'));
  const authority = await openAuthority({ dir: directory, create: true });
  return {
    authority,
    path: authority.certificatePath,
    serverFor(host, now = Date.now(), lifetime = 3_600_000) {
      const minter = leafMinter(authority, lifetime);
      return { key: minter.keyPem, cert: minter.mint(host, now).pem };
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
