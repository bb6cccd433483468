import type { PathRule } from './path-rule.js';
import { WildcardTree } from './wildcard-tree.js';

/** Up to so many rules are compared sooner than a path is taken apart. */
const FEW = 4;

/** Whether a value is the answer for a path. `forms` are those that `pathForms` answers, null for a clean path; where the rule matches none, it is not. */
type Fits<T> = (value: T, path: string, forms: readonly string[] | null, method: string) => boolean;

/**
 * Values by the path rules that they are for, the first one that fits. The cost of a search does not depend on how many rules there are, unless very
 * many differ in nothing but a segment that is partly a wildcard, such as `cust-*`. With a few, it allocates nothing.
 */
export class PathRuleTable<T extends { readonly path: PathRule }> {
  readonly #values: readonly T[];
  readonly #fits: Fits<T>;
  /** Places in `#values`; null for a few. */
  readonly #tree: WildcardTree<number> | null;

  constructor(values: readonly T[], fits: Fits<T>) {
    this.#values = values;
    this.#fits = fits;
    this.#tree = values.length > FEW ? treeOf(values) : null;
  }

  /** The first value that fits; null when none does. */
  first(path: string, forms: readonly string[] | null, method: string): T | null {
    if (this.#tree !== null) return this.#search(this.#tree, path, forms, method);
    for (const value of this.#values) if (this.#fits(value, path, forms, method)) return value;
    return null;
  }

  #search(tree: WildcardTree<number>, path: string, forms: readonly string[] | null, method: string): T | null {
    let best = this.#values.length;
    for (const form of forms ?? [path]) {
      for (const place of tree.find(form.slice(1).split('/'))) {
        if (place < best && this.#fits(this.#values[place], path, forms, method)) best = place;
      }
    }
    return best === this.#values.length ? null : this.#values[best];
  }
}

function treeOf(values: readonly { readonly path: PathRule }[]): WildcardTree<number> {
  const tree = new WildcardTree<number>();
  for (const [place, { path }] of values.entries()) {
    for (const form of new Set(path.forms)) {
      const segments = form.slice(1).split('/');
      // A segment that is partly a wildcard is never empty either.
      const pattern = segments.map((segment) => (segment.includes('*') && segment !== '**' ? '*' : segment));
      tree.add(pattern, place);
    }
  }
  return tree;
}
