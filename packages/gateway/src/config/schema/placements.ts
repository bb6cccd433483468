import { z } from 'zod';
import { headerName, text, type ValueContext, value } from './values.js';

/** Where a credential goes in a request. `format` holds `{secret}` or `{secret.FIELD}` where the material goes. */
export type PlacementConfig = { header: string; format: string } | { basic: { username: string } } | { query: string };

const DEFAULT_FORMAT = '{secret}';
const BRACED_WORD = /\{([A-Za-z][^{}]*)\}/g;
const SECRET_REFERENCE = /^secret(\.[A-Za-z0-9_-]+)?$/;

/** One placement or a list of them; a list comes out. */
export function placementsSchema(context: ValueContext) {
  const placement = placementSchema(context);
  return z
    .union([placement, z.array(placement).min(1, 'expected at least one placement')], { error: 'expected a placement or a list of placements' })
    .transform((written) => (Array.isArray(written) ? written : [written]))
    .superRefine((placements, issues) => {
      const seen = new Set<string>();
      placements.forEach((one, index) => {
        const slot = slotOf(one);
        if (seen.has(slot))
          issues.addIssue({ code: 'custom', path: [index], message: 'an earlier placement of this binding already fills the same place' });
        seen.add(slot);
      });
    })
    .describe('Where the credential goes in the request: one placement or a list of them.');
}

function placementSchema(context: ValueContext) {
  return z
    .strictObject({
      header: headerName()
        .optional()
        .describe('Name of the header field that carries the credential. A field of that name from the client is replaced.'),
      format: formatSchema().optional().describe('Value of the header field; `{secret}` is the credential, `{secret.FIELD}` a named field of it.'),
      basic: z
        .strictObject({ username: usernameSchema(context).describe('User name; the credential is the password.') })
        .optional()
        .describe('Sends the credential as the password of HTTP Basic authentication.'),
      query: text('the name of a query parameter').optional().describe('Name of the query parameter that carries the credential.'),
    })
    .meta({ oneOf: [{ required: ['header'] }, { required: ['basic'] }, { required: ['query'] }] })
    .transform(({ header, format, basic, query }, issues): PlacementConfig => {
      const chosen = [header, basic, query].filter((one) => one !== undefined).length;
      if (chosen !== 1) issues.addIssue({ code: 'custom', message: 'expected exactly one of header, basic and query' });
      else if (header === undefined && format !== undefined)
        issues.addIssue({ code: 'custom', path: ['format'], message: 'format goes with header only' });
      if (header !== undefined) return { header, format: format ?? DEFAULT_FORMAT };
      return basic === undefined ? { query: query ?? '' } : { basic };
    });
}

function formatSchema() {
  return text('a format such as "Bearer {secret}"')
    .meta({ default: DEFAULT_FORMAT })
    .superRefine((format, issues) => {
      const words = Array.from(format.matchAll(BRACED_WORD), (match) => match[1]);
      if (!words.some((word) => SECRET_REFERENCE.test(word))) {
        issues.addIssue({ code: 'custom', message: 'holds neither {secret} nor {secret.FIELD}' });
      } else if (!words.every((word) => SECRET_REFERENCE.test(word))) {
        issues.addIssue({ code: 'custom', message: 'only {secret} and {secret.FIELD} may stand in braces' });
      }
      if (/[^\x20-\x7e]/.test(format)) issues.addIssue({ code: 'custom', message: 'holds a character outside printable ASCII' });
    });
}

function usernameSchema(context: ValueContext) {
  return value(context, 'a user name').superRefine((username, issues) => {
    // RFC 7617 §2: the first colon ends the user name, and control characters may not be there.
    if (/[\0-\x1f\x7f:]/.test(username)) issues.addIssue({ code: 'custom', message: 'a user name holds neither a colon nor a control character' });
  });
}

function slotOf(placement: PlacementConfig): string {
  if ('query' in placement) return `query ${placement.query}`;
  return 'header' in placement ? `header ${placement.header.toLowerCase()}` : 'header authorization';
}
