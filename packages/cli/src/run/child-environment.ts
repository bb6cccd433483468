import type { RunOffer } from '@sallyport/gateway';
import { bundleVariables, type ClientFiles, writeClientFiles } from './client-files.js';
import { javaNonProxyHosts, mergeNoProxy } from './no-proxy.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** `file:` URL of the module that teaches proxies to Nodes which do not know NODE_USE_ENV_PROXY. */
const nodePreload = new URL('../preload/node-proxy.js', import.meta.url).href;

/**
 * The environment of a program under a run: that of the user without the secrets of the configuration, with every variable that makes a client use
 * the proxy and trust the authority. Lists and options of the user (NO_PROXY, NODE_OPTIONS, JAVA_TOOL_OPTIONS) are added to, not replaced. What the
 * variables name is written to `directory`, which only this user may enter.
 */
export async function prepareEnvironment(offer: RunOffer, directory: string, env: Environment): Promise<Record<string, string>> {
  const { authority, ca_bundle: caBundle, proxy_url: proxyUrl, secret_variables: hidden } = offer;
  const files = await writeClientFiles(directory, { authority, caBundle, proxy: new URL(proxyUrl), env });
  return childEnvironment(env, { proxyUrl, files, hidden });
}

function childEnvironment(
  env: Environment,
  { proxyUrl, files, hidden }: { proxyUrl: string; files: ClientFiles; hidden: readonly string[] },
): Record<string, string> {
  const noProxy = mergeNoProxy(env);
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) if (value !== undefined && !hidden.includes(name)) result[name] = value;
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy', 'npm_config_proxy', 'npm_config_https_proxy'])
    result[name] = proxyUrl;
  if (noProxy !== '') for (const name of ['NO_PROXY', 'no_proxy']) result[name] = noProxy;
  for (const name of bundleVariables) result[name] = files.bundle;
  return {
    ...result,
    NODE_EXTRA_CA_CERTS: files.extra,
    NODE_USE_ENV_PROXY: '1',
    NODE_OPTIONS: joined(env.NODE_OPTIONS, `--import ${quoted(nodePreload)}`),
    JAVA_TOOL_OPTIONS: joined(env.JAVA_TOOL_OPTIONS, javaOptions(new URL(proxyUrl), noProxy, files)),
    // Otherwise git asks once in vain, to learn what the proxy wants.
    GIT_HTTP_PROXY_AUTHMETHOD: 'basic',
    WGETRC: files.wgetrc,
  };
}

/** The token is not among them: every Java prints JAVA_TOOL_OPTIONS when it starts. */
function javaOptions(proxy: URL, noProxy: string, files: ClientFiles): string {
  const properties = {
    'http.proxyHost': proxy.hostname,
    'http.proxyPort': proxy.port,
    'https.proxyHost': proxy.hostname,
    'https.proxyPort': proxy.port,
    'http.nonProxyHosts': javaNonProxyHosts(noProxy),
    // By default Java refuses to send a password to a proxy for a tunnel.
    'jdk.http.auth.tunneling.disabledSchemes': '',
    'javax.net.ssl.trustStore': files.javaTrustStore,
    'javax.net.ssl.trustStoreType': 'JKS',
  };
  const options = Object.entries(properties).map(([name, value]) => `-D${name}=${value}`);
  return [...options, `-javaagent:${files.javaAgent}`].map(quoted).join(' ');
}

function joined(before: string | undefined, addition: string): string {
  return before === undefined || before === '' ? addition : `${before} ${addition}`;
}

/** In the way that both Node and Java read their options. */
function quoted(option: string): string {
  return /\s/.test(option) ? `"${option}"` : option;
}
