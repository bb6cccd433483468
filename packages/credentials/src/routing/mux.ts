import {
  type CallOptions,
  type CertificateSigner,
  type Credential,
  type CredentialProvider,
  type MutableRequest,
  type MutableResponse,
  type RequestRouter,
  type ResponseAction,
  type ResponseModifier,
  type RouteAction,
  SallyportError,
  type TransactionContext,
} from '@sallyport/sdk';
import { describeCall } from './describe-call.js';
import { Overlaps } from './overlaps.js';
import { type CompiledRoute, compileRoute, type Route } from './route.js';
import { RouteIndex } from './route-index.js';
import { routeInvalid } from './route-invalid.js';
import type { OnWarning, RoutingOptions } from './routing-options.js';

type Action = { readonly provider: CredentialProvider | null } | { readonly forward: RouteAction };

/**
 * A plugin made of others: the best route for a call decides who gives its credential, or to which forward target it goes. The most specific route
 * wins (most fields and data entries), among equals the one with the most fields without wildcards, then the one registered first.
 *
 * Register all routes before the first call; calls may then come in parallel. Warns when only the order of registration decides between two routes.
 */
export class Mux implements CredentialProvider, CertificateSigner, ResponseModifier, RequestRouter {
  /** Signs certificate requests; without one `signCsr` throws `signing_not_configured`. */
  signer: CertificateSigner | null = null;
  /** Looks at every response, whatever its route. */
  responseModifier: ResponseModifier | null = null;
  readonly #index = new RouteIndex<Action>();
  readonly #overlaps = new Overlaps();
  readonly #targets = new Set<string>();
  readonly #onWarning: OnWarning | null;
  #default: CredentialProvider | null = null;
  #count = 0;

  constructor(options: RoutingOptions = {}) {
    this.#onWarning = options.onWarning ?? null;
  }

  /**
   * Calls that the route matches get their credential from the provider. Null is taken, and found out by the first call (`provider_missing`).
   * Throws `route_invalid`.
   */
  handle(route: Route, provider: CredentialProvider | null): void {
    const compiled = compileRoute(route, this.#nextName());
    this.#register(compiled, { provider: checkedProvider(provider, this.#nextName()) });
  }

  /** Calls that the route matches go to the named forward target. Throws `route_invalid`, also for an empty name. */
  handleForward(route: Route, target: string): void {
    const compiled = compileRoute(route, this.#nextName());
    if (typeof target !== 'string' || target === '') throw routeInvalid(`${this.#nextName()}: the name of the forward target is empty`);
    this.#register(compiled, { forward: Object.freeze({ forwardTo: target }) });
    this.#targets.add(target);
  }

  /** Gives credentials to the calls that no route matches. */
  default(provider: CredentialProvider): void {
    this.#default = checkedProvider(provider, 'the default');
  }

  /** Asks the provider of the best route. Throws `route_not_found`, `forward_unexpected` or `provider_missing`, and whatever the provider throws. */
  getCredentials(context: TransactionContext, request: MutableRequest, options: CallOptions): Credential | null | Promise<Credential | null> {
    const action = this.#index.find(context);
    if (action !== null && 'forward' in action) {
      throw new SallyportError('forward_unexpected', { detail: `matched route is a forward action; ${describeCall(context)}` });
    }
    const provider = action === null ? this.#default : action.provider;
    if (provider !== null) return provider.getCredentials(context, request, options);
    if (action === null) throw new SallyportError('route_not_found', { detail: `no route matched; ${describeCall(context)}` });
    throw new SallyportError('provider_missing', { detail: `credential action has nil provider; ${describeCall(context)}` });
  }

  /** The forward target of the best route; null when that route has a provider, and when there is none. */
  routeRequest(context: TransactionContext): RouteAction | null {
    const action = this.#index.find(context);
    return action !== null && 'forward' in action ? action.forward : null;
  }

  /** The forward targets of all routes, each once. */
  forwardReferences(): readonly string[] {
    return [...this.#targets];
  }

  /** Asks the signer. Throws `signing_not_configured` when there is none. */
  signCsr(csr: string, options: CallOptions): string | Promise<string> {
    if (this.signer === null) throw new SallyportError('signing_not_configured');
    return this.signer.signCsr(csr, options);
  }

  /** Asks the response modifier; null when there is none. */
  modifyResponse(
    context: TransactionContext,
    response: MutableResponse,
    options: CallOptions,
  ): ResponseAction | null | Promise<ResponseAction | null> {
    return this.responseModifier === null ? null : this.responseModifier.modifyResponse(context, response, options);
  }

  #nextName(): string {
    return `routes[${this.#count}]`;
  }

  #register(route: CompiledRoute, action: Action): void {
    this.#count++;
    this.#index.add(route, action);
    if (this.#onWarning === null) return;
    const existing = this.#overlaps.add(route);
    if (existing === null) return;
    this.#onWarning('routes registered with equal specificity may overlap, first registered wins on tie', {
      existing_route: existing.route,
      new_route: route.route,
    });
  }
}

function checkedProvider(provider: CredentialProvider | null, where: string): CredentialProvider | null {
  // Without types, a plugin may register anything.
  if (provider === null || typeof provider?.getCredentials === 'function') return provider;
  throw routeInvalid(`${where}: the provider has no method getCredentials`);
}
