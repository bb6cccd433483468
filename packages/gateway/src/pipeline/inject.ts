import type { Material } from '@sallyport/credentials';
import { setParameter } from '../placements/query.js';
import type { Binding } from './bindings.js';
import type { Passage } from './passage.js';

/**
 * Puts the material in its places: header lines that replace what the client sent under the same names, and query parameters.
 * Remembers what was placed, so that it can be kept out of the response and of the record. Throws `credential_unusable`.
 */
export function inject(passage: Passage, binding: Binding, material: Material): void {
  const { exchange } = passage;
  const { head } = passage.client;
  const rendered = binding.render(material);
  passage.binding = binding;
  passage.material = material;
  exchange.credential = binding.credential.name;
  exchange.injectedHeaders = binding.fieldNames;
  exchange.secrets = rendered.secrets;
  passage.injectedFields = binding.fields;
  passage.injectedLines = rendered.lines;
  passage.placedValues = rendered.values;
  // Not into the exchange: that is recorded, and shown to whoever listens.
  for (const { name, value } of rendered.parameters) passage.query = setParameter(passage.query ?? exchange.query, name, value);
  for (let i = 0; i < head.count; i++) if (binding.fields[head.id[i]] === 1) head.cut[i] = 1;
}
