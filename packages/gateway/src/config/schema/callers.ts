import type { Secret } from '@sallyport/sdk';
import { z } from 'zod';
import { name, secretValue, type ValueContext } from './values.js';

/** Who may use the gateway and with which credentials. */
export type CallerConfig = { token: Secret; credentials: string[] | 'all' } | { loopback: true; credentials: string[] | 'all' };

/** Below this a token can be guessed. */
const SHORTEST_TOKEN = 16;

/** The callers by name. */
export function callersSchema(context: ValueContext) {
  return z.record(name, callerSchema(context)).prefault({}).describe('Who may use the gateway, by name.');
}

function callerSchema(context: ValueContext) {
  return z
    .strictObject({
      token: secretValue(context, 'the token', complaintAboutToken)
        .optional()
        .describe(`The token that the caller presents: at least ${SHORTEST_TOKEN} characters, visible ASCII.`),
      loopback: z
        .literal(true, { error: 'expected true' })
        .optional()
        .describe('Lets whoever connects from a loopback address in without a token, on any listener.'),
      credentials: z
        .union([z.array(z.string({ error: 'expected the name of a credential' })), z.literal('all')], {
          error: 'expected a list of credential names, or all',
        })
        .prefault([])
        .describe('Names of the credentials that this caller may use, or `all`; none when left out.'),
    })
    .meta({ oneOf: [{ required: ['token'] }, { required: ['loopback'] }] })
    .transform(({ token, loopback, credentials }, issues): CallerConfig => {
      if ((token === undefined) === (loopback === undefined))
        issues.addIssue({ code: 'custom', message: 'expected exactly one of token and loopback' });
      return token === undefined ? { loopback: true, credentials } : { token, credentials };
    });
}

function complaintAboutToken(token: string): string | null {
  if (token.length < SHORTEST_TOKEN) return `the token is shorter than ${SHORTEST_TOKEN} characters`;
  if (token.length > 4_096) return 'the token is longer than 4096 characters';
  return /^[\x21-\x7e]+$/.test(token) ? null : 'the token holds a space, a line break or another character outside visible ASCII';
}
