import { loadConfig, type RouteExplanation } from '@sallyport/gateway';
import { requireConfig } from '../config-file.js';
import { type ExplainedRequest, type Explanation, explain } from '../explain/explain.js';
import { coloursFor, columns, printJson } from '../terminal.js';

/** What a platform says about a call through the sidecar; any of it makes the request such a call, and so does `sidecar` alone. */
interface SidecarOptions {
  sidecar?: true;
  vendorId?: string;
  environmentId?: string;
  marketplaceId?: string;
  productId?: string;
  subscriptionId?: string;
  data?: Readonly<Record<string, unknown>>;
}

/** The options of `sallyport config explain`. */
export interface ExplainOptions extends SidecarOptions {
  config?: string;
  caller?: string;
  output: 'text' | 'json';
}

/** `sallyport config explain`: 0 whatever the answer is. */
export async function explainRequest(method: string, url: string, { config, caller, output, ...said }: ExplainOptions): Promise<number> {
  const { gateway } = await loadConfig(requireConfig(config));
  const explanation = await explain(gateway, { method: method.toUpperCase(), url, callerName: caller, platform: platformOf(said) });
  if (output === 'json') printJson(explanation);
  else process.stdout.write(describe(explanation));
  return 0;
}

function platformOf({ sidecar, ...fields }: SidecarOptions): ExplainedRequest['platform'] {
  return sidecar === undefined && Object.keys(fields).length === 0 ? null : fields;
}

function describe({ method, url, caller, policy, tunnel, addresses, route, credential, bindings, error }: Explanation): string {
  const colours = coloursFor(process.stdout);
  const mark = (good: boolean): string => (good ? colours.green('✓') : colours.red('✗'));
  const heading = (text: string): string => colours.bold(text);
  const table = (rows: readonly (readonly string[])[]): string[] => (rows.length === 0 ? [] : [columns(rows)]);
  const credentials = caller.credentials === 'all' ? 'all credentials' : caller.credentials.join(', ') || 'no credentials';
  const decided = policy.rule === null ? `no rule decides, so the mode does (${policy.mode})` : `"${policy.rule}"`;
  return `${[
    heading(`${method} ${url}`),
    `  by ${caller.name} (${credentials})`,
    `${heading('policy')}: ${policy.verdict}, ${decided}`,
    ...table(policy.considered.map(({ rule, matched, why }) => [`  ${mark(matched)} ${rule}`, colours.dim(why)])),
    route?.outcome === 'forward' ? `${heading('addresses')}: those of the forward target, wherever it is` : heading('addresses'),
    ...table(addresses.map(({ address, allowed, class: kind, reason }) => [`  ${mark(allowed)} ${address}`, kind, colours.dim(reason ?? '')])),
    ...(route === null ? [] : describeRoute(route, heading('route'), colours.dim)),
    `${heading('credential')}: ${tunnel ? 'none, the connection passes unseen' : (credential ?? givenBy(route))}`,
    ...table(bindings.map(({ credential: name, binding, used, why }) => [`  ${mark(used)} ${name}, binding ${binding}`, colours.dim(why)])),
    error === null ? colours.green('It goes out.') : `${colours.red(`It does not go out (${error.code})`)}: ${error.detail}\n  ${error.hint}`,
  ].join('\n')}\n`;
}

function describeRoute({ route, matching, why }: RouteExplanation, heading: string, dim: (text: string) => string): string[] {
  const others = matching.filter((place) => place !== route).map(placeOf);
  const also = others.length === 0 ? [] : [`  ${dim(`${others.join(', ')} ${others.length === 1 ? 'matches' : 'match'} as well`)}`];
  return [`${heading}: ${route === null ? 'none' : placeOf(route)}, ${why}`, ...also];
}

/** As problems of a configuration name it. */
function placeOf(route: number): string {
  return `gateway.routes[${route}]`;
}

/** Who gives the credential where no binding does. */
function givenBy(route: RouteExplanation | null): string {
  switch (route?.outcome) {
    case 'provider':
      return `from the provider ${route.name} (${route.detail})`;
    case 'forward':
      return `left to the forward target ${route.name} (${route.detail})`;
    case 'plugin':
      return `from the plugin ${route.name}, which is not asked here`;
    default:
      return 'none';
  }
}
