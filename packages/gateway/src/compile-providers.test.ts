import { describe, expect, test } from 'vitest';
import { compileProviders } from './compile-providers.js';
import { gateway } from './config/expected-problems.test.support.js';
import { parseConfig } from './config/load.js';
import { SharedCredentials } from './providers/shared-credentials.js';

/** The methods of the plugin that is made of these sections; null when none is made. */
async function methodsOf(...lines: string[]): Promise<string[] | null> {
  const config = parseConfig(gateway('listeners: { sidecar: {} }', ...lines), { path: '/x.yaml' }).gateway;
  const ignore = (): void => {};
  const means = { shared: new SharedCredentials(), onCredentialFailure: ignore, onCredentialFetch: ignore, onWarning: ignore };
  const declared = await compileProviders(config, new Map(), means, new Set());
  return declared === null ? null : Object.keys(declared.plugin).sort();
}

const SIMPLE = 'providers: { simple: { type: static, headers: { X-Key: v } } }';
const TARGETS = 'forward_targets: { router: { url: "https://r.example" } }';

describe('the plugin that routes are made into', () => {
  test('is none without routes and default', async () => {
    expect(await methodsOf(SIMPLE, TARGETS)).toBeNull();
  });

  test('is not asked for routes when none forwards', async () => {
    expect(await methodsOf(SIMPLE, 'default: { provider: simple }')).toEqual(['getCredentials']);
    expect(await methodsOf(SIMPLE, 'routes: [{ match: {}, provider: simple }]')).toEqual(['getCredentials']);
  });

  test('is not asked for credentials when none gives one', async () => {
    expect(await methodsOf(TARGETS, 'routes: [{ match: {}, forward: router }]')).toEqual(['forwardReferences', 'routeRequest']);
  });

  test('never looks at responses, nor signs', async () => {
    expect(await methodsOf(SIMPLE, TARGETS, 'routes: [{ match: {}, forward: router }]', 'default: { provider: simple }')).toEqual([
      'forwardReferences',
      'getCredentials',
      'routeRequest',
    ]);
  });
});
