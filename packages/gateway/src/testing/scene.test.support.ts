import type { GatewayOptions } from '../gateway.js';
import type { Response } from './message-reader.test.support.js';
import { closeClients } from './raw-client.test.support.js';
import { type RunningGateway, runningGateway, stopGateways } from './running-gateway.test.support.js';
import { type Echoed, echo, type Script, type ScriptedUpstream, startUpstream, stopUpstreams } from './scripted-upstream.test.support.js';
import { removeTemporaryDirectories } from './temporary-directory.test.support.js';
import { type TestAuthority, testAuthority } from './test-authority.test.support.js';

/** A gateway and an upstream behind it, which is `api.test` and `other.test` in plain HTTP. */
export interface Scene {
  readonly gateway: RunningGateway;
  readonly upstream: ScriptedUpstream;
  /** `http://api.test:PORT`. */
  readonly origin: string;
  /** `api.test:PORT`. */
  readonly authority: string;
}

/** The authority of all upstreams of a test, made when the first of them needs it. */
let authority: Promise<TestAuthority> | null = null;

export function upstreamAuthority(): Promise<TestAuthority> {
  authority ??= testAuthority();
  return authority;
}

/** A scene with a plain upstream. */
export async function plainScene(
  script: Script = echo,
  sections = '',
  env: Readonly<Record<string, string>> = {},
  options: Pick<GatewayOptions, 'plugin'> = {},
): Promise<Scene> {
  const upstream = await startUpstream(script);
  const gateway = await runningGateway(sections, env, options);
  return { gateway, upstream, origin: `http://api.test:${upstream.port}`, authority: `api.test:${upstream.port}` };
}

/** A scene with an upstream that speaks TLS as `api.test`, and whose authority the gateway trusts. */
export async function secureScene(script: Script = echo, sections = '', env: Readonly<Record<string, string>> = {}): Promise<Scene> {
  const trusted = await upstreamAuthority();
  const upstream = await startUpstream(script, trusted.serverFor('api.test'));
  const gateway = await runningGateway(sections, { CA: trusted.path, ...env });
  return { gateway, upstream, origin: `https://api.test:${upstream.port}`, authority: `api.test:${upstream.port}` };
}

/** Stops whatever a test has started. */
export async function stopEverything(): Promise<void> {
  closeClients();
  await stopGateways();
  await stopUpstreams();
  await removeTemporaryDirectories();
  await (await authority)?.remove();
  authority = null;
}

/** What the upstream saw of a request that it echoed. */
export function echoed(response: Response): Echoed {
  return JSON.parse(response.body.toString()) as Echoed;
}

/** The refusal in a response: a problem document. */
export function problem(response: Response): Readonly<Record<string, unknown>> {
  return JSON.parse(response.body.toString()) as Record<string, unknown>;
}
