import { z } from 'zod';
import { matchSchema } from './routes.js';
import { name, text } from './values.js';

/** The mappings by name: which key, such as a tenant, belongs to which call. */
export function mappingsSchema() {
  const rule = z.strictObject({
    match: matchSchema().describe('What a call has to say, all of it; `{}` is every call.'),
    key: text('a key').describe('The key of such a call, for example its tenant.'),
  });
  return z
    .record(name, z.array(rule).min(1, 'expected at least one rule').describe('The rules; the most specific one wins.'))
    .prefault({})
    .describe('Which key belongs to which call, by name.');
}
