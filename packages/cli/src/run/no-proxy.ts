type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The hosts that programs reach directly: what the user has in NO_PROXY and in no_proxy, each entry once, and nothing else. Not even localhost is
 * added, because a gateway that should be asked for it could not be.
 */
export function mergeNoProxy(env: Environment): string {
  const entries = [env.NO_PROXY, env.no_proxy].flatMap((list) => (list ?? '').split(/[\s,]+/)).filter((entry) => entry !== '');
  return [...new Set(entries)].join(',');
}

/**
 * The same list in the form of Java's `http.nonProxyHosts`. Networks, ports and the like are left out: Java knows only names with a `*` at an end.
 */
export function javaNonProxyHosts(noProxy: string): string {
  const hosts = noProxy.split(',').flatMap((entry) => {
    const name = entry.replace(/^\*?\./, '');
    if (entry === '*') return ['*'];
    if (!/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(name)) return [];
    return name === entry ? [name] : [name, `*.${name}`];
  });
  return [...new Set(hosts)].join('|');
}
