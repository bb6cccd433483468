import { STATUS_CODES } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Material } from '@sallyport/credentials';
import { asSallyportError, type ErrorCode, SallyportError } from '@sallyport/sdk';
import type { WaitedStep } from '../exchange.js';
import { pathForms } from '../policy/path-forms.js';
import { BodyKind } from '../wire/body-reader.js';
import { admit } from './admit.js';
import type { Binding } from './bindings.js';
import { adopt, consult, place, refreshAhead, unplace } from './consult.js';
import type { ConsultedPlugin } from './consulted-plugin.js';
import { failures } from './failure-codes.js';
import { Forward, type ForwardHooks, idempotent } from './forward.js';
import type { ForwardTarget } from './forward-targets.js';
import { inject } from './inject.js';
import type { Passage, Transaction } from './passage.js';
import { record } from './record.js';
import { resolve } from './resolve.js';
import { renewAfterRefusal, reviewByPlugin, traced, unlessAgain } from './review.js';
import { route } from './route.js';
import { sanitize } from './sanitize.js';
import { select } from './select.js';

/**
 * Takes an identified exchange through the stages, in their order, and answers the client whichever way it ends. Each stage that has nothing to
 * wait for is a plain call: a request whose credential is fresh and whose connection is warm leaves in the tick in which it came.
 * `choice` is the credential that the client asked for by name; null when it did not.
 */
export function run(passage: Passage, choice: string | null): void {
  const { exchange, runtime, transaction } = passage;
  const permits = admit(exchange, runtime.policy);
  if (permits instanceof SallyportError) {
    refuse(passage, permits);
    return;
  }
  passage.permits = permits;
  const full = exchange.kind === 'upgrade' ? runtime.noRoomForTunnel() : null;
  if (full !== null) refuse(passage, full);
  else if (transaction === null || runtime.plugin === null) withBinding(passage, choice);
  else if (runtime.plugin.routes) routed(passage, runtime.plugin, transaction, choice);
  else withPlugin(passage, runtime.plugin, transaction, choice);
}

/** Answers the client that its request does not get through, and ends the exchange. */
export function refuse(passage: Passage, error: SallyportError): void {
  const { exchange, client, door } = passage;
  const { status, contentType, lines, body } = door.refusal(exchange, error);
  exchange.outcome = failures.has(error.code) ? 'failed' : 'refused';
  exchange.error = error.code;
  exchange.errorDetail = error.message;
  exchange.denial = typeof error.members.reason === 'string' && denials.has(error.code) ? error.members.reason : null;
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
  sanitize: ({ door, injectedFields, injectedNames, placedValues }, head, dropped) =>
    sanitize(head, { sensitive: door.sensitiveFields, injected: injectedFields, injectedNames, placed: placedValues, dropped }),
  review(passage, status) {
    const { binding, transaction, destination, exchange } = passage;
    const { plugin } = passage.runtime;
    const modifies = plugin !== null && transaction !== null && destination === null && plugin.modifiesResponses && exchange.kind === 'request';
    const modify = modifies ? traced(passage, 'plugin.ModifyResponse', reviewByPlugin(passage, plugin, transaction)) : null;
    if (status !== 401 || !passage.renewable) return modify;
    // Once: what is refused a second time is refused for another reason.
    passage.renewable = false;
    if (binding !== null) {
      const renew = renewAfterRefusal((signal) => renewInjected(passage, binding, signal));
      return unlessAgain(traced(passage, 'credential.resolve', renew), modify);
    }
    if (plugin === null || transaction === null) return modify;
    const renew = renewAfterRefusal((signal) => renewPlaced(passage, plugin, transaction, signal));
    return unlessAgain(traced(passage, 'plugin.GetCredentials', renew), modify);
  },
  refuse(passage, error) {
    if (passage.destination === null) refuse(passage, error);
    else {
      passage.exchange.upstreamError = error.code;
      refuse(passage, unavailable(passage.destination, error));
    }
  },
  settle,
};

