import { type MicrosoftOptions, staticProvider } from '@sallyport/credentials';
import { SallyportError, type Secret } from '@sallyport/sdk';
import { z } from 'zod';
import {
  authenticationOf,
  checkedUrl,
  clientCredentialsSchema,
  clientKeys,
  endpointKeys,
  endpointOf,
  type GrantConfig,
  margin,
  refreshTokenSchema,
  storeKey,
} from './grants.js';
import { integer, name, path, secretValue, text, type ValueContext } from './values.js';

/** Tokens of many Microsoft tenants. */
export interface MicrosoftConfig {
  readonly type: 'microsoft';
  /** Name of a token store. */
  readonly store: string;
  /** Name of the mapping that knows the tenant of a call; null: the call has to say it. */
  readonly mapping: string | null;
  readonly options: Omit<MicrosoftOptions, 'coordinator' | 'resolver' | 'onFailure' | 'onIssued'>;
}

/** What gives calls through the sidecar their credential, told apart by `type`. */
export type ProviderConfig =
  | GrantConfig
  | MicrosoftConfig
  | { readonly type: 'static'; readonly headers: Readonly<Record<string, Secret>> }
  | { readonly type: 'credentials_file'; readonly path: string }
  | { readonly type: 'credential'; readonly credential: string };

/** The providers by name. */
export function providersSchema(context: ValueContext) {
  return z
    .record(name, providerSchema(context))
    .prefault({})
    .describe('What gives calls through the sidecar their credential, by name; routes say which call gets which.');
}

function providerSchema(context: ValueContext) {
  return z.discriminatedUnion('type', [
    clientCredentialsSchema(context),
    refreshTokenSchema(context),
    microsoftSchema(context),
    z
      .strictObject({
        type: z.literal('static').describe('Header fields given here.'),
        headers: z
          .record(
            z.string(),
            secretValue(context, 'the value of a header field', () => null),
          )
          .describe('The header fields, by name, each value as it goes on the wire.'),
      })
      .superRefine(({ headers }, issues) => checkHeaders(headers, issues)),
    z.strictObject({
      type: z.literal('credentials_file').describe('A JSON file with credentials by vendor, read again when it changes.'),
      path: path(context).describe('Path of the file; docs/credentials-file.md shows one.'),
    }),
    z.strictObject({
      type: z.literal('credential').describe('One of `gateway.credentials`, for the hosts that it is bound to.'),
      credential: text('the name of a credential').describe('Name of the credential; it goes where the first header of its binding says.'),
    }),
  ]);
}

function microsoftSchema(context: ValueContext) {
  return z
    .strictObject({
      type: z.literal('microsoft').describe('The Secure Application Model: one app registration, a refresh token for each tenant.'),
      endpoint: text('an https:// URL').prefault('https://login.microsoftonline.com').describe('Where tokens come from, without the tenant.'),
      ...clientKeys(context),
      ...storeKey(),
      tenant: z
        .strictObject({ mapping: text('the name of a mapping').describe('Name of the mapping whose keys are tenants.') })
        .optional()
        .describe('Who knows the tenant of a call whose context data have no `TenantID`.'),
      max_tenants: integer(1, 1_000_000).prefault(10_000).describe('How many tenants have their access tokens remembered.'),
      expiry_margin: margin('5m'),
      ...endpointKeys(context),
    })
    .transform((written, issues): MicrosoftConfig => {
      const { type, store, tenant, max_tenants: maxTenants } = written;
      const endpoint = checkedUrl('endpoint', written.endpoint, written.insecure, issues);
      const options = { ...endpointOf(written), endpoint, authentication: authenticationOf(written, issues), maxTenants };
      return { type, store, mapping: tenant?.mapping ?? null, options };
    });
}

interface Issues {
  addIssue(issue: { code: 'custom'; path: PropertyKey[]; message: string }): void;
}

function checkHeaders(headers: Readonly<Record<string, Secret>>, issues: Issues): void {
  const seen = new Set<string>();
  for (const [field, secret] of Object.entries(headers)) {
    const place = ['headers', field];
    if (seen.has(field.toLowerCase())) issues.addIssue({ code: 'custom', path: place, message: 'this header is there already, in another case' });
    seen.add(field.toLowerCase());
    const fault = headerFault({ [field]: secret });
    if (fault !== null) issues.addIssue({ code: 'custom', path: place, message: fault });
  }
  if (seen.size === 0) issues.addIssue({ code: 'custom', path: ['headers'], message: 'expected at least one header' });
}

/** What the provider itself says against a header field; it quotes no value. */
function headerFault(headers: Readonly<Record<string, Secret>>): string | null {
  try {
    staticProvider({ headers });
    return null;
  } catch (cause) {
    if (!(cause instanceof SallyportError)) throw cause;
    return cause.message.replace(/^headers\."(?:[^"\\]|\\.)*": /, '');
  }
}
