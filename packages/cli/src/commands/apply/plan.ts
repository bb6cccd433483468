import type { Client } from '@sallyport/client';
import { actorSteps } from './actor-steps.js';
import { keySteps } from './key-steps.js';
import type { ActorManifest, KeyManifest, Manifest, NamespaceManifest } from './manifest.js';
import { namespaceKeySteps, namespaceSteps } from './namespace-steps.js';
import { pruneSteps } from './prune-steps.js';
import type { Step } from './step.js';

/** What has to be done so that everything is as it is described, in an order in which it can be done. */
export interface Plan {
  readonly steps: readonly Step[];
  /** How many of the documents ask for nothing that is not so already. */
  readonly unchanged: number;
}

/** What a plan is for. */
export interface PlanOptions {
  /** To which set the things are to belong. */
  readonly set?: string | undefined;
  /** Whether what belongs to the set and is described no more is to be deleted. */
  readonly prune?: boolean | undefined;
}

/** How many questions are asked at once. */
const AT_ONCE = 8;

/**
 * Compares the documents with what is there. Changes nothing. What others need comes before them: namespaces from the root on, keys, which key a namespace
 * encrypts with, actors; what is deleted goes last. Errors: `manifest_conflict`, and those of the client.
 */
export async function makePlan(client: Client, manifests: readonly Manifest[], { set, prune }: PlanOptions): Promise<Plan> {
  const namespaces = manifests.filter((manifest): manifest is NamespaceManifest => manifest.kind === 'Namespace').sort(byDepth);
  const keys = manifests.filter((manifest): manifest is KeyManifest => manifest.kind === 'Key');
  const actors = manifests.filter((manifest): manifest is ActorManifest => manifest.kind === 'Actor');
  const steps = [
    ...(await each(namespaces, (manifest) => namespaceSteps(client, manifest, set))),
    ...(await each(keys, (manifest) => keySteps(client, manifest, set))),
    ...(await each(namespaces, (manifest) => namespaceKeySteps(client, manifest))),
    ...(await each(actors, (manifest) => actorSteps(client, manifest, set))),
  ];
  const changed = new Set(steps.map(({ kind, name }) => `${kind} ${name}`)).size;
  const deletions = prune === true && set !== undefined ? await pruneSteps(client, manifests, set) : [];
  return { steps: [...steps, ...deletions], unchanged: manifests.length - changed };
}

/** Does the steps one after the other. `onDone` hears of each; the first that fails rejects, and those after it are not begun. */
export async function performPlan(client: Client, { steps }: Plan, onDone: (step: Step) => void): Promise<void> {
  for (const step of steps) {
    await step.perform(client);
    onDone(step);
  }
}

async function each<One>(manifests: readonly One[], stepsOf: (manifest: One) => Promise<readonly Step[]>): Promise<readonly Step[]> {
  const steps: Step[] = [];
  for (let from = 0; from < manifests.length; from += AT_ONCE) {
    steps.push(...(await Promise.all(manifests.slice(from, from + AT_ONCE).map(stepsOf))).flat());
  }
  return steps;
}

function byDepth({ metadata: one }: NamespaceManifest, { metadata: other }: NamespaceManifest): number {
  return one.name.split('.').length - other.name.split('.').length || (one.name < other.name ? -1 : 1);
}
