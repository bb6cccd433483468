import { configValues, type ValueContext } from '@sallyport/gateway';
import { z } from 'zod';
import { requireNamespacePath } from '../namespaces/namespace-path.js';
import { returnUrls } from '../sessions/return-url.js';
import { type IdentityProviderInput, readIdentityProvider } from '../sign-in/identity-provider-config.js';
import { accepted, withoutUndefined } from './accepted.js';
import { permissionEntries } from './permission-entries.js';
import { secureUrl, webUrl } from './urls.js';

const { duration, flag, parsedText, secretValue, text, value } = configValues;

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
const LONGEST_AGE = 365 * 86_400_000;
/** Where browsers come back to depends on where the service is reached; any place will do to look at the rest. */
const SOMEWHERE = 'https://sallyport.invalid/callback';
const texts = z.record(z.string(), z.string({ error: 'expected a text' }));

const providerName = z
  .string()
  .regex(NAME, 'expected lower-case letters, digits and "-"')
  .refine((name) => name !== 'providers', 'is the path that lists the providers; choose another name');

/** The application that people come from. */
export function hostApplicationSection() {
  return z
    .strictObject({
      initiate_session_url: text('a URL')
        .refine((written) => webUrl(written) !== null, 'expected an http:// or https:// URL')
        .optional()
        .describe('Where people without a session are sent, with `return_to_url`; it sends them back with a token.'),
      return_urls: z
        .array(parsedText('a URL without query', (written) => returnUrls([written])))
        .prefault([])
        .describe('Where people may be sent back to: origins, or origins with a path that everything below belongs to.'),
    })
    .prefault({})
    .describe('The application that people come from.');
}

/** An identity provider but for where it sends browsers back to. */
type SignInProvider = Omit<IdentityProviderInput, 'callback_url'>;

/** Sign-in of people by OpenID Connect. */
export function signInSection(context: ValueContext) {
  return z
    .strictObject({
      providers: z.record(providerName, providerSchema(context)).prefault({}).describe('Identity providers that speak OpenID Connect, by name.'),
    })
    .prefault({})
    .describe('Sign-in of people by OpenID Connect.');
}

function providerSchema(context: ValueContext) {
  const role = z
    .strictObject({
      claim: text('a claim').describe('The claim that decides.'),
      equals: text('a text').optional().describe('It is this text.'),
      contains: text('a text').optional().describe('It is a list with this text in it.'),
      namespace: parsedText('a namespace', requireNamespacePath).optional().describe('Where these people are; that of the provider when left out.'),
      permissions: permissionEntries({ templates: true }).describe('What they may do.'),
      labels: texts.prefault({}).describe('Their labels.'),
    })
    .superRefine(({ equals, contains }, issues) => {
      if ((equals === undefined) === (contains === undefined))
        issues.addIssue({ code: 'custom', message: 'expected exactly one of equals and contains' });
    })
    .transform(withoutUndefined);
  return z
    .strictObject({
      issuer: secureUrl({ loopback: true }).describe('The issuer, exactly as it calls itself; its configuration is found below it.'),
      client_id: value(context, 'a client id').describe('The client id.'),
      client_secret: secretValue(context, 'the client secret', (plain) => (plain === '' ? 'the client secret is empty' : null))
        .optional()
        .describe('The client secret; left out for a public client.'),
      scopes: z
        .array(text('a scope'))
        .refine((scopes) => scopes.includes('openid'), '`openid` is missing')
        .prefault(['openid'])
        .describe('What is asked for.'),
      namespace: parsedText('a namespace', requireNamespacePath).describe(
        'All its people are at or below this namespace, and so is what they may do.',
      ),
      roles: z
        .array(role)
        .min(1, 'expected at least one role: without one nobody is let in')
        .describe('Who gets in and what they may do; somebody with several roles of one namespace gets all of them.'),
      external_id_claim: text('a claim').prefault('sub').describe('The claim that people are known by.'),
      label_claims: texts.prefault({}).describe('Labels that are taken from claims: label to claim.'),
      userinfo: flag().prefault(false).describe('Whether claims are asked for at the userinfo endpoint as well.'),
      max_age: duration(LONGEST_AGE)
        .refine((milliseconds) => milliseconds % 1_000 === 0, 'expected whole seconds')
        .optional()
        .describe('How long ago people may have signed in with the provider.'),
      allow_insecure: flag().prefault(false).describe('Allows an issuer on a loopback address without https.'),
    })
    .transform(
      ({ max_age, ...rest }): Omit<SignInProvider, 'name'> =>
        withoutUndefined({ ...rest, max_age_seconds: max_age === undefined ? undefined : max_age / 1_000 }),
    )
    .superRefine((provider, issues) => {
      // Its name is the key, and has been looked at.
      accepted(() => readIdentityProvider({ ...provider, name: 'any', callback_url: SOMEWHERE }), issues);
    });
}
