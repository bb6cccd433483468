import { labelValueFlaw } from '../labels/label-grammar.js';
import type { Permission } from '../permissions/permission.js';
import type { IdentityProviderConfig, Role } from './identity-provider-config.js';

/** What a provider says about a person. It was verified who says it; each claim may still be anything. */
export type Claims = Readonly<Record<string, unknown>>;

/** What a person becomes here. */
export interface MappedPerson {
  readonly namespace: string;
  readonly external_id: string;
  readonly permissions: readonly Permission[];
  readonly labels: Readonly<Record<string, string>>;
}

/** Why a person becomes nobody. */
export type MappingFlaw = 'no_role' | 'no_name';

/**
 * What the roles of the provider make of the claims. The first role that fits decides the namespace; of the others only those in the same namespace
 * count. Without a role that fits it is `no_role`; without a usable claim for the external id `no_name`.
 */
export function mapPerson(provider: IdentityProviderConfig, claims: Claims): MappedPerson | MappingFlaw {
  const fitting = provider.roles.filter((role) => fits(role, claims));
  const [first] = fitting;
  if (first === undefined) return 'no_role';
  const name = nameOf(provider, claims);
  if (name === undefined) return 'no_name';
  const namespace = first.namespace ?? provider.namespace;
  const roles = fitting.filter((role) => (role.namespace ?? provider.namespace) === namespace);
  return {
    namespace,
    // The name of a provider has no `_`, so nobody of one provider can be called as somebody of another.
    external_id: `${provider.name}_${name}`,
    permissions: roles.flatMap(({ permissions }) => permissions),
    // A claim never overrules what a role says.
    labels: Object.fromEntries([claimedLabels(provider, claims), ...roles.map(({ labels }) => labels)].flatMap(Object.entries<string>)),
  };
}

function fits({ claim, equals, contains }: Role, claims: Claims): boolean {
  const value = claimOf(claims, claim);
  if (contains !== undefined) return Array.isArray(value) && value.includes(contains);
  return equals !== undefined && value === equals;
}

// Whoever can write their own address in at the provider could otherwise be called as they like.
function nameOf({ externalIdClaim }: IdentityProviderConfig, claims: Claims): string | undefined {
  const value = claimOf(claims, externalIdClaim);
  if (externalIdClaim === 'email' && claimOf(claims, 'email_verified') !== true) return undefined;
  return typeof value === 'string' && value !== '' && value.length <= 200 && value.isWellFormed() && !/\p{Cc}/u.test(value) ? value : undefined;
}

function claimedLabels({ labelClaims }: IdentityProviderConfig, claims: Claims): Readonly<Record<string, string>> {
  const labels = Object.entries(labelClaims).flatMap(([label, claim]) => {
    const value = claimOf(claims, claim);
    return typeof value === 'string' && value !== '' && labelValueFlaw(value) === null ? [[label, value] as const] : [];
  });
  return Object.fromEntries(labels);
}

function claimOf(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}
