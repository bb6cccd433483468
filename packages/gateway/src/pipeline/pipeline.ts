import { STATUS_CODES } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Material } from '@sallyport/credentials';
import { asSallyportError, SallyportError } from '@sallyport/sdk';
import { admit } from './admit.js';
import type { Binding } from './bindings.js';
import { Forward, type ForwardHooks } from './forward.js';
import { inject } from './inject.js';
import type { Passage } from './passage.js';
import { record } from './record.js';
import { resolve } from './resolve.js';
import { sanitize } from './sanitize.js';
import { select } from './select.js';

/**
 * Takes an identified exchange through the stages, in their order, and answers the client whichever way it ends. Each stage that has nothing to
 * wait for is a plain call: a request whose credential is fresh and whose connection is warm leaves in the tick in which it came.
 * `choice` is the credential that the client asked for by name; null when it did not.
 */
export function run(passage: Passage, choice: string | null): void {
  const { exchange, runtime } = passage;
  const permits = admit(exchange, runtime.policy);
  if (permits instanceof SallyportError) {
    refuse(passage, permits);
    return;
  }
  passage.permits = permits;
  const full = exchange.kind === 'upgrade' ? runtime.noRoomForTunnel() : null;
  if (full !== null) {
    refuse(passage, full);
    return;
  }
  const binding = select(exchange, exchange.caller, choice, runtime.bindings);
  if (binding instanceof SallyportError) refuse(passage, binding);
  else if (binding === null) new Forward(passage, hooks).start();
  else resolveThenForward(passage, binding);
}

/** Answers the client that its request does not get through, and ends the exchange. */
export function refuse(passage: Passage, error: SallyportError): void {
  const { exchange, client, door } = passage;
  const { status, contentType, lines, body } = door.refusal(exchange, error);
  exchange.outcome = failures.has(error.code) ? 'failed' : 'refused';
  exchange.error = error.code;
  exchange.errorDetail = error.message;
  exchange.status = client.closed ? 0 : status;
  // The rest of a body that nobody reads would be taken for the next request.
  if (!client.body.done) client.persistent = false;
  const encoded = Buffer.from(body, 'utf8').toString('latin1');
  const connection = client.persistent ? (client.head.minorVersion === 0 ? 'Connection: keep-alive\r\n' : '') : 'Connection: close\r\n';
  client.write(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\nContent-Type: ${contentType}\r\nContent-Length: ${encoded.length}\r\n` +
      `X-Sallyport-Error: ${error.code}\r\n${lines}${connection}\r\n${exchange.method === 'HEAD' ? '' : encoded}`,
  );
  settle(passage);
  client.finish();
}

/** The exchange is over: it is recorded, and its configuration may go if it was the last one to need it. */
export function settle(passage: Passage): void {
  record(passage, passage.runtime.recorder);
  passage.runtime.leave();
}

const hooks: ForwardHooks = {
  sanitize: ({ door, injectedFields, placedValues }, head, dropped) =>
    sanitize(head, { sensitive: door.sensitiveFields, injected: injectedFields, placed: placedValues, dropped }),
  refuse,
  settle,
};

/** Codes that mean something went wrong, rather than that somebody said no. */
const failures: ReadonlySet<string> = new Set([
  'credential_unavailable',
  'credential_unusable',
  'upstream_dns_failed',
  'upstream_refused',
  'upstream_unreachable',
  'upstream_reset',
  'upstream_connect_timeout',
  'upstream_tls_timeout',
  'upstream_tls_expired',
  'upstream_tls_name_mismatch',
  'upstream_tls_untrusted',
  'upstream_tls_failed',
  'upstream_response_timeout',
  'upstream_response_malformed',
  'upstream_idle_timeout',
  'total_timeout',
  'internal_error',
]);

function resolveThenForward(passage: Passage, binding: Binding): void {
  let abort: AbortController | null = null;
  const material = resolve(binding.credential, () => {
    abort = new AbortController();
    return abort.signal;
  });
  if (!(material instanceof Promise)) {
    passage.exchange.resolveMs = 0;
    injectAndForward(passage, binding, material);
    return;
  }
  const began = performance.now();
  const { client, exchange } = passage;
  client.onGone = () => abort?.abort(new SallyportError('client_aborted'));
  const waited = (): void => {
    client.onGone = null;
    exchange.resolveMs = performance.now() - began;
  };
  material.then(
    (fresh) => {
      waited();
      injectAndForward(passage, binding, fresh);
    },
    (error: unknown) => {
      waited();
      if (client.closed) abandon(passage);
      else refuse(passage, withoutSource(asSallyportError(error)));
    },
  );
}

function injectAndForward(passage: Passage, binding: Binding, material: Material): void {
  try {
    inject(passage, binding, material);
  } catch (error) {
    refuse(passage, asSallyportError(error));
    return;
  }
  new Forward(passage, hooks).start();
}

/** The same failure without what only the operator should read: sources name files and quote programs. The log has all of it. */
function withoutSource(error: SallyportError): SallyportError {
  if (error.code !== 'credential_unavailable') return error;
  return new SallyportError(error.code, {
    detail: `the credential ${String(error.members.credential)} could not be obtained`,
    members: error.members,
  });
}

/** The client left before there was anything to answer. */
function abandon(passage: Passage): void {
  passage.exchange.outcome = 'aborted';
  passage.exchange.error = 'client_aborted';
  settle(passage);
}
