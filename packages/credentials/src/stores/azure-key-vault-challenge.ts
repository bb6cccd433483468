/**
 * The resource for which a vault wants a token, from its `WWW-Authenticate` field: the `resource`, otherwise the `scope` without `/.default`;
 * null when it names none. Without a slash at the end.
 */
export function challengedResource(header: string | null): string | null {
  if (header === null || !/^bearer[ \t]/i.test(header)) return null;
  const parameters = new Map<string, string>();
  for (const [, name, value] of header.matchAll(/([a-z_]+)[ \t]*=[ \t]*"([^"]*)"/gi)) {
    // The first one counts: a second must not be able to replace what was judged.
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value);
  }
  const resource = parameters.get('resource') ?? parameters.get('scope')?.replace(/\/\.default$/, '');
  return resource === undefined || resource === '' ? null : resource.replace(/\/+$/, '');
}
