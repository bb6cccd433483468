import { realpath } from 'node:fs/promises';
import { isAbsolute, resolve, sep } from 'node:path';
import { SallyportError } from '@sallyport/sdk';
import { matchesNamespace, parseNamespaceMatcher } from '../namespaces/namespace-matcher.js';
import { awsResource } from './aws-resource.js';
import { gcpKmsKeyName, gcpSecretResource } from './gcp-resource.js';
import { GOOGLE_TOKEN_URI, parseServiceAccount } from './gcp-service-account.js';
import type { ProviderType } from './provider.js';
import type { ProviderConfig } from './provider-config.js';

/** Which providers the keys of some namespaces may name. What no rule allows is refused. */
export interface ProviderRule {
  /** `root.team` or `root.team.**`. */
  readonly namespaces: readonly string[];
  readonly providers: readonly ProviderType[];
  /** Names of environment variables; one that ends in `*` stands for all that begin so. */
  readonly env?: readonly string[];
  /** Folders whose files may be read, after all symbolic links were followed. */
  readonly folders?: readonly string[];
  /** Addresses of Vault, as scheme, host and port. */
  readonly vaultAddresses?: readonly string[];
  /**
   * Keys and secrets in a cloud that may be used with the credentials of the server itself, which see more than one namespace's own: an ARN,
   * `REGION/ID` for other ids of AWS, the resource name in Google Cloud. One that ends in `*` stands for all that begin so.
   */
  readonly ambientResources?: readonly string[];
  /** Addresses that may be called in place of those of AWS and Google Cloud, as scheme, host and port. */
  readonly cloudEndpoints?: readonly string[];
}

/** What is allowed where nothing is configured: material that is sent along or made here. It points at nothing on the server. */
export const DEFAULT_PROVIDER_RULES: readonly ProviderRule[] = [{ namespaces: ['root.**'], providers: ['value', 'base64', 'random'] }];

/**
 * Throws `key_provider_forbidden` unless a rule lets this namespace name this provider, and what the provider points at: otherwise whoever may
 * create a key could have the server read any of its variables and files, or call any address.
 */
export async function checkProviderAllowed(rules: readonly ProviderRule[], namespace: string, config: ProviderConfig): Promise<void> {
  const candidates = rules.filter(
    (rule) => rule.providers.includes(config.type) && rule.namespaces.some((matcher) => matchesNamespace(parseNamespaceMatcher(matcher), namespace)),
  );
  for (const rule of candidates) if (await pointsInside(rule, config)) return;
  const what =
    candidates.length === 0
      ? `Keys of ${namespace} may not use the provider ${config.type}.`
      : `This ${config.type} may not be used by keys of ${namespace}.`;
  throw new SallyportError('key_provider_forbidden', { detail: what });
}

async function pointsInside(rule: ProviderRule, config: ProviderConfig): Promise<boolean> {
  switch (config.type) {
    case 'value':
    case 'base64':
    case 'random':
      return true;
    case 'env_var':
      return envAllowed(rule, config.env_var);
    case 'env_var_base64':
      return envAllowed(rule, config.env_var_base64);
    case 'file':
      return await fileAllowed(rule, config.path);
    case 'hashicorpvault':
    case 'hashicorpvault_transit':
      return (rule.vaultAddresses ?? []).some((address) => origin(address) !== null && origin(address) === origin(config.vault_address));
    case 'aws_secrets_manager':
      return (
        endpointAllowed(rule, config.aws_secrets_manager_endpoint) &&
        (config.aws_credentials?.type === 'access_key' || ambientAllowed(rule, awsResource(config.aws_secret_id, config.aws_region)))
      );
    case 'aws_kms':
      return (
        endpointAllowed(rule, config.aws_kms_endpoint) &&
        (config.aws_credentials?.type === 'access_key' || ambientAllowed(rule, awsResource(config.aws_kms_key_id, config.aws_region)))
      );
    case 'gcp': {
      const resource = gcpSecretResource(config.gcp_project, config.gcp_secret_name);
      return endpointAllowed(rule, config.gcp_secret_manager_endpoint) && (await gcpCredentialsAllowed(rule, config, resource));
    }
    case 'gcp_kms':
      return endpointAllowed(rule, config.gcp_kms_endpoint) && (await gcpCredentialsAllowed(rule, config, gcpKmsKeyName(config)));
  }
}

async function gcpCredentialsAllowed(
  rule: ProviderRule,
  { gcp_credentials_file: file, gcp_credentials_json: json }: Extract<ProviderConfig, { type: 'gcp' | 'gcp_kms' }>,
  resource: string | null,
): Promise<boolean> {
  if (file !== undefined) return await fileAllowed(rule, file);
  if (json === undefined) return resource !== null && ambientAllowed(rule, resource);
  const account = parseServiceAccount(json);
  // Whoever writes the account also writes where its tokens come from.
  return account !== null && (account.token_uri === GOOGLE_TOKEN_URI || endpointAllowed(rule, account.token_uri));
}

function endpointAllowed(rule: ProviderRule, endpoint: string | undefined): boolean {
  if (endpoint === undefined) return true;
  const asked = origin(endpoint);
  return asked !== null && (rule.cloudEndpoints ?? []).some((address) => origin(address) === asked);
}

function ambientAllowed(rule: ProviderRule, resource: string): boolean {
  return (rule.ambientResources ?? []).some((allowed) => named(allowed, resource));
}

/** A name that ends in `*` stands for all that begin so. */
function named(allowed: string, name: string): boolean {
  return allowed.endsWith('*') ? name.startsWith(allowed.slice(0, -1)) : name === allowed;
}

function envAllowed(rule: ProviderRule, name: string): boolean {
  return (rule.env ?? []).some((allowed) => named(allowed, name));
}

async function fileAllowed(rule: ProviderRule, path: string): Promise<boolean> {
  if (!isAbsolute(path)) return false;
  const real = await followed(path);
  if (real === null) return false;
  for (const folder of rule.folders ?? []) {
    const top = await followed(folder);
    if (top !== null && real.startsWith(top.endsWith(sep) ? top : top + sep)) return true;
  }
  return false;
}

/** Null for what does not exist: a file that appears later might be a link to anywhere. */
async function followed(path: string): Promise<string | null> {
  try {
    return await realpath(resolve(path));
  } catch {
    return null;
  }
}

function origin(address: string): string | null {
  return URL.canParse(address) ? new URL(address).origin : null;
}
