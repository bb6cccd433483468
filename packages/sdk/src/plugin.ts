import type { TransactionContext } from './transaction-context.js';

/**
 * What goes into a request (fast path): header fields that replace those of the same name. The gateway keeps it until `expiresAt` and gives it to
 * every call with the same context, without asking the plugin again.
 */
export interface Credential {
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch; a little before the real expiry. It must lie in the future. */
  readonly expiresAt: number;
}

/** The body of a message, read only when it is asked for and bounded by `limits.plugin_body`. */
export interface MutableBody {
  /** All of it; the message still carries it afterwards. Throws `body_too_large` beyond the limit. */
  bytes(): Promise<Uint8Array>;
  /** Replaces it; the gateway corrects the framing and removes the fields that described the old one. */
  replace(bytes: Uint8Array | string): void;
}

/** A request on its way out (slow path): what a plugin changes here is what the vendor gets. */
export interface MutableRequest {
  readonly method: string;
  /** The target, absolute. A plugin may change path and query; scheme, host and port were admitted and stay. */
  url: URL;
  readonly headers: Headers;
  readonly body: MutableBody;
}

/** A response on its way back, before sensitive fields are removed and errors are normalized. */
export interface MutableResponse {
  status: number;
  readonly headers: Headers;
  readonly body: MutableBody;
}

/** What a response modifier asks for beyond its own changes. */
export interface ResponseAction {
  /** Lets the body of a 4xx or 5xx through as the vendor sent it; sensitive fields are removed all the same. */
  readonly skipErrorNormalization?: boolean;
}

/** Sends a call to a forward target instead of the vendor. */
export interface RouteAction {
  /** Name of a forward target in the configuration; not empty. */
  readonly forwardTo: string;
}

/** What a method of a plugin gets besides its subject. */
export interface CallOptions {
  /** Aborted when the client is gone or the time of the plugin is up; the gateway waits no longer than that, whatever the plugin does. */
  readonly signal: AbortSignal;
}

type Awaitable<T> = T | Promise<T>;

/** Gives calls their credentials. */
export interface CredentialProvider {
  /**
   * A `Credential` (fast path: kept and reused), or null when the request was changed in place or needs nothing (slow path: asked again for every
   * call). Header fields that were added or changed in place are treated like injected ones: removed from the response, redacted in records.
   */
  getCredentials(context: TransactionContext, request: MutableRequest, options: CallOptions): Awaitable<Credential | null>;
}

/** Signs certificate requests with the distributor's own authority. */
export interface CertificateSigner {
  /** `csr` and the answer are PEM; the answer may carry the chain behind the certificate. */
  signCsr(csr: string, options: CallOptions): Awaitable<string>;
}

/** Looks at responses before they are sanitized, and may change them. */
export interface ResponseModifier {
  /** A failure is recorded and the response goes on as it is. */
  modifyResponse(context: TransactionContext, response: MutableResponse, options: CallOptions): Awaitable<ResponseAction | null>;
}

/** Decides which calls go to a forward target. */
export interface RequestRouter {
  /** Null: the vendor is called. */
  routeRequest(context: TransactionContext, options: CallOptions): Awaitable<RouteAction | null>;
  /** Names of all forward targets that `routeRequest` may answer; checked against the configuration at start. */
  forwardReferences?(): readonly string[];
}

/** What a plugin module exports by default, or what is passed to `createGateway`: any of these, at least one. */
export type Plugin = Partial<CredentialProvider & CertificateSigner & ResponseModifier & RequestRouter>;

/** True when the credential may not be used any more; null counts as expired. */
export function isExpired(credential: Credential | null, now = Date.now()): boolean {
  return timeToLive(credential, now) === 0;
}

/** Milliseconds that are left to a credential; 0 when there is none or it has expired. */
export function timeToLive(credential: Credential | null, now = Date.now()): number {
  return credential === null || !Number.isFinite(credential.expiresAt) ? 0 : Math.max(0, credential.expiresAt - now);
}
