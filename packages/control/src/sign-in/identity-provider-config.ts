import { SallyportError, Secret } from '@sallyport/sdk';
import { z } from 'zod';
import { checkUserLabels } from '../labels/label-grammar.js';
import { isNamespacePath } from '../namespaces/namespace-path.js';
import { type Permission, parsePermissions, permissionTemplateSchema } from '../permissions/permission.js';
import { isWithin } from '../permissions/read-matcher.js';

/** What people get whose claims meet a condition. */
export interface Role {
  readonly claim: string;
  /** Exactly one of both is there: the claim is this text, or a list that has it in it. */
  readonly equals?: string | undefined;
  readonly contains?: string | undefined;
  /** Where the actor is; the namespace of the provider when left out. */
  readonly namespace?: string | undefined;
  readonly permissions: readonly Permission[];
  readonly labels: Readonly<Record<string, string>>;
}

/** An OpenID Connect provider that people sign in with. */
export interface IdentityProviderConfig {
  /** Part of URLs, and of the external ids of its people: lower-case letters, digits and `-`. */
  readonly name: string;
  readonly issuer: URL;
  readonly clientId: string;
  /** None for a public client. */
  readonly clientSecret: Secret | undefined;
  /** Where the provider sends the browser back to: one of its own for each provider, so that none can answer in the place of another. */
  readonly callbackUrl: URL;
  readonly scopes: readonly string[];
  /** The claim that the external id is made of. It is pinned when somebody signs in for the first time. */
  readonly externalIdClaim: string;
  /** All actors of this provider are at or below this namespace, and so is all that they may do. */
  readonly namespace: string;
  /** At least one has to fit, or nobody is let in. Permissions and labels of all that fit are put together. */
  readonly roles: readonly Role[];
  /** Labels that come from claims of the same person: label to claim. A claim that cannot be a label makes none. */
  readonly labelClaims: Readonly<Record<string, string>>;
  /** Whether the userinfo endpoint is asked too: some providers put groups only there. */
  readonly userinfo: boolean;
  /** How long ago, in seconds, the person may have authenticated with the provider. */
  readonly maxAge: number | undefined;
  readonly allowInsecure: boolean;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;
const text = z.string().min(1).max(512);
const claim = z.string().min(1).max(256);

const roleSchema = z
  .strictObject({
    claim,
    equals: text.optional(),
    contains: text.optional(),
    namespace: z.string().refine(isNamespacePath, 'must be a namespace such as `root.team`').optional(),
    permissions: z.unknown(),
    labels: z.record(z.string(), z.string()).default({}),
  })
  .refine(({ equals, contains }) => (equals === undefined) !== (contains === undefined), 'needs either `equals` or `contains`');

const schema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/, 'must be lower-case letters, digits and `-`')
    .refine((name) => name !== 'providers', 'may not be `providers`, which is the path of the list'),
  issuer: z.url({ protocol: /^https?$/ }),
  client_id: text,
  client_secret: z.instanceof(Secret).optional(),
  callback_url: z.url({ protocol: /^https?$/ }),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/))
    .max(32)
    .default(['openid']),
  external_id_claim: claim.default('sub'),
  namespace: z.string().refine(isNamespacePath, 'must be a namespace such as `root.team`'),
  roles: z.array(roleSchema).min(1, 'needs at least one: without a role nobody is let in').max(256),
  label_claims: z.record(z.string(), claim).default({}),
  userinfo: z.boolean().default(false),
  max_age_seconds: z.number().int().min(0).max(31_536_000).optional(),
  allow_insecure: z.boolean().default(false),
});

/** How a provider is configured; secrets are there as `Secret` already. */
export type IdentityProviderInput = z.input<typeof schema>;

/** Reads the configuration of a provider whole, so that nothing of it fails when somebody signs in. Fails with `config_invalid`. */
export function readIdentityProvider(input: unknown): IdentityProviderConfig {
  const result = schema.safeParse(input);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw wrong(`${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? 'cannot be read'}`);
  }
  const { data } = result;
  const [issuer, callbackUrl] = [new URL(data.issuer), new URL(data.callback_url)];
  for (const url of [issuer, callbackUrl]) {
    if (url.protocol === 'http:' && !(data.allow_insecure && LOOPBACK.test(url.hostname))) {
      throw wrong(`${url.href} has to be https; \`allow_insecure\` allows http on a loopback address alone`);
    }
    if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
      throw wrong(`${url.origin}${url.pathname} may have neither user information nor a query nor a fragment`);
    }
  }
  if (!data.scopes.includes('openid')) throw wrong('scopes: `openid` is missing');
  readLabels(Object.fromEntries(Object.keys(data.label_claims).map((label) => [label, ''])), 'label_claims');
  return {
    ...{ name: data.name, issuer, clientId: data.client_id, clientSecret: data.client_secret, callbackUrl, scopes: data.scopes },
    ...{ externalIdClaim: data.external_id_claim, namespace: data.namespace, labelClaims: data.label_claims },
    roles: data.roles.map((role, index) => readRole(role, data.namespace, `roles.${index}`)),
    ...{ userinfo: data.userinfo, maxAge: data.max_age_seconds, allowInsecure: data.allow_insecure },
  };
}

/** True for a URL that may be called without TLS when that is allowed at all. */
export function isLoopback(url: URL): boolean {
  return LOOPBACK.test(url.hostname);
}

function readRole(role: z.infer<typeof roleSchema>, top: string, place: string): Role {
  const namespace = role.namespace ?? top;
  if (!isWithin(top, namespace)) throw wrong(`${place}.namespace: must be at or below ${top}`);
  readLabels(role.labels, `${place}.labels`);
  const permissions = readPermissions(role.permissions, place);
  for (const [index, permission] of permissions.entries()) {
    // A template is looked at when it is filled in: what leads out of the namespace then allows nothing.
    const path = permission.namespace.replace(/\.\*\*$/, '');
    if (!path.includes('{{') && !isWithin(namespace, path)) throw wrong(`${place}.permissions.${index}.namespace: must be at or below ${namespace}`);
  }
  return { ...role, permissions };
}

function readPermissions(input: unknown, place: string): readonly Permission[] {
  try {
    return parsePermissions(input, permissionTemplateSchema);
  } catch (error) {
    throw wrong(`${place}.${error instanceof SallyportError ? error.message : 'permissions'}`, error);
  }
}

function readLabels(labels: Readonly<Record<string, string>>, place: string): void {
  try {
    checkUserLabels(labels);
  } catch (error) {
    throw wrong(`${place}: ${error instanceof SallyportError ? error.message : 'cannot be labels'}`, error);
  }
}

function wrong(detail: string, cause?: unknown): SallyportError {
  return new SallyportError('config_invalid', { detail: `An identity provider cannot be used: ${detail}`, cause });
}
