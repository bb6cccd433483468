import type { Plugin, RequestRouter } from '../plugin.js';
import { callChecks } from './call-checks.js';
import { credentialChecks } from './credential-checks.js';
import { errorChecks, strayCheck } from './error-checks.js';
import { type Check, type ContractOptions, type Kit, kitFor } from './kit.js';
import { responseChecks } from './response-checks.js';
import { requestRouterChecks } from './router-checks.js';
import { signerChecks } from './signer-checks.js';
import { watchingForStrays } from './strays.js';

/** What a plugin does not keep of the contract: one error for each check that failed, its name in front. */
export class ContractViolation extends AggregateError {
  override readonly name = 'ContractViolation';
  declare errors: Error[];

  constructor(errors: readonly Error[], checks: number) {
    super(errors, [`${errors.length} of ${checks} checks failed:`, ...errors.map(({ message }) => `- ${message}`)].join('\n'));
  }
}

/**
 * The checks that there are for this plugin, in the order in which they are to be run: one for each thing that the contract says about the methods
 * that it has. They start nothing before they are run, never share a context or a request, and each ends within a bounded time.
 *
 * `for (const { name, run } of contractChecks(plugin)) test(name, run);` shows them one by one in node:test and vitest alike.
 */
export function contractChecks(plugin: Plugin, options: ContractOptions = {}): readonly Check[] {
  const shape: Check = {
    name: 'a plugin has methods',
    run() {
      const problem = shapeProblem(plugin);
      return problem === null ? Promise.resolve() : Promise.reject(new Error(problem));
    },
  };
  if (shapeProblem(plugin) !== null) return [shape];
  const kit = kitFor(plugin, options);
  const checks = [shape];
  if (plugin.getCredentials !== undefined) checks.push(...credentialChecks(kit), ...callChecks(kit));
  if (has(plugin, 'signCsr')) checks.push(...signerChecks(kit, plugin));
  if (has(plugin, 'modifyResponse')) checks.push(...responseChecks(kit, plugin));
  if (has(plugin, 'routeRequest')) checks.push(...requestRouterChecks(kit, plugin));
  return [...watched(kit, [...checks, ...errorChecks(kit)]), strayCheck(kit)];
}

/** The same for a router alone. */
export function routerChecks(router: RequestRouter, options: ContractOptions = {}): readonly Check[] {
  const kit = kitFor(router, options);
  return [...watched(kit, [...requestRouterChecks(kit, router), ...errorChecks(kit)]), strayCheck(kit)];
}

/** Runs all checks of a plugin, one after the other. Rejects with a `ContractViolation` that lists every one that failed. */
export async function verifyContract(plugin: Plugin, options: ContractOptions = {}): Promise<void> {
  await runAll(contractChecks(plugin, options));
}

/** Runs all checks of a router; see `verifyContract`. */
export async function verifyRouter(router: RequestRouter, options: ContractOptions = {}): Promise<void> {
  await runAll(routerChecks(router, options));
}

async function runAll(checks: readonly Check[]): Promise<void> {
  const errors: Error[] = [];
  for (const { name, run } of checks) {
    try {
      await run();
    } catch (error) {
      errors.push(new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`));
    }
  }
  if (errors.length > 0) throw new ContractViolation(errors, checks.length);
}

function watched(kit: Kit, checks: readonly Check[]): readonly Check[] {
  return checks.map(({ name, run }) => ({ name, run: () => watchingForStrays(run, kit.strays) }));
}

const methods = ['getCredentials', 'signCsr', 'modifyResponse', 'routeRequest'] as const;

function has<M extends keyof Plugin>(plugin: Plugin, method: M): plugin is Plugin & Required<Pick<Plugin, M>> {
  return plugin[method] !== undefined;
}

function shapeProblem(plugin: unknown): string | null {
  if (typeof plugin !== 'object' || plugin === null) return 'it is not an object; call the function that makes it first';
  const members = [...methods, 'forwardReferences'] as const;
  const wrong = members.find((name) => (plugin as Plugin)[name] !== undefined && typeof (plugin as Plugin)[name] !== 'function');
  if (wrong !== undefined) return `its member ${wrong} is not a function`;
  return methods.every((name) => (plugin as Plugin)[name] === undefined) ? `it has none of the methods ${methods.join(', ')}` : null;
}
