import { Secret } from '@sallyport/sdk';
import type { GatewayConfig } from '../config/schema.js';

/**
 * Names of the environment variables that hold a secret of this configuration, in a given environment: those that credentials are read from, and
 * those whose value is a token of a caller or any other secret in it. A program under a run must not inherit them.
 */
export function secretVariables(config: GatewayConfig, env: Readonly<Record<string, string | undefined>>): string[] {
  const names = new Set<string>();
  const values = new Set<string>();
  for (const { source } of Object.values(config.credentials)) if (source?.type === 'env') names.add(source.var);
  collectSecrets(config, values);
  for (const [name, value] of Object.entries(env)) if (value !== undefined && values.has(value)) names.add(name);
  return [...names];
}

function collectSecrets(value: unknown, into: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  if (value instanceof Secret) into.add(value.reveal());
  else for (const one of Object.values(value)) collectSecrets(one, into);
}
