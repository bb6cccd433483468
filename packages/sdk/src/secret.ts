const MASK = '[secret]';

/**
 * Raw sensitive material. Whatever prints it (string conversion, JSON, `util.inspect`, a template literal, a logger) prints `[secret]`;
 * the value comes out only through `reveal`, so a search for `.reveal(` finds every place that touches one.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The material itself. Keep the result out of any object that outlives the statement. */
  reveal(): string {
    return this.#value;
  }

  /** True when there is nothing inside. */
  get empty(): boolean {
    return this.#value.length === 0;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [Symbol.toPrimitive](): string {
    return MASK;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return MASK;
  }
}
