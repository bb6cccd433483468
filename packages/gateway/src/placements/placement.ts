import type { Material } from '@sallyport/credentials';
import { SallyportError, type Secret } from '@sallyport/sdk';
import { isFieldValue } from '../wire/head-writer.js';

/** What a placement adds to a request, ready to be written. */
export interface Rendered {
  /** Header lines, each with its CR LF; empty when there are none. */
  readonly lines: string;
  /** A query parameter, its value percent-encoded; null when there is none. */
  readonly parameter: { readonly name: string; readonly value: string } | null;
  /** The values as they stand in the request: what may not come back in the response. */
  readonly values: readonly string[];
}

/** Puts material into requests. Compiled once from the configuration; rendered once for each material. */
export interface Placement {
  /** Lower-case names of the header fields it sets: what the client sent under them is dropped. */
  readonly fields: readonly string[];
  /** Throws `credential_unusable` for material that cannot be written where it should go. */
  render(material: Material): Rendered;
}

/** The text of a header line. Throws `credential_unusable` for a value that would change the shape of the head. */
export function headerLine(name: string, value: string): string {
  if (!isFieldValue(value) || value !== value.trim()) {
    throw new SallyportError('credential_unusable', { detail: `the material for the header ${name} holds a character that a header cannot carry` });
  }
  return `${name}: ${value}\r\n`;
}

/** The main secret of a material, or one of its named fields. Throws `credential_unusable` for a field that it does not have. */
export function part(material: Material, field: string | null): Secret {
  if (field === null) return material.secret;
  const found = material.fields.get(field);
  if (found === undefined) throw new SallyportError('credential_unusable', { detail: `the material has no field ${field}` });
  return found;
}
