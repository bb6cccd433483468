import type { Secret } from '@sallyport/sdk';
import { z } from 'zod';
import { type CertificateConfig, parseFingerprint, parseNamePattern } from '../../tls/mutual/certificate-pattern.js';
import { parseDistinguishedName } from '../../tls/mutual/distinguished-name.js';
import { name, parsedText, secretValue, type ValueContext } from './values.js';

/** Who may use the gateway and with which credentials. What a caller names, all of it has to be presented. */
export type CallerConfig = { credentials: string[] | 'all' } & (
  | { token: Secret; certificate?: CertificateConfig }
  | { certificate: CertificateConfig }
  | { loopback: true }
);

/** Below this a token can be guessed. */
const SHORTEST_TOKEN = 16;
const MOST_NAMES = 1_000;

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
      certificate: certificateSchema()
        .optional()
        .describe('The client certificates of this caller: `any` one that the listener accepts, or what is named below, all of it.'),
      credentials: z
        .union([z.array(z.string({ error: 'expected the name of a credential' })), z.literal('all')], {
          error: 'expected a list of credential names, or all',
        })
        .prefault([])
        .describe('Names of the credentials that this caller may use, or `all`; none when left out.'),
    })
    .meta({ oneOf: [{ anyOf: [{ required: ['token'] }, { required: ['certificate'] }] }, { required: ['loopback'] }] })
    .transform(({ token, loopback, certificate, credentials }, issues): CallerConfig => {
      if ((token === undefined && certificate === undefined) === (loopback === undefined))
        issues.addIssue({ code: 'custom', message: 'expected token, certificate or both of them, or else loopback' });
      if (token !== undefined) return certificate === undefined ? { token, credentials } : { token, certificate, credentials };
      return certificate === undefined ? { loopback: true, credentials } : { certificate, credentials };
    });
}

function certificateSchema() {
  const named = z
    .strictObject({
      subject: parsedText('a distinguished name', parseDistinguishedName).optional().describe('The whole subject, as in `CN=platform,O=Acme`.'),
      issuer: parsedText('a distinguished name', parseDistinguishedName).optional().describe('The whole subject of the authority that signed it.'),
      san: oneOrMore(parsedText('a name', parseNamePattern))
        .optional()
        .describe(
          'Names of which it carries one: `dns:`, `uri:`, `ip:` or `email:` and the name. `*` is one label of a host, or inside a URI segment.',
        ),
      fingerprint: oneOrMore(parsedText('a fingerprint', parseFingerprint))
        .optional()
        .describe('SHA-256 of the certificate, in hexadecimal; or a list of them.'),
    })
    .refine(
      (certificate) => Object.values(certificate).some((value) => value !== undefined),
      'expected at least one of subject, issuer, san and fingerprint',
    );
  return z.union([z.literal('any'), named], { error: 'expected any, or a map of what the certificates have in common' });
}

function oneOrMore(one: ReturnType<typeof parsedText>) {
  return z
    .union([one, z.array(one).min(1, 'expected at least one').max(MOST_NAMES, `is longer than ${MOST_NAMES}`)], {
      error: 'expected a text or a list of texts',
    })
    .transform((written) => (typeof written === 'string' ? [written] : written));
}

function complaintAboutToken(token: string): string | null {
  if (token.length < SHORTEST_TOKEN) return `the token is shorter than ${SHORTEST_TOKEN} characters`;
  if (token.length > 4_096) return 'the token is longer than 4096 characters';
  return /^[\x21-\x7e]+$/.test(token) ? null : 'the token holds a space, a line break or another character outside visible ASCII';
}
