import { z } from 'zod';
import { parseRule } from '../policy/rules.js';
import { allowListSchema } from './schema/allow-list.js';
import { limitsSchema, timeoutsSchema } from './schema/bounds.js';
import { callersSchema } from './schema/callers.js';
import { credentialsSchema } from './schema/credentials.js';
import { forwardTargetsSchema } from './schema/forward-targets.js';
import { listenersSchema } from './schema/listeners.js';
import { mappingsSchema } from './schema/mappings.js';
import { pluginSchema } from './schema/plugin.js';
import { providersSchema } from './schema/providers.js';
import { defaultRouteSchema, routesSchema } from './schema/routes.js';
import { staticHostsSchema } from './schema/static-hosts.js';
import { telemetrySchema } from './schema/telemetry.js';
import { tokenStoresSchema } from './schema/token-stores.js';
import { duration, headerName, integer, oneOf, parsedText, path, readableFile, type ValueContext } from './schema/values.js';
import type { Section } from './section.js';
import { checkAcrossSections } from './section-checks.js';

export type { ValueContext } from './schema/values.js';

const LONGEST_LEAF_LIFETIME = 30 * 86_400_000;

/**
 * The schema of a whole configuration file: the source of the types, the validation, the JSON Schema and the reference page. Unknown keys
 * are errors everywhere. The keys of what comes out are those of the file; durations are milliseconds, sizes bytes, paths absolute. The section of
 * the control plane may be there, and whoever uses it looks into it.
 */
export function configSchema(context: ValueContext) {
  return z.strictObject({
    gateway: gatewaySchema(context),
    control: z.unknown().optional().describe('The control plane.'),
  });
}

/** As `configSchema`, for a process that uses the section of the control plane: at least one of the two sections has to be there. */
export function wholeSchema<Control>(context: ValueContext, control: Section<Control>) {
  return z
    .strictObject({ gateway: gatewaySchema(context).optional(), control: control.schema(context).optional() })
    .refine((file) => file.gateway !== undefined || file.control !== undefined, 'expected at least one of gateway and control');
}

/** The gateway's section of a valid configuration. Secrets are held in `Secret`; `null` means `off`. */
export type GatewayConfig = z.output<ReturnType<typeof gatewaySchema>>;

type CredentialConfig = GatewayConfig['credentials'][string];

/** Where a credential comes from, told apart by `type`. */
export type SourceConfig = NonNullable<CredentialConfig['source']>;

/** One binding of a credential. */
export type BindingConfig = CredentialConfig['bind'][number];

function gatewaySchema(context: ValueContext) {
  return z
    .strictObject({
      listeners: listenersSchema(context),
      authority: authoritySchema(context),
      policy: policySchema(),
      credentials: credentialsSchema(context),
      callers: callersSchema(context),
      plugin: pluginSchema(context),
      forward_targets: forwardTargetsSchema(context),
      token_stores: tokenStoresSchema(context),
      providers: providersSchema(context),
      mappings: mappingsSchema(),
      routes: routesSchema(),
      default: defaultRouteSchema(),
      upstream: upstreamSchema(context),
      timeouts: timeoutsSchema(),
      limits: limitsSchema(),
      sanitize: sanitizeSchema(),
      log: logSchema(context),
      telemetry: telemetrySchema(context),
      shutdown: shutdownSchema(),
    })
    .superRefine(checkAcrossSections, { when: () => true })
    .describe('The data plane.');
}

function authoritySchema(context: ValueContext) {
  return z
    .strictObject({
      dir: path(context).prefault('~/.sallyport/ca').describe('Directory of the certificate authority; made on first start.'),
      leaf_lifetime: duration(LONGEST_LEAF_LIFETIME).prefault('7d').describe('Lifetime of the certificates made for intercepted hosts.'),
      leaf_cache: integer(1, 1_000_000).prefault(1_024).describe('How many of these certificates are kept in memory.'),
    })
    .prefault({})
    .describe('The certificate authority that intercepted connections are signed by.');
}

function policySchema() {
  return z
    .strictObject({
      mode: oneOf(['strict', 'permissive', 'observe'])
        .prefault('strict')
        .describe(
          'What happens where no rule decides: `strict` denies, `permissive` allows. `observe` lets everything out and records what strict would deny.',
        ),
      rules: z
        .array(parsedText('a policy rule', parseRule))
        .prefault([])
        .describe('`allow|deny|passthrough HOST[:PORT] [METHODS] [PATH] [to CIDR,…]`, one an item.'),
      allow_list: allowListSchema().optional(),
    })
    .prefault({})
    .describe('Which requests may go out.');
}

function upstreamSchema(context: ValueContext) {
  return z
    .strictObject({
      ca: z.array(readableFile(context)).prefault([]).describe('PEM files of authorities trusted in addition to those of the system.'),
      min_tls: oneOf(['TLSv1.2', 'TLSv1.3']).prefault('TLSv1.2').describe('The oldest TLS version spoken with upstreams.'),
      hosts: staticHostsSchema(),
    })
    .prefault({})
    .describe('How upstreams are found and verified.');
}

function sanitizeSchema() {
  return z
    .strictObject({
      sensitive_headers: z.array(headerName()).prefault([]).describe('Header fields removed from responses, in addition to the built-in set.'),
    })
    .prefault({})
    .describe('What is taken out of responses.');
}

function logSchema(context: ValueContext) {
  return z
    .strictObject({
      level: oneOf(['debug', 'info', 'warn', 'error', 'silent']).prefault('info').describe('The least important lines that are written.'),
      target: oneOf(['host', 'path', 'full'])
        .prefault('path')
        .describe('What is recorded of a target: `host` without its path, `path`, or `full` with the query, where some services put secrets.'),
      file: path(context).optional().describe('File that log lines are appended to; standard output when left out.'),
    })
    .prefault({})
    .describe('The log.');
}

function shutdownSchema() {
  return z
    .strictObject({ drain: duration().prefault('30s').describe('How long requests in flight may take to finish.') })
    .prefault({})
    .describe('What happens on SIGTERM.');
}
