import type { Client } from '@sallyport/client';
import { SallyportError } from '@sallyport/sdk';
import { findActor, findKey, findNamespace, type Owned, ownedBy } from './existing.js';
import { type Manifest, nameOf } from './manifest.js';
import type { Step } from './step.js';

/**
 * What it takes to be rid of what belongs to the set and is not among the documents. With a namespace goes everything in it and below it. Errors:
 * `manifest_conflict` when something that is described is in such a namespace.
 */
export async function pruneSteps(client: Client, manifests: readonly Manifest[], set: string): Promise<readonly Step[]> {
  const wanted = new Set(manifests.map((manifest) => `${manifest.kind} ${nameOf(manifest)}`));
  const gone: Owned[] = [];
  for await (const owned of ownedBy(client, set)) if (!wanted.has(`${owned.kind} ${owned.name}`)) gone.push(owned);
  const namespaces = gone.filter(({ kind }) => kind === 'Namespace');
  for (const manifest of manifests) {
    const at = manifest.kind === 'Namespace' ? manifest.metadata.name : manifest.metadata.namespace;
    const doomed = namespaces.find(({ name }) => isIn(at, name));
    if (doomed === undefined) continue;
    const { file, line } = manifest.place;
    throw new SallyportError('manifest_conflict', {
      detail: `Namespace ${doomed.name} is described no more, but ${manifest.kind} ${nameOf(manifest)} (${file}:${line}) is in it.`,
      hint: 'Describe the namespace, or move what is in it.',
    });
  }
  const alone = gone.filter((owned) => !namespaces.some((other) => other !== owned && isIn(owned.namespace, other.name)));
  // A key is refused while something needs it, so it goes after what may have needed it, and nothing waits for it.
  const order = ['Actor', 'Namespace', 'Key'];
  const sorted = alone.sort((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind));
  return Promise.all(sorted.map((owned) => deletion(client, owned)));
}

async function deletion(client: Client, { kind, name, namespace, id }: Owned): Promise<Step> {
  const step = (perform: Step['perform']): Step => ({ action: 'delete', kind, name, differences: [], perform });
  const ownName = name.slice(namespace.length + 1);
  if (kind === 'Namespace') {
    const ifMatch = (await findNamespace(client, name))?.etag;
    return step(async (with_) => void (await with_.deleteNamespace({ path: { path: name }, ifMatch })));
  }
  if (kind === 'Actor') {
    const ifMatch = (await findActor(client, namespace, ownName))?.etag;
    return step(async (with_) => void (await with_.deleteActor({ path: { id }, ifMatch })));
  }
  const ifMatch = (await findKey(client, namespace, ownName))?.etag;
  return step(async (with_) => void (await with_.deleteKey({ path: { id }, ifMatch })));
}

/** Whether the path is that of the namespace or of one below it. */
function isIn(path: string, namespace: string): boolean {
  return path === namespace || path.startsWith(`${namespace}.`);
}
