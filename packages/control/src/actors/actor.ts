import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import type { ChangeContext } from '../audit/audit-trail.js';
import { isNamespacePath } from '../namespaces/namespace-path.js';
import type { Authority } from '../permissions/authority.js';
import { type Permission, parsePermissions, permissionTemplateSchema } from '../permissions/permission.js';
import type { ActorRow, ActorSource } from './actor-store.js';

/** A user or a service account. Times in milliseconds since 1970. `permissions` is what is stored: templates are not filled in. */
export interface Actor {
  readonly id: string;
  readonly namespace: string;
  readonly external_id: string;
  readonly permissions: readonly Permission[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly source: ActorSource;
  readonly version: number;
  /** Tokens that this system has made for the actor are good only with this number in them: it changes when all of them are to end. */
  readonly token_generation: number;
  readonly created_at: number;
  readonly updated_at: number;
}

/** Who makes a change, and what they may do: nobody changes or grants more than that. */
export interface Requester {
  readonly context: ChangeContext;
  readonly authority: Authority;
}

/** What can be said about an actor. A member that is left out stays as it is. */
export interface ActorDescription {
  readonly permissions?: readonly Permission[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** How somebody else calls an actor: 1 to 256 characters of text, none of them a control character. */
export const externalIdSchema = z.string().min(1).max(256).refine(isPlainText, 'holds what is not text');
const map = z.record(z.string(), z.string());
const description = z.strictObject({
  external_id: externalIdSchema,
  namespace: z.string().refine(isNamespacePath).default('root'),
  permissions: z.unknown().optional(),
  labels: map.optional(),
  annotations: map.optional(),
});

/** An actor as an API call, a configuration or a token describes it. Fails with `actor_invalid` or `permission_invalid`. */
export function readActorDescription(input: unknown): ActorDescription & { readonly namespace: string; readonly external_id: string } {
  const result = description.safeParse(input);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new SallyportError('actor_invalid', {
      detail: `The actor cannot be read: ${issue?.path.map(String).join('.') ?? ''} ${issue?.message ?? ''}`,
    });
  }
  const { permissions, ...rest } = result.data;
  return { ...rest, permissions: permissions === undefined ? undefined : parsePermissions(permissions, permissionTemplateSchema) };
}

/** A row with the labels that go with it, as an actor. */
export function actorOf(row: ActorRow, labels: Pick<Actor, 'labels' | 'annotations'>): Actor {
  const { deleted_at: _, permissions, ...rest } = row;
  // Written by ourselves, after it was read with the schema.
  return { ...rest, ...labels, permissions: JSON.parse(permissions) as readonly Permission[] };
}

// Lone surrogates are all stored as the same character: names that differ would become one.
function isPlainText(text: string): boolean {
  return text.isWellFormed() && !/\p{Cc}/u.test(text);
}
