import type { GatewayConfig } from '../config/schema.js';

/**
 * Names of the environment variables that hold a secret of this configuration, in a given environment: those that credentials are read from, and
 * those whose value is a token of a caller or a credential. A program under a run must not inherit them.
 */
export function secretVariables({ credentials, callers }: GatewayConfig, env: Readonly<Record<string, string | undefined>>): string[] {
  const names = new Set<string>();
  const values = new Set<string>();
  for (const { source } of Object.values(credentials)) {
    if (source.type === 'env') names.add(source.var);
    else if (source.type === 'static') values.add(source.value.reveal());
  }
  for (const caller of Object.values(callers)) if ('token' in caller) values.add(caller.token.reveal());
  for (const [name, value] of Object.entries(env)) if (value !== undefined && values.has(value)) names.add(name);
  return [...names];
}
