import { configValues, type ValueContext } from '@sallyport/gateway';
import { z } from 'zod';
import { requireNamespacePath } from '../namespaces/namespace-path.js';
import { type SharedAlgorithm, sharedVerificationKey } from '../tokens/verification-key.js';
import { accepted, type Issues } from './accepted.js';
import { permissionEntries } from './permission-entries.js';
import { publicKeysFault } from './public-keys.js';
import { secureUrl } from './urls.js';

const { duration, flag, oneOf, parsedText, secretValue, text, value } = configValues;

const MOST_KEYS = 64;
const LONGEST_LIFE = 365 * 86_400_000;
const SHARED: readonly [SharedAlgorithm, ...SharedAlgorithm[]] = ['HS256', 'HS384', 'HS512'];

/** Who besides this system may sign tokens for its actors, by `iss`. Nobody else is believed, except actors for themselves. */
export function issuersSection(context: ValueContext) {
  const issuer = z
    .strictObject({
      issuer: text('a name or URL').describe('The `iss` of its tokens, exactly.'),
      keys: z
        .array(keySchema(context))
        .min(1, 'expected at least one key')
        .max(MOST_KEYS, `is longer than ${MOST_KEYS}`)
        .superRefine(checkKeys)
        .optional()
        .describe('The keys that its tokens are signed with: all public, or all shared.'),
      jwks_url: secureUrl({ loopback: false }).optional().describe('Where its public keys are fetched, as a JWK set; in place of `keys`.'),
      namespace: parsedText('a namespace', requireNamespacePath).prefault('root').describe('It speaks only for actors at or below this namespace.'),
      longest_life: duration(LONGEST_LIFE).prefault('1h').describe('Tokens that live longer are refused.'),
      single_use: flag().prefault(false).describe('Whether each of its tokens counts once.'),
      defines_actors_within: permissionEntries({ templates: false })
        .optional()
        .describe('Lets its tokens bring a description of their actor, which is then made or changed, with these permissions at most.'),
    })
    .superRefine(({ keys, jwks_url }, issues) => {
      if ((keys === undefined) === (jwks_url === undefined))
        issues.addIssue({ code: 'custom', message: 'expected exactly one of keys and jwks_url' });
    });
  return z
    .array(issuer)
    .superRefine((issuers, issues) => {
      issuers.forEach(({ issuer: name }, index) => {
        const first = issuers.findIndex((other) => other.issuer === name);
        if (first < index) issues.addIssue({ code: 'custom', path: [index, 'issuer'], message: `issuers[${first}] has the same name` });
      });
    })
    .prefault([])
    .describe('Who besides this system may sign tokens, such as the host application. Actors may for themselves, with keys of their own.');
}

function keySchema(context: ValueContext) {
  return z
    .strictObject({
      public_key: value(context, 'a public key')
        .superRefine((written, issues) => {
          const fault = publicKeysFault(written);
          if (fault !== null) issues.addIssue({ code: 'custom', message: fault });
        })
        .optional()
        .describe('An OpenSSH line, PEM or a JWK.'),
      shared_key: secretValue(context, 'the shared key', (plain) =>
        /^[A-Za-z0-9+/_=-]+$/.test(plain) ? null : 'the shared key is not base64 or base64url',
      )
        .optional()
        .describe('A secret that both sides hold, in base64.'),
      kid: text('a key id').optional().describe('What tokens call it. Needed for shared keys when there are several; a thumbprint otherwise.'),
      algorithm: oneOf(SHARED).optional().describe('The algorithm of a shared key; `HS256` when left out. Public keys have theirs.'),
    })
    .superRefine(({ public_key, shared_key, kid = '', algorithm }, issues) => {
      if ((public_key === undefined) === (shared_key === undefined))
        issues.addIssue({ code: 'custom', message: 'expected exactly one of public_key and shared_key' });
      if (public_key !== undefined && algorithm !== undefined)
        issues.addIssue({ code: 'custom', path: ['algorithm'], message: 'is for shared keys: a public key has one of its own' });
      if (shared_key !== undefined) accepted(() => sharedVerificationKey(kid, shared_key, algorithm), issues, ['shared_key']);
    });
}

interface Key {
  readonly public_key?: unknown;
  readonly shared_key?: unknown;
  readonly kid?: string | undefined;
}

function checkKeys(keys: readonly Key[], issues: Issues): void {
  const shared = keys.filter((key) => key.shared_key !== undefined);
  if (shared.length > 0 && shared.length < keys.length)
    issues.addIssue({ code: 'custom', message: 'are public and shared keys together: one could be taken for the other' });
  keys.forEach(({ kid, shared_key }, index) => {
    if (kid === undefined && shared_key !== undefined && keys.length > 1)
      issues.addIssue({ code: 'custom', path: [index], message: 'needs a kid: there are several shared keys' });
    const first = keys.findIndex((other) => other.kid === kid);
    if (kid !== undefined && first < index) issues.addIssue({ code: 'custom', path: [index, 'kid'], message: `keys[${first}] has the same kid` });
  });
}
