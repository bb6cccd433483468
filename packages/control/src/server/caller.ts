import type { Actor, Requester } from '../actors/actor.js';
import type { Credentials, IdentifiedCaller, Caller as ShownCaller } from '../sessions/identify-caller.js';

/** Who calls: an actor, in whose name changes are made, and what it has shown to say so. */
export interface Caller {
  readonly actor: Actor;
  readonly by: Requester;
  /** A token or a session. */
  readonly shown: Exclude<ShownCaller, { readonly kind: 'anonymous' }>;
}

/** Says who calls a service. Rejects when what a request shows does not hold. */
export type IdentifyCaller = (
  credentials: Credentials,
  service: string,
  who: { readonly requestId: string; readonly signal: AbortSignal },
) => Promise<IdentifiedCaller>;

/** The caller of a request; null is nobody. */
export function callerOf({ caller: shown }: IdentifiedCaller, requestId: string): Caller | null {
  if (shown.kind === 'anonymous') return null;
  const { actor, authority } = shown;
  return { actor, by: { context: { actorId: actor.id, requestId }, authority }, shown };
}
