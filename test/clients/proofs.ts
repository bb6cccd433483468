import { expect } from 'vitest';
import type { Seen } from './upstream/servers.js';
import type { Recorded, World } from './world.js';

const patience = { timeout: 10_000, interval: 20 };

/** What arrived at the path; there must be something. */
function arrivedAt(world: World, path: string): readonly Seen[] {
  const arrived = world.seen().filter(({ url }) => url === path || url.startsWith(`${path}?`));
  expect(arrived, `what arrived at ${path}`).not.toEqual([]);
  return arrived;
}

/** Shows that no header which is meant for the proxy went further. */
function expectClean(arrived: readonly Seen[]): void {
  for (const { headers } of arrived) expect(Object.keys(headers).filter((name) => /^(proxy|x-sallyport)-/.test(name))).toEqual([]);
}

/** Waits for the record of an exchange, which may be written after the client has its answer. */
async function recordOf(world: World, what: string, matches: (recorded: Recorded) => boolean): Promise<Recorded> {
  await expect.poll(() => world.recorded().some(matches), { ...patience, message: `the record of ${what}` }).toBe(true);
  return world.recorded().find(matches) as Recorded;
}

/** Shows that the gateway looked into the connection and put the credential into every request at this path: without it the server answers 401. */
export async function expectInjected(world: World, path: string, authorization = world.bearer): Promise<readonly Seen[]> {
  const arrived = arrivedAt(world, path);
  expectClean(arrived);
  for (const { headers } of arrived) expect(headers.authorization === authorization, 'whether the credential was there').toBe(true);
  const recorded = await recordOf(world, path, (one) => one.path === path && one.caller !== null);
  expect(recorded).toMatchObject({ scheme: 'https', caller: 'tester', verdict: 'allowed', outcome: 'completed', error: null });
  expect(recorded.credential).toBe(authorization === world.bearer ? 'token' : 'password');
  return arrived;
}

/** Shows that a plain request passed by the gateway, without any credential. */
export async function expectPlain(world: World, path: string): Promise<readonly Seen[]> {
  const arrived = arrivedAt(world, path);
  expectClean(arrived);
  for (const { headers } of arrived) expect(headers.authorization).toBeUndefined();
  const recorded = await recordOf(world, path, (one) => one.path === path && one.caller !== null);
  expect(recorded).toMatchObject({ kind: 'request', scheme: 'http', caller: 'tester', credential: null, outcome: 'completed', error: null });
  return arrived;
}

/** Shows that a connection passed by the gateway unseen: the request arrived, and all that the gateway knows of it is the tunnel. */
export async function expectTunnelled(world: World, path: string): Promise<readonly Seen[]> {
  const arrived = arrivedAt(world, path);
  for (const { headers } of arrived) expect(headers.authorization).toBeUndefined();
  const { hostname } = new URL(world.pinned);
  const recorded = await recordOf(world, `the tunnel to ${hostname}`, (one) => one.kind === 'tunnel' && one.caller !== null);
  // How it ended says nothing: many clients reset a connection that they are done with.
  expect(recorded).toMatchObject({
    host: hostname,
    method: 'CONNECT',
    path: '',
    caller: 'tester',
    verdict: 'passthrough',
    credential: null,
    status: 200,
  });
  expect(world.recorded().filter((one) => one.path === path)).toEqual([]);
  return arrived;
}

/** Shows that the gateway refused and nothing arrived. */
export async function expectRefused(world: World, code: string): Promise<void> {
  await recordOf(world, `a refusal with ${code}`, ({ error, outcome }) => error === code && outcome === 'refused');
  expect(world.seen()).toEqual([]);
}