/** What kept us from a forward target is the business of whoever runs it; the log has it. */
function unavailable({ name }: ForwardTarget, error: SallyportError): SallyportError {
  if (!error.code.startsWith('upstream_')) return error;
  return new SallyportError('forward_target_unavailable', { members: { forward_target: name, reason: error.code }, cause: error });
}

/** Whether the same request can be sent a second time: it does the same then, and nothing of it is gone. */
function mayGoAgain({ exchange, client, wholeBody }: Passage): boolean {
  return idempotent.has(exchange.method) && (wholeBody !== null || client.bodyKind === BodyKind.none);
}

/** Codes with which policy says no, and in a member why. */
const denials: ReadonlySet<string> = new Set(['policy_denied', 'target_path_ambiguous']);

/** The way of a request to a forward target, or on to its credentials. */
function routed(passage: Passage, plugin: ConsultedPlugin, transaction: Transaction, choice: string | null): void {
  waitFor(
    passage,
    'plugin.RouteRequest',
    (signal) => plugin.host.routeRequest(transaction.context(), signal),
    (action) => {
      if (action === null) {
        passage.exchange.route = 'credentials';
        withPlugin(passage, plugin, transaction, choice);
      } else {
        route(passage, action.forwardTo);
        forward(passage);
      }
    },
    (error) => plugin.onFailure(error, passage.exchange.requestId),
  );
}

/** Credentials that the plugin gave before, or gives now. A plugin that gives none leaves them to the bindings. */
function withPlugin(passage: Passage, plugin: ConsultedPlugin, transaction: Transaction, choice: string | null): void {
  if (!plugin.givesCredentials) {
    withBinding(passage, choice);
    return;
  }
  passage.exchange.credential = plugin.host.name;
  const kept = plugin.credentials.cached(transaction.key);
  if (kept !== null) {
    passage.exchange.resolveMs = 0;
    if (Date.now() >= kept.refreshAt) refreshAhead(passage, plugin, transaction);
    place(passage, kept.fields);
    passage.renewable = mayGoAgain(passage);
    forward(passage);
    return;
  }
  waitFor(
    passage,
    'plugin.GetCredentials',
    (signal) => consult(passage, plugin, transaction, signal),
    ({ credential, changes }) => {
      const moved = changes !== null && adopt(passage, changes);
      if (credential !== null) place(passage, credential.fields);
      if (moved) admitAgain(passage);
      // What the plugin gives a single request may be tied to it: only what others get as well can be exchanged for another one.
      passage.renewable = credential !== null && credential === plugin.credentials.cached(transaction.key) && mayGoAgain(passage);
      forward(passage);
    },
    (error) => plugin.onFailure(error, passage.exchange.requestId),
  );
}

/** The upstream refused what the plugin gave: it is asked once more, but not for every request that is refused. */
async function renewPlaced(passage: Passage, plugin: ConsultedPlugin, transaction: Transaction, signal: AbortSignal): Promise<boolean> {
  const kept = plugin.credentials.cached(transaction.key);
  // Another one may be there by now: of many requests that are refused at once the first has it fetched.
  if (kept !== null && kept.fields.lines === passage.injectedLines) {
    if (!plugin.mayRenew(transaction.key)) return false;
    plugin.forget(transaction.key, kept);
  }
  const { credential } = await consult(passage, plugin, transaction, signal).catch((error: unknown) => {
    plugin.onFailure(asSallyportError(error), passage.exchange.requestId);
    throw error;
  });
  // As before: what is for one request only may need more than another credential.
  if (credential === null || credential !== plugin.credentials.cached(transaction.key) || credential.fields.lines === passage.injectedLines)
    return false;
  unplace(passage);
  place(passage, credential.fields);
  return true;
}

/** A plugin moved the request to another path: what holds for the first holds for that one. Throws what `admit` answers. */
function admitAgain(passage: Passage): void {
  const { exchange, runtime } = passage;
  if (pathForms(exchange.path) === null) throw new SallyportError('target_path_ambiguous');
  const permits = admit(exchange, runtime.policy);
  if (permits instanceof SallyportError) throw permits;
  passage.permits = permits;
}

