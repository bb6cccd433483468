import type { Client } from '@sallyport/client';
import { SallyportError } from '@sallyport/sdk';
import { type Difference, differences } from './difference.js';
import type { Existing } from './existing.js';
import { type Manifest, nameOf, OWNER_LABEL, type Place } from './manifest.js';

type Marks = Readonly<Record<string, string>>;

/** One thing to do. */
export interface Step {
  readonly action: 'create' | 'update' | 'delete';
  readonly kind: Manifest['kind'];
  /** As `nameOf` says it. */
  readonly name: string;
  /** What it changes. Secrets are masked. */
  readonly differences: readonly Difference[];
  /** The document that asks for it; what is deleted has none. */
  readonly place?: Place;
  /** Does it, unless somebody has changed the thing since the plan was made: `precondition_failed`. */
  readonly perform: (client: Client) => Promise<void>;
}

/** Which labels and annotations it is to have: those of the document, otherwise those that it has; and to which set it belongs. */
export function desiredMarks({ metadata }: Manifest, existing: Existing | null, set: string | undefined): { labels: Marks; annotations: Marks } {
  const { [OWNER_LABEL]: owner, ...others } = existing?.labels ?? {};
  const belongs = set ?? owner;
  return {
    labels: { ...(metadata.labels ?? others), ...(belongs !== undefined && { [OWNER_LABEL]: belongs }) },
    annotations: metadata.annotations ?? existing?.annotations ?? {},
  };
}

/** What of its labels and annotations has to change, ready to be sent; empty when nothing has to. */
export function changedMarks(existing: Existing, desired: { readonly labels: Marks; readonly annotations: Marks }) {
  const differ = (kind: 'labels' | 'annotations'): readonly Difference[] => differences(existing[kind], desired[kind], [kind]);
  const [labels, annotations] = [differ('labels'), differ('annotations')];
  return {
    differences: [...labels, ...annotations],
    body: {
      ...(labels.length > 0 && { labels: { ...desired.labels } }),
      ...(annotations.length > 0 && { annotations: { ...desired.annotations } }),
    },
  };
}

/** Errors: `manifest_conflict` when it belongs to another set than that which is applied. */
export function requireOwn(manifest: Manifest, existing: Existing | null, set: string | undefined): void {
  const owner = existing?.labels[OWNER_LABEL];
  if (set === undefined || owner === undefined || owner === set) return;
  const { file, line } = manifest.place;
  throw new SallyportError('manifest_conflict', {
    detail: `${manifest.kind} ${nameOf(manifest)} (${file}:${line}) belongs to the set ${owner}, and ${set} is applied.`,
  });
}
