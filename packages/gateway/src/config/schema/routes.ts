import { parseTargetPattern } from '@sallyport/credentials';
import { SallyportError } from '@sallyport/sdk';
import { z } from 'zod';
import { text } from './values.js';

/** The routes: which call gets its credential from which provider, and which goes to a forward target. */
export function routesSchema() {
  return z
    .array(
      z
        .strictObject({
          match: matchSchema().describe('What a call has to say, all of it; `{}` is every call.'),
          provider: text('the name of a provider').optional().describe('Name of the provider that gives the credential.'),
          forward: text('the name of a forward target').optional().describe('Name of the forward target that the call goes to.'),
        })
        .meta({ oneOf: [{ required: ['provider'] }, { required: ['forward'] }] })
        .superRefine(({ provider, forward }, issues) => {
          if ((provider === undefined) === (forward === undefined))
            issues.addIssue({ code: 'custom', message: 'expected exactly one of provider and forward' });
        }),
    )
    .prefault([])
    .describe('Which calls through the sidecar get which credential, or go to a forward target; the most specific route wins.');
}

/** What becomes of a call that no route matches. */
export function defaultRouteSchema() {
  return z
    .strictObject({ provider: text('the name of a provider').describe('Name of the provider that gives the credential.') })
    .optional()
    .describe('For calls that no route matches. Only a provider: what nobody thought of is not forwarded.');
}

/** What a call has to say, for routes and mappings. */
export function matchSchema() {
  const glob = () => text('a pattern such as "acme-*"').optional();
  return z.strictObject({
    vendor_id: glob().describe('Pattern for the vendor id.'),
    marketplace_id: glob().describe('Pattern for the marketplace id.'),
    product_id: glob().describe('Pattern for the product id.'),
    environment_id: glob().describe('Pattern for the environment id.'),
    target_url: text('a target such as "api.acme.com/**"')
      .superRefine((written, issues) => {
        const fault = targetFault(written);
        if (fault !== null) issues.addIssue({ code: 'custom', message: fault });
      })
      .optional()
      .describe('Pattern for the target, `[SCHEME://]HOST[:PORT][/PATH][?QUERY]`, compared part by part.'),
    data: z
      .record(text('the name of a field'), text('a pattern; "**" is any text'))
      .optional()
      .describe('Patterns for fields of the context data, by name.'),
  });
}

function targetFault(written: string): string | null {
  try {
    parseTargetPattern(written, 'target_url');
    return null;
  } catch (cause) {
    if (!(cause instanceof SallyportError)) throw cause;
    return cause.message.replace(/^.* cannot be read: /s, '');
  }
}
