/** A place in the tree. */
interface Place<T> {
  readonly children: Map<string, Place<T>>;
  readonly values: T[];
  /** Behind a `*`, and behind a `**`. */
  one: Place<T> | null;
  any: Place<T> | null;
  /** Whether this place itself is behind a `**`, and takes any further labels. */
  readonly repeats: boolean;
  /** The last step that came here. */
  step: number;
}

/**
 * Values by patterns over labels: the labels of a host, the segments of a path. In a pattern the label `*` is one label that is not empty and `**` any
 * number of labels, none included; every other label is itself.
 *
 * A lookup follows all ways through the tree at once and comes to each place at most once per label, so its cost depends on how many patterns fit what
 * is looked up, not on how many there are; and no pattern makes it try anything again.
 */
export class WildcardTree<T> {
  readonly #root: Place<T> = newPlace(false);
  #step = 0;

  /** Adds a value. The same pattern may be added any number of times. */
  add(pattern: readonly string[], value: T): void {
    let place = this.#root;
    for (const label of pattern) {
      if (label === '*') place = place.one ??= newPlace(false);
      else if (label === '**') place = place.any ??= newPlace(true);
      else {
        const next = place.children.get(label) ?? newPlace(false);
        place.children.set(label, next);
        place = next;
      }
    }
    place.values.push(value);
  }

  /** The values of all patterns that fit; those of one pattern in the order in which they were added. */
  find(labels: readonly string[]): T[] {
    let places: Place<T>[] = [];
    this.#step++;
    this.#enter(places, this.#root);
    for (const label of labels) {
      const next: Place<T>[] = [];
      this.#step++;
      for (const place of places) {
        this.#enter(next, place.children.get(label) ?? null);
        if (label !== '') this.#enter(next, place.one);
        if (place.repeats) this.#enter(next, place);
      }
      if (next.length === 0) return next as never[];
      places = next;
    }
    const [only] = places;
    return places.length === 1 ? [...only.values] : places.flatMap(({ values }) => values);
  }

  /** A `**` may stand for no label at all, so whoever comes to a place has come behind its `**` as well. */
  #enter(places: Place<T>[], from: Place<T> | null): void {
    for (let place = from; place !== null && place.step !== this.#step; place = place.any) {
      place.step = this.#step;
      places.push(place);
    }
  }
}

function newPlace<T>(repeats: boolean): Place<T> {
  return { children: new Map(), values: [], one: null, any: null, repeats, step: 0 };
}
