import { createSecureContext, type SecureContext } from 'node:tls';
import { LRUCache } from 'lru-cache';
import { canonicalHost } from '../policy/canonical-host.js';
import type { Authority } from './authority.js';
import { type LeafMinter, leafMinter } from './leaf.js';

interface Entry {
  readonly context: SecureContext;
  /** Milliseconds since the epoch: handed out from here … */
  readonly usableFrom: number;
  /** … until here. */
  readonly renewAt: number;
}

/**
 * The TLS server contexts that interception answers with, one for each host. Contexts are kept, not only certificates: making one costs far more
 * than minting, and OpenSSL keeps the keys of its session tickets in it, so a client that comes back resumes its session only on the same context.
 * At most `max` contexts are kept; the one unused for longest goes first.
 */
export class LeafContexts {
  readonly #minter: LeafMinter;
  readonly #authorityEnd: number;
  readonly #entries: LRUCache<string, Entry>;
  readonly #now: () => number;

  constructor(authority: Authority, { max = 1024, lifetime, now = Date.now }: { max?: number; lifetime?: number; now?: () => number } = {}) {
    this.#minter = leafMinter(authority, lifetime);
    this.#authorityEnd = authority.notAfter;
    this.#entries = new LRUCache({ max });
    this.#now = now;
  }

  /**
   * The context for serving as `host`, a name or an address in any spelling that `canonicalHost` reads. Minted on first use, then the same one until
   * a third of the lifetime of its certificate is left. It offers TLS 1.2 and 1.3; ALPN belongs to the socket.
   * Throws `target_invalid` for what is no host, `authority_invalid` once the authority has expired.
   */
  for(host: string): SecureContext {
    const name = canonicalHost(host).text;
    const now = this.#now();
    const known = this.#entries.get(name);
    // A clock that was set back must not leave us serving certificates from the future.
    if (known !== undefined && now >= known.usableFrom && now < known.renewAt) return known.context;
    const made = this.#make(name, now);
    this.#entries.set(name, made);
    return made.context;
  }

  #make(name: string, now: number): Entry {
    const { pem, notBefore, notAfter } = this.#minter.mint(name, now);
    const context = createSecureContext({
      cert: pem,
      key: this.#minter.keyPem,
      // The leaf goes out alone: clients hold the authority as a root, and a root on the wire proves nothing. With a CA store OpenSSL would complete
      // the chain from it by itself, so the store stays empty; that also spares the first interception the loading of Node's roots.
      ca: [],
      minVersion: 'TLSv1.2',
    });
    // A new leaf cannot outlive the authority: near its end, renewing would mint for every connection and gain nothing.
    const renewAt = notAfter < this.#authorityEnd ? notAfter - (notAfter - notBefore) / 3 : notAfter;
    return { context, usableFrom: notBefore, renewAt };
  }
}
