import type { Credential, Material } from '@sallyport/credentials';
import { Secret } from '@sallyport/sdk';
import type { Placement, Rendered } from '../placements/placement.js';
import type { HostPattern } from '../policy/host-pattern.js';
import { HostTable, patternRank } from '../policy/host-table.js';
import { globSpecificity } from '../policy/path-glob.js';
import { compilePathRule, type PathRule } from '../policy/path-rule.js';
import { type FieldSet, fieldSet } from '../wire/field-names.js';

/** What a binding says in the configuration, with its parts compiled. */
export interface BindingOptions {
  readonly credential: Credential;
  readonly methods: readonly string[] | null;
  readonly paths: readonly string[] | null;
  readonly placements: readonly Placement[];
  readonly plaintext: boolean;
}

/** What all placements of a binding make of a material, together. */
export interface RenderedBinding {
  /** Header lines, each with its CR LF. */
  readonly lines: string;
  readonly parameters: readonly NonNullable<Rendered['parameter']>[];
  /** The values as they stand in the request: what may not come back in the response. */
  readonly values: readonly string[];
  /** The same and every part of the material: what may not be recorded. */
  readonly secrets: readonly Secret[];
}

/** An upstream that refuses everything must not make us fetch with every request. Milliseconds. */
const RENEWAL_PAUSE = 10_000;

/** The rule that ties a credential and its placements to targets. Holds what was rendered for the material in use. */
export class Binding {
  readonly credential: Credential;
  readonly methods: ReadonlySet<string> | null;
  readonly paths: readonly { readonly rule: PathRule; readonly specificity: number }[] | null;
  readonly plaintext: boolean;
  /** Lower-case names of the fields its placements set, and the same as a set. */
  readonly fieldNames: readonly string[];
  readonly fields: FieldSet;
  readonly #placements: readonly Placement[];
  #material: Material | null = null;
  #rendered: RenderedBinding | null = null;
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(options: BindingOptions) {
    this.credential = options.credential;
    this.methods = options.methods === null ? null : new Set(options.methods);
    this.paths = options.paths?.map((glob) => ({ rule: compilePathRule(glob), specificity: globSpecificity(glob) })) ?? null;
    this.plaintext = options.plaintext;
    this.#placements = options.placements;
    this.fieldNames = options.placements.flatMap((placement) => placement.fields);
    this.fields = fieldSet(this.fieldNames);
  }

  /** Whether the material may be thrown away because an upstream refused it. Answers yes once in ten seconds. */
  mayRenew(now: number): boolean {
    if (now - this.#renewedAt < RENEWAL_PAUSE) return false;
    this.#renewedAt = now;
    return true;
  }

  /** What the placements make of a material; computed when the material changes, not for each request. Throws `credential_unusable`. */
  render(material: Material): RenderedBinding {
    if (this.#rendered === null || material !== this.#material) {
      this.#rendered = combine(
        this.#placements.map((placement) => placement.render(material)),
        material,
      );
      this.#material = material;
    }
    return this.#rendered;
  }
}

function combine(rendered: readonly Rendered[], material: Material): RenderedBinding {
  const values = [...new Set(rendered.flatMap((one) => one.values))];
  return {
    lines: rendered.map((one) => one.lines).join(''),
    parameters: rendered.flatMap((one) => (one.parameter === null ? [] : [one.parameter])),
    values,
    secrets: [material.secret, ...material.fields.values(), ...values.map((value) => new Secret(value))],
  };
}

/** A binding under one of its host patterns. Of two, the one with the smaller `hostRank` is for the more specific host. */
export interface BoundHost {
  readonly binding: Binding;
  readonly hostRank: number;
}

/** Finds bindings by host and port; how long it takes does not depend on how many there are. */
export class BindingTable {
  readonly #table = new HostTable<BoundHost>();

  add(pattern: HostPattern, binding: Binding): void {
    this.#table.add(pattern, { binding, hostRank: patternRank(pattern) });
  }

  lookup(host: string, port: number): readonly BoundHost[] {
    return this.#table.lookup(host, port);
  }
}
