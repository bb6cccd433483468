import type { Client } from '@sallyport/client';
import { SallyportError } from '@sallyport/sdk';
import { keyId } from '../resources/references.js';
import { differences } from './difference.js';
import { findNamespace, findNamespaceKey } from './existing.js';
import type { NamespaceManifest } from './manifest.js';
import { changedMarks, desiredMarks, requireOwn, type Step } from './step.js';

/** What it takes to have the namespace as it is described, without its key. Errors: `manifest_conflict`. */
export async function namespaceSteps(client: Client, manifest: NamespaceManifest, set: string | undefined): Promise<readonly Step[]> {
  const { kind, place } = manifest;
  const { name: path } = manifest.metadata;
  const existing = await findNamespace(client, path);
  if (existing !== null && existing.state !== 'active') {
    throw new SallyportError('manifest_conflict', { detail: `Namespace ${path} is being deleted.`, hint: 'Wait until it is gone, and apply again.' });
  }
  requireOwn(manifest, existing, set);
  const marks = desiredMarks(manifest, existing, set);
  const common = { kind, name: path, place };
  if (existing === null) {
    const perform = async (with_: Client): Promise<void> => void (await with_.createNamespace({ body: { path, ...marks } }));
    return [{ ...common, action: 'create', differences: differences({}, marks), perform }];
  }
  const { differences: found, body } = changedMarks(existing, marks);
  if (found.length === 0) return [];
  const perform = async (with_: Client): Promise<void> => void (await with_.updateNamespace({ path: { path }, body, ifMatch: existing.etag }));
  return [{ ...common, action: 'update', differences: found, perform }];
}

/** What it takes to have the namespace encrypt with the key that is described. */
export async function namespaceKeySteps(client: Client, { kind, metadata: { name }, spec, place }: NamespaceManifest): Promise<readonly Step[]> {
  if (spec.key === undefined) return [];
  const before = await findNamespaceKey(client, name);
  const after = spec.key === null || spec.key.includes('/') ? spec.key : `${name}/${spec.key}`;
  const found = differences({ key: before ?? undefined }, { key: after ?? undefined });
  if (found.length === 0) return [];
  const path = { path: name };
  const perform = async (with_: Client): Promise<void> => {
    if (after === null) await with_.removeNamespaceKey({ path });
    else await with_.setNamespaceKey({ path, body: { key_id: await keyId(with_, after) } });
  };
  return [{ action: 'update', kind, name, place, differences: found, perform }];
}
