import type { MutableBody, MutableRequest, MutableResponse } from '../plugin.js';

/** A body that remembers what was done to it. */
interface ProbeBody extends MutableBody {
  /** True when `replace` was called. */
  readonly wasReplaced: boolean;
  /** True when somebody wrote into bytes that `bytes` had handed out. */
  wasTamperedWith(): boolean;
}

/** A request that remembers how it was. */
export interface ProbeRequest extends MutableRequest {
  readonly body: ProbeBody;
  /** Names of the header fields that were added or changed, in lower case. */
  changedFields(): readonly string[];
  /** True when a header field, the target or the body is another one. */
  wasChanged(): boolean;
  /** True when scheme, user, host, port or fragment of the target are other ones. */
  wasRedirected(): boolean;
}

/** What goes into a probe. */
export interface RequestFields {
  readonly method?: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A request as a gateway would hand it to a plugin. */
export function probeRequest({ method = 'POST', url, headers = {}, body = '{"quantity":1}' }: RequestFields): ProbeRequest {
  const before = new Headers({ accept: 'application/json', 'content-type': 'application/json', ...headers });
  const target = new URL(url);
  const parts = ['origin', 'username', 'password', 'hash'] as const;
  return {
    method,
    url: new URL(url),
    headers: new Headers(before),
    body: probeBody(new TextEncoder().encode(body)),
    changedFields() {
      return [...this.headers].filter(([name, value]) => before.get(name) !== value).map(([name]) => name);
    },
    wasChanged() {
      const wasRemoved = [...before.keys()].some((name) => !this.headers.has(name));
      return wasRemoved || this.changedFields().length > 0 || this.url.href !== target.href || this.body.wasReplaced;
    },
    wasRedirected() {
      return parts.some((part) => this.url[part] !== target[part]);
    },
  };
}

/** A response as a gateway would hand it to a plugin. */
export function probeResponse(status: number, headers: Readonly<Record<string, string>>, body: Uint8Array): MutableResponse {
  return { status, headers: new Headers(headers), body: probeBody(body) };
}

function probeBody(original: Uint8Array): ProbeBody {
  const handedOut: { readonly bytes: Uint8Array; readonly copy: Uint8Array }[] = [];
  let current = original;
  let wasReplaced = false;
  return {
    bytes() {
      const bytes = current.slice();
      handedOut.push({ bytes, copy: current });
      return Promise.resolve(bytes);
    },
    replace(bytes) {
      current = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes.slice();
      wasReplaced = true;
    },
    get wasReplaced() {
      return wasReplaced;
    },
    wasTamperedWith() {
      return !wasReplaced && handedOut.some(({ bytes, copy }) => bytes.some((byte, i) => byte !== copy[i]));
    },
  };
}
