import { Secret } from '@sallyport/sdk';
import type { FieldChange } from './plugin-headers.js';

/** Fields that say how to read or handle a message. They hold no credential, and their like in a response has to stay. Lower-case. */
const descriptive: ReadonlySet<string> = new Set([
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'date',
  'pragma',
  'range',
  'user-agent',
]);

/** A shorter value is a word like any other: taken out wherever it stands, it would spoil responses and give itself away. */
const SHORTEST_SECRET = 8;

/** What stands before the secret in `Authorization: Bearer …` and its like (RFC 9110 §11.4). */
const SCHEME = /^[A-Za-z][A-Za-z0-9-]* +(?=[^ ]+$)/;

/**
 * Header fields that a plugin put into a message, rendered once. Whatever prints it prints no value: those come out only through the accessors, which
 * live on the prototype.
 */
export class PlacedFields {
  /** Lower-case names of all of them: what the message carried under these is replaced. */
  readonly names: readonly string[];
  /**
   * Lower-case names of those that may hold a credential: what comes back under these is removed. `Accept`, `Content-Type` and their like are not.
   */
  readonly credentialNames: readonly string[];
  /** What may not be recorded: the values of the latter, and each without its scheme. */
  readonly secrets: readonly Secret[];
  readonly #lines: string;
  readonly #values: readonly string[];

  /** Takes fields that were checked: each name a token, each value one line. A field without values is one that was removed. */
  constructor(fields: readonly FieldChange[]) {
    let lines = '';
    const values = new Set<string>();
    const credentialNames: string[] = [];
    for (const { name, values: own } of fields) {
      const lower = name.toLowerCase();
      const credential = !descriptive.has(lower);
      if (credential && own.length > 0) credentialNames.push(lower);
      for (const value of own) {
        lines += `${name}: ${value}\r\n`;
        if (!credential) continue;
        for (const secret of [value, value.replace(SCHEME, '')]) if (secret.length >= SHORTEST_SECRET) values.add(secret);
      }
    }
    this.names = fields.map(({ name }) => name.toLowerCase());
    this.credentialNames = credentialNames;
    this.#lines = lines;
    this.#values = [...values];
    this.secrets = this.#values.map((value) => new Secret(value));
  }

  /** The header lines, each with its CR LF; Latin-1. Made once. */
  get lines(): string {
    return this.#lines;
  }

  /** What may not come back in the response: the values that `secrets` holds. Made once. */
  get values(): readonly string[] {
    return this.#values;
  }
}
