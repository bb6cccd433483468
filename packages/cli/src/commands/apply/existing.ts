import { type Client, itemsOf, pagesOf } from '@sallyport/client';
import { userLabels } from '../../control/user-labels.js';
import { OWNER_LABEL } from './manifest.js';

type Marks = Readonly<Record<string, string>>;

/** Something that is there, as far as it can be compared with a document. */
export interface Existing {
  readonly id: string;
  readonly etag: string | undefined;
  readonly labels: Marks;
  readonly annotations: Marks;
}

export interface ExistingNamespace extends Existing {
  readonly state: string;
}

export interface ExistingActor extends Existing {
  readonly permissions: readonly PermissionEntry[];
}

/** A rule of what an actor may do. */
export interface PermissionEntry {
  readonly namespace: string;
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resource_ids?: readonly string[] | undefined;
  readonly methods?: readonly string[] | undefined;
  readonly paths?: readonly string[] | undefined;
}

export interface ExistingKey extends Existing {
  readonly state: string;
  readonly provider: string;
  readonly keyData: Readonly<Record<string, unknown>>;
}

/** A public key of an actor; one that is good for nothing any more never comes back. */
export interface ExistingPublicKey {
  readonly id: string;
  readonly thumbprint: string;
  readonly name: string | null;
  readonly good: boolean;
}

/** The namespace, or null when there is none. */
export async function findNamespace(client: Client, path: string): Promise<ExistingNamespace | null> {
  const found = await unlessMissing(client.getNamespace({ path: { path } }));
  return found === null ? null : { id: path, etag: found.etag, state: found.data.state, ...marksOf(found.data) };
}

/** The key of a namespace itself as NAMESPACE/NAME, or null when it has that of the one above. */
export async function findNamespaceKey(client: Client, path: string): Promise<string | null> {
  const found = await unlessMissing(client.getNamespaceKey({ path: { path } }));
  if (found === null) return null;
  const { namespace, name, id } = (await client.getKey({ path: { id: found.data.key_id } })).data;
  return `${namespace}/${name ?? id}`;
}

/** The actor, or null when there is none. */
export async function findActor(client: Client, namespace: string, externalId: string): Promise<ExistingActor | null> {
  const found = await unlessMissing(client.getActorByExternalId({ path: { external_id: externalId }, query: { namespace } }));
  return found === null ? null : { id: found.data.id, etag: found.etag, permissions: found.data.permissions, ...marksOf(found.data) };
}

/** The keys of the actor, also those that are revoked or have ended. */
export async function findPublicKeys(client: Client, actorId: string): Promise<readonly ExistingPublicKey[]> {
  const { items } = (await client.listActorKeys({ path: { id: actorId } })).data;
  return items.map(({ id, thumbprint, name, revoked_at: revoked, expires_at: expires }) => ({
    ...{ id, thumbprint, name },
    good: revoked === null && (expires === null || Date.parse(expires) > Date.now()),
  }));
}

/** The key with this name, or null when there is none. */
export async function findKey(client: Client, namespace: string, name: string): Promise<ExistingKey | null> {
  for await (const page of pagesOf(client.listKeys, { query: { namespace, name } })) {
    for (const { id } of page) {
      const { data, etag } = await client.getKey({ path: { id } });
      return { id, etag, state: data.state, provider: data.provider, keyData: data.key_data ?? {}, ...marksOf(data) };
    }
  }
  return null;
}

/** Something that was applied as a part of the set. */
export interface Owned {
  readonly kind: 'Namespace' | 'Actor' | 'Key';
  /** As `nameOf` says it. */
  readonly name: string;
  /** The path of the namespace itself, otherwise of that which it is in. */
  readonly namespace: string;
  readonly id: string;
}

/** Everything that belongs to the set, as far as the caller may see it. */
export async function* ownedBy(client: Client, set: string): AsyncGenerator<Owned, void, undefined> {
  const query = { label_selector: `${OWNER_LABEL}=${set}`, limit: 1000 };
  for await (const { id, namespace, external_id: name } of itemsOf(client.listActors, { query }))
    yield { kind: 'Actor', name: `${namespace}/${name}`, namespace, id };
  for await (const { id, namespace, name } of itemsOf(client.listKeys, { query }))
    yield { kind: 'Key', name: `${namespace}/${name ?? id}`, namespace, id };
  // This list knows no selector.
  for await (const { path, labels } of itemsOf(client.listNamespaces, { query: { state: 'active', limit: 1000 } })) {
    if (labels[OWNER_LABEL] === set) yield { kind: 'Namespace', name: path, namespace: path, id: path };
  }
}

/** What was asked for, or null when the server says that it is not there. */
async function unlessMissing<Found>(request: Promise<Found>): Promise<Found | null> {
  try {
    return await request;
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === 'namespace_not_found' || code === 'actor_not_found' || code === 'key_not_found') return null;
    throw error;
  }
}

function marksOf({ labels, annotations }: { readonly labels: Marks; readonly annotations: Marks }): Pick<Existing, 'labels' | 'annotations'> {
  return { labels: userLabels(labels), annotations: userLabels(annotations) };
}
