import { configValues, type ValueContext } from '@sallyport/gateway';
import { z } from 'zod';
import type { ProviderType } from '../keys/provider.js';
import { DEFAULT_PROVIDER_RULES, type ProviderRule } from '../keys/provider-rules.js';
import { parseNamespaceMatcher } from '../namespaces/namespace-matcher.js';
import { withoutUndefined } from './accepted.js';
import { webUrl } from './urls.js';

const { oneOf, parsedText, path, text } = configValues;

/** What a rule has to say of what a provider points at; without it the rule would allow nothing. */
const NEEDS: Readonly<Record<ProviderType, 'env' | 'folders' | 'vault_addresses' | null>> = {
  value: null,
  base64: null,
  random: null,
  env_var: 'env',
  env_var_base64: 'env',
  file: 'folders',
  hashicorpvault: 'vault_addresses',
  hashicorpvault_transit: 'vault_addresses',
  aws_secrets_manager: null,
  aws_kms: null,
  gcp: null,
  gcp_kms: null,
};

const TYPES = Object.keys(NEEDS) as [ProviderType, ...ProviderType[]];

/** Which providers the keys of which namespaces may name. */
export function keyProvidersSection(context: ValueContext) {
  const rule = z
    .strictObject({
      namespaces: z
        .array(parsedText('a namespace', parseNamespaceMatcher))
        .min(1, 'expected at least one namespace')
        .describe('Namespaces such as `root.team`; `root.team.**` with all below.'),
      providers: z.array(oneOf(TYPES)).min(1, 'expected at least one provider').describe('What keys of these namespaces may name.'),
      env: z.array(text('a name')).optional().describe('Environment variables that may be read; `KEY_*` stands for all that begin so.'),
      folders: z.array(path(context)).optional().describe('Folders whose files may be read.'),
      vault_addresses: z.array(address()).optional().describe('Addresses of Vault that may be called.'),
      ambient_resources: z
        .array(text('a resource'))
        .optional()
        .describe('Keys and secrets of a cloud that may be used with the credentials of this machine: ARNs, `REGION/ID`, or resource names.'),
      cloud_endpoints: z.array(address()).optional().describe('Addresses that may be called in place of those of AWS and Google Cloud.'),
    })
    .superRefine((written, issues) => {
      written.providers.forEach((type, index) => {
        const needed = NEEDS[type];
        if (needed !== null && (written[needed] ?? []).length === 0)
          issues.addIssue({ code: 'custom', path: ['providers', index], message: `needs ${needed}: this rule would allow none otherwise` });
      });
    })
    .transform(
      ({ vault_addresses, ambient_resources, cloud_endpoints, ...rest }): ProviderRule =>
        withoutUndefined({ ...rest, vaultAddresses: vault_addresses, ambientResources: ambient_resources, cloudEndpoints: cloud_endpoints }),
    );
  return z
    .array(rule)
    .optional()
    .transform((rules): readonly ProviderRule[] => rules ?? DEFAULT_PROVIDER_RULES)
    .describe(
      'Which providers the keys of which namespaces may name; `value`, `base64` and `random` everywhere when left out. What no rule allows is refused.',
    );
}

function address() {
  return text('a URL').refine((written) => webUrl(written) !== null, 'expected an http:// or https:// URL');
}