function withBinding(passage: Passage, choice: string | null): void {
  const { exchange, runtime } = passage;
  const binding = select(exchange, exchange.caller, choice, runtime.bindings);
  if (binding instanceof SallyportError) refuse(passage, binding);
  else if (binding === null) forward(passage);
  else resolveThenForward(passage, binding);
}

function resolveThenForward(passage: Passage, binding: Binding): void {
  const { credential } = binding;
  const material = credential.current();
  if (material === null)
    waitFor(
      passage,
      'credential.resolve',
      (signal) => resolve(credential, signal),
      (fresh) => injectAndForward(passage, binding, fresh),
    );
  else {
    passage.exchange.resolveMs = 0;
    attempt(passage, () => injectAndForward(passage, binding, material));
  }
}

function injectAndForward(passage: Passage, binding: Binding, material: Material): void {
  inject(passage, binding, material);
  passage.renewable = binding.credential.renewable && mayGoAgain(passage);
  forward(passage);
}

/** The upstream refused what was injected: it is fetched once more, but not for every request that is refused. */
async function renewInjected(passage: Passage, binding: Binding, signal: AbortSignal): Promise<boolean> {
  const { credential } = binding;
  const refused = passage.material;
  if (refused === null) return false;
  if (credential.current() === refused) {
    if (!binding.mayRenew(performance.now())) return false;
    credential.invalidate(refused);
  }
  const fresh = await resolve(credential, signal);
  if (fresh.secret.reveal() === refused.secret.reveal()) return false;
  const { placedValues } = passage;
  const { secrets } = passage.exchange;
  passage.query = null;
  inject(passage, binding, fresh);
  // What was refused stays unwanted in the answer, and in the record.
  passage.placedValues = [...placedValues, ...passage.placedValues];
  passage.exchange.secrets = [...secrets, ...passage.exchange.secrets];
  return true;
}

function forward(passage: Passage): void {
  new Forward(passage, hooks).start();
}

/** Waits for one step of an exchange and goes on when it has come; who leaves meanwhile gives it up. */
function waitFor<T>(
  passage: Passage,
  name: WaitedStep,
  step: (signal: AbortSignal) => Promise<T>,
  proceed: (value: T) => void,
  onFailure?: Failed,
): void {
  const abort = new AbortController();
  const began = performance.now();
  const { client, exchange } = passage;
  client.onGone = () => abort.abort(new SallyportError('client_aborted'));
  const waited = (error: ErrorCode | null): void => {
    client.onGone = null;
    const ended = performance.now();
    exchange.resolveMs = Math.max(0, exchange.resolveMs) + ended - began;
    exchange.trace?.waited({ step: name, startTick: began, endTick: ended, error });
  };
  step(abort.signal).then(
    (value) => {
      waited(null);
      attempt(passage, () => proceed(value));
    },
    (error: unknown) => {
      const failure = asSallyportError(error);
      waited(failure.code);
      onFailure?.(failure);
      if (client.closed) abandon(passage);
      else refuse(passage, withoutSource(failure));
    },
  );
}

type Failed = (error: SallyportError) => void;

function attempt(passage: Passage, step: () => void): void {
  try {
    step();
  } catch (error) {
    refuse(passage, asSallyportError(error));
  }
}

/** The same failure without what only the operator should read: sources and stores name files, and quote programs. The log has all of it. */
function withoutSource(error: SallyportError): SallyportError {
  if (typeof error.members.credential !== 'string') return error;
  return new SallyportError(error.code, {
    detail: `the credential ${error.members.credential} could not be obtained`,
    members: error.members,
  });
}

/** The client left before there was anything to answer. */
function abandon(passage: Passage): void {
  passage.exchange.outcome = 'aborted';
  passage.exchange.error = 'client_aborted';
  settle(passage);
}
