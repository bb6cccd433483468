import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openTokenStore } from '@sallyport/credentials';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Response } from '../testing/message-reader.test.support.js';
import { rawClient } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, problem, type Scene, stopEverything } from '../testing/scene.test.support.js';
import { reply } from '../testing/scripted-upstream.test.support.js';
import { temporaryDirectory } from '../testing/temporary-directory.test.support.js';
import { startTokenEndpoint, stopTokenEndpoints, type TokenEndpointScene } from '../testing/token-endpoint.test.support.js';

const ENV = { ACME_SECRET: 'the-secret-of-acme', API_KEY: 'the-key-of-simple', APP_SECRET: 'the-secret-of-the-app' };

let tokens: TokenEndpointScene;
let directory: string;
beforeEach(async () => {
  tokens = await startTokenEndpoint();
  directory = await temporaryDirectory();
});
afterEach(async () => {
  await stopEverything();
  await stopTokenEndpoints();
});

/** Calls the sidecar: `context` are the fields of the context without their prefix, `Context-Data` as an object. */
async function call(
  { gateway, origin }: Scene,
  context: Readonly<Record<string, string | Readonly<Record<string, string>>>>,
  { method = 'GET', path = '/x', body = '' } = {},
): Promise<Response> {
  const client = await rawClient(gateway.sidecar);
  const fields = Object.entries(context).map(([name, value]) => {
    return `X-Connect-${name}: ${typeof value === 'string' ? value : Buffer.from(JSON.stringify(value)).toString('base64')}`;
  });
  const length = body === '' ? [] : [`Content-Length: ${body.length}`];
  const response = await client.request(
    `${method} /proxy HTTP/1.1`,
    ['Host: sidecar', `X-Connect-Target-URL: ${origin}${path}`, ...fields, ...length],
    body,
  );
  client.close();
  return response;
}

const sent = (response: Response, name: string): string | undefined =>
  echoed(response)
    .lines.find((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    ?.slice(name.length + 1)
    .trim();

const acme = (extra = ''): string =>
  `acme: { type: client_credentials, token_url: "${tokens.origin}/token", client_id: me, client_secret: { env: ACME_SECRET }, insecure: true${extra} }`;

const microsoft = (): string => `microsoft:
    type: microsoft
    endpoint: ${tokens.origin}
    client_id: app
    client_secret: { env: APP_SECRET }
    store: tenants
    tenant: { mapping: partners }
    insecure: true`;

/** A directory with a refresh token for each name. */
async function storeOf(...names: readonly string[]): Promise<string> {
  const path = join(directory, 'tokens');
  await mkdir(path, { mode: 0o700 });
  for (const name of names) await writeFile(join(path, name), `refresh-${name}\n`, { mode: 0o600 });
  return path;
}

describe('a provider', () => {
  test('of client credentials gives its token to every route that names it, fetched once', async () => {
    const routes = 'routes: [{ match: { vendor_id: "acme-*" }, provider: acme }, { match: { product_id: p }, provider: acme }]';
    const scene = await plainScene(undefined, `providers:\n  ${acme(', scopes: [a, b]')}\n${routes}`, ENV);
    for (const context of [{ 'Vendor-ID': 'acme-1' }, { 'Vendor-ID': 'acme-2' }, { 'Product-ID': 'p' }]) {
      expect(sent(await call(scene, context), 'Authorization')).toBe('Bearer token-1');
    }
    expect(tokens.received.map(({ form }) => form)).toEqual([
      { grant_type: 'client_credentials', scope: 'a b', client_id: 'me', client_secret: ENV.ACME_SECRET },
    ]);
    expect(await scene.gateway.log()).not.toMatch(/token-1|the-secret/);
  });

  test('of a refresh token presents what the store has, and stores its successor before the call goes out', async () => {
    const store = await storeOf('legacy');
    tokens.answer = () => ({ access_token: 'access', expires_in: 3_600, refresh_token: 'successor' });
    const scene = await plainScene(
      undefined,
      `token_stores: { tenants: { type: directory, path: "${store}" } }
providers:
  legacy: { type: refresh_token, token_url: "${tokens.origin}/token", client_id: me, auth: none, store: tenants, insecure: true }
default: { provider: legacy }`,
    );
    expect(sent(await call(scene, {}), 'Authorization')).toBe('Bearer access');
    expect(tokens.received[0].form).toEqual({ grant_type: 'refresh_token', client_id: 'me', refresh_token: 'refresh-legacy' });
    const stored = await openTokenStore({ type: 'directory', path: store }).read('legacy', new AbortController().signal);
    expect(stored.record.refreshToken.reveal()).toBe('successor');
    expect(await scene.gateway.log()).not.toMatch(/successor|refresh-legacy/);
  });

  test('of Microsoft takes the tenant from the context data, or from the mapping', async () => {
    const store = await storeOf('contoso.onmicrosoft.com', 'fabrikam.onmicrosoft.com');
    tokens.answer = ({ path, form }) => ({ access_token: `${path} ${form.resource}`.replace(/[^\w]/g, '-'), expires_in: 3_600 });
    const scene = await plainScene(
      undefined,
      `token_stores: { tenants: { type: directory, path: "${store}" } }
mappings: { partners: [{ match: { marketplace_id: eu }, key: contoso.onmicrosoft.com }] }
providers:
  ${microsoft()}
routes: [{ match: { vendor_id: "microsoft-*" }, provider: microsoft }]`,
      ENV,
    );
    const vendor = { 'Vendor-ID': 'microsoft-365' };
    const resource = { Resource: 'graph' };
    const mapped = await call(scene, { ...vendor, 'Marketplace-ID': 'eu', 'Context-Data': resource });
    expect(sent(mapped, 'Authorization')).toBe('Bearer -contoso-onmicrosoft-com-oauth2-token-graph');
    const said = await call(scene, { ...vendor, 'Marketplace-ID': 'eu', 'Context-Data': { ...resource, TenantID: 'fabrikam.onmicrosoft.com' } });
    expect(sent(said, 'Authorization')).toBe('Bearer -fabrikam-onmicrosoft-com-oauth2-token-graph');
    expect(tokens.received[0].form).toMatchObject({
      client_id: 'app',
      client_secret: ENV.APP_SECRET,
      refresh_token: 'refresh-contoso.onmicrosoft.com',
    });
    expect(problem(await call(scene, { ...vendor, 'Marketplace-ID': 'us', 'Context-Data': resource })).code).toBe('mapping_not_found');
    expect(problem(await call(scene, { ...vendor, 'Marketplace-ID': 'eu' })).code).toBe('context_data_missing');
  });

  test('of header fields places them all', async () => {
    const scene = await plainScene(
      undefined,
      'providers: { simple: { type: static, headers: { X-API-Key: { env: API_KEY }, X-Account: "42" } } }\ndefault: { provider: simple }',
      ENV,
    );
    const response = await call(scene, {});
    expect([sent(response, 'X-API-Key'), sent(response, 'X-Account')]).toEqual([ENV.API_KEY, '42']);
    expect((await scene.gateway.recorded(1)).credential).toBe('routes');
  });

  test('of a credentials file follows the file, and forgets what it gave before', async () => {
    const path = join(directory, 'credentials.json');
    const write = async (token: string): Promise<void> => {
      const text = JSON.stringify({ vendors: { acme: { auth_type: 'bearer', token } } });
      await writeFile(`${path}.new`, text, { mode: 0o600 });
      await rename(`${path}.new`, path);
    };
    await write('first');
    const scene = await plainScene(undefined, `providers: { file: { type: credentials_file, path: "${path}" } }\ndefault: { provider: file }`);
    const token = async (): Promise<string | undefined> => sent(await call(scene, { 'Vendor-ID': 'acme' }), 'Authorization');
    expect(await token()).toBe('Bearer first');
    await write('second');
    await expect.poll(token, { timeout: 20_000 }).toBe('Bearer second');
    await writeFile(path, '{', { mode: 0o600 });
    await expect.poll(() => scene.gateway.log(), { timeout: 20_000 }).toContain('config_invalid');
    expect(await token()).toBe('Bearer second');
  });

  test('that is a credential gives it to the hosts that it is bound to, and to no other', async () => {
    const sections = `credentials:
  github: { source: { type: static, value: sesame }, bind: [{ hosts: ["api.test:*"], place: { header: X-Key, format: "key {secret}" }, plaintext: true }] }
providers: { bound: { type: credential, credential: github } }
default: { provider: bound }`;
    const scene = await plainScene(undefined, sections);
    expect(sent(await call(scene, {}), 'X-Key')).toBe('key sesame');
    const elsewhere = { ...scene, origin: scene.origin.replace('api.test', 'other.test') };
    expect(problem(await call(elsewhere, {})).code).toBe('credential_not_bound');
    await scene.gateway.reload(sections.replace(', plaintext: true', ''));
    expect(problem(await call(scene, {})).code).toBe('credential_not_bound');
    expect(scene.upstream.requests).toHaveLength(1);
  });

  test('that fails answers with the code of what failed, and shows no secret', async () => {
    tokens.answer = () => ({ status: 401, error: 'invalid_client' });
    const scene = await plainScene(undefined, `providers:\n  ${acme()}\ndefault: { provider: acme }`, ENV);
    const response = await call(scene, {});
    expect([response.status, problem(response).code]).toEqual([500, 'client_credentials_refused']);
    // Where tokens come from is for the log.
    expect(response.body.toString()).not.toContain(tokens.origin);
    expect((await scene.gateway.recorded(1)).outcome).toBe('failed');
    expect(await scene.gateway.log()).toContain('client_credentials_refused');
    expect(await scene.gateway.log()).not.toContain(ENV.ACME_SECRET);
    expect(scene.upstream.requests).toHaveLength(0);
  });
});

test('a grant is a credential of the other doors as well', async () => {
  const scene = await plainScene(
    undefined,
    `credentials:
  graph:
    grant: { type: client_credentials, token_url: "${tokens.origin}/token", client_id: me, client_secret: { env: ACME_SECRET }, auth: basic, insecure: true }
    bind: [{ hosts: ["api.test:*"], place: { header: Authorization, format: "Bearer {secret}" }, plaintext: true }]
listeners: { forward: { port: 0, insecure_targets: true }, sidecar: { port: 0, insecure_targets: true }, ops: { port: 0 } }`,
    ENV,
  );
  const client = await rawClient(scene.gateway.forward);
  const response = await client.request(`GET ${scene.origin}/x HTTP/1.1`, [`Host: ${scene.authority}`]);
  expect(sent(response, 'Authorization')).toBe('Bearer token-1');
  expect(tokens.received[0].headers.authorization).toBe(`Basic ${Buffer.from('me:the-secret-of-acme'.replaceAll('-', '%2D')).toString('base64')}`);
});

describe('routes', () => {
  const simple = 'providers: { simple: { type: static, headers: { X-API-Key: { env: API_KEY } } } }';

  test('lead to a forward target or to a provider, the most specific one wins, and what matches none fails', async () => {
    const scene = await plainScene(
      undefined,
      `${simple}
forward_targets: { router: { url: "http://127.0.0.1:1/in", insecure: true } }
routes:
  - { match: { marketplace_id: "MP-*" }, forward: router }
  - { match: { marketplace_id: "MP-*", data: { Region: "eu-*" } }, provider: simple }`,
      ENV,
    );
    const market = { 'Marketplace-ID': 'MP-1' };
    expect(problem(await call(scene, market)).code).toBe('forward_target_unavailable');
    expect(sent(await call(scene, { ...market, 'Context-Data': { Region: 'eu-1' } }), 'X-API-Key')).toBe(ENV.API_KEY);
    expect(problem(await call(scene, {})).code).toBe('route_not_found');
  });

  test('that only forward leave the other calls to the bindings', async () => {
    const scene = await plainScene(
      undefined,
      `forward_targets: { router: { url: "http://127.0.0.1:1/in", insecure: true } }
routes: [{ match: { vendor_id: other }, forward: router }]
credentials: { key: { source: { type: static, value: sesame }, bind: [{ hosts: ["api.test:*"], place: { header: X-Key }, plaintext: true }] } }`,
    );
    expect(sent(await call(scene, {}), 'X-Key')).toBe('sesame');
  });

  test('decide before the plugin, which gets what no route matches', async () => {
    const module = join(directory, 'plugin.mjs');
    await writeFile(
      module,
      `export default {
        getCredentials: ({ vendorId }) => ({ headers: { 'X-Plugin': vendorId }, expiresAt: Date.now() + 60000 }),
        routeRequest: ({ productId }) => (productId === 'away' ? { forwardTo: 'router' } : null),
        modifyResponse(_context, response) { response.headers.set('X-Seen', 'yes'); return null; },
      };`,
    );
    const scene = await plainScene(
      undefined,
      `${simple}
forward_targets: { router: { url: "http://127.0.0.1:1/in", insecure: true } }
plugin: ${module}
routes: [{ match: { vendor_id: acme }, provider: simple }, { match: { vendor_id: far }, forward: router }]`,
      ENV,
    );
    const routed = await call(scene, { 'Vendor-ID': 'acme', 'Product-ID': 'away' });
    expect([sent(routed, 'X-API-Key'), sent(routed, 'X-Plugin'), routed.field('X-Seen')]).toEqual([ENV.API_KEY, undefined, 'yes']);
    const others = await call(scene, { 'Vendor-ID': 'globex' });
    expect([sent(others, 'X-API-Key'), sent(others, 'X-Plugin')]).toEqual([undefined, 'globex']);
    for (const context of [{ 'Vendor-ID': 'far' }, { 'Product-ID': 'away' }]) {
      expect(problem(await call(scene, context)).code).toBe('forward_target_unavailable');
    }
  });
});

describe('an upstream that refuses a token', () => {
  /** Answers 401 to every token but the one that is `good`. */
  async function refusing(extra = ''): Promise<Scene & { good: string }> {
    const scene = { ...(await plainScene(undefined, `providers:\n  ${acme()}\ndefault: { provider: acme }${extra}`, ENV)), good: 'token-1' };
    scene.upstream.script = async (request, socket) => {
      await request.body();
      const fine = request.lines.some((line) => line === `Authorization: Bearer ${scene.good}`);
      socket.write(reply(fine ? 200 : 401, fine ? 'welcome' : 'go away'));
    };
    return scene;
  }

  test('gets the request once more with a fresh one when it can be sent again', async () => {
    const scene = await refusing();
    expect((await call(scene, {})).status).toBe(200);
    scene.good = 'token-2';
    expect((await call(scene, {})).status).toBe(200);
    expect(tokens.received).toHaveLength(2);
    expect(scene.upstream.requests).toHaveLength(3);
  });

  test('gets it once more also when the token was used before in other contexts only', async () => {
    const scene = await refusing();
    expect((await call(scene, { 'Vendor-ID': 'a' })).status).toBe(200);
    scene.good = 'token-2';
    expect((await call(scene, { 'Vendor-ID': 'b' })).status).toBe(200);
    expect((await call(scene, { 'Vendor-ID': 'a' })).status).toBe(200);
    expect(tokens.received).toHaveLength(2);
  });

  test('does not get it once more when it has a body that is gone, or does something else the second time', async () => {
    const scene = await refusing();
    expect((await call(scene, {})).status).toBe(200);
    scene.good = 'token-2';
    expect((await call(scene, {}, { method: 'POST', body: 'once' })).status).toBe(401);
    expect((await call(scene, {}, { method: 'PUT', body: 'twice' })).status).toBe(401);
    expect((await call(scene, {}, { method: 'POST' })).status).toBe(401);
    expect(tokens.received).toHaveLength(1);
  });

  test('makes no token be fetched more than once in ten seconds, whatever the context', async () => {
    const scene = await refusing();
    scene.good = 'none';
    for (const vendor of ['a', 'b', 'a', 'c', 'b', 'a']) expect((await call(scene, { 'Vendor-ID': vendor })).status).toBe(401);
    expect(tokens.received).toHaveLength(2);
  });
});

describe('a reload', () => {
  test('keeps the tokens of providers that did not change, under load', async () => {
    const sections = (margin: string, level: string): string =>
      `timeouts: { connect: ${level} }\nproviders:\n  ${acme(`, expiry_margin: ${margin}`)}\nroutes: [{ match: {}, provider: acme }]`;
    const scene = await plainScene(undefined, sections('1m', '10s'), ENV);
    let reloading = true;
    const callers = ['a', 'b', 'c'].map(async (vendor) => {
      const seen = new Set<string | undefined>();
      for (let calls = 0; reloading || calls < 5; calls++) seen.add(sent(await call(scene, { 'Vendor-ID': vendor }), 'Authorization'));
      return [...seen];
    });
    for (const seconds of [11, 12, 13, 14, 15]) await scene.gateway.reload(sections('1m', `${seconds}s`));
    reloading = false;
    expect(await Promise.all(callers)).toEqual([['Bearer token-1'], ['Bearer token-1'], ['Bearer token-1']]);
    expect(tokens.received).toHaveLength(1);
    await scene.gateway.reload(sections('2m', '15s'));
    expect(sent(await call(scene, {}), 'Authorization')).toBe('Bearer token-2');
  });

  test('that changes a refresh-token provider never presents one token twice, while the old one is refreshing', async () => {
    const store = await storeOf('legacy');
    const presented: string[] = [];
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    tokens.answer = async ({ form }, number) => {
      presented.push(form.refresh_token);
      if (number === 1) await gate;
      return { access_token: `access-${number}`, expires_in: 3_600, refresh_token: `refresh-${number}` };
    };
    const sections = (scope: string): string => `token_stores: { tenants: { type: directory, path: "${store}" } }
providers:
  legacy: { type: refresh_token, token_url: "${tokens.origin}/token", client_id: me, auth: none, store: tenants, scopes: [${scope}], insecure: true }
default: { provider: legacy }`;
    const scene = await plainScene(undefined, sections('one'));
    const before = call(scene, {});
    await expect.poll(() => tokens.received.length).toBe(1);
    await scene.gateway.reload(sections('two'));
    const after = call(scene, {});
    open();
    expect(sent(await before, 'Authorization')).toBe('Bearer access-1');
    expect(sent(await after, 'Authorization')).toBe('Bearer access-2');
    expect(presented).toEqual(['refresh-legacy', 'refresh-1']);
  });

  test('that cannot be applied leaves everything in use as it was', async () => {
    const sections = `providers:\n  ${acme()}\ndefault: { provider: acme }`;
    const scene = await plainScene(undefined, sections, ENV);
    expect(sent(await call(scene, {}), 'Authorization')).toBe('Bearer token-1');
    const broken = `providers:\n  ${acme()}\n  file: { type: credentials_file, path: /nowhere/at/all.json }\ndefault: { provider: acme }
routes: [{ match: { vendor_id: x }, provider: file }]`;
    await expect(scene.gateway.reload(broken)).rejects.toMatchObject({ code: 'config_not_found' });
    expect(sent(await call(scene, { 'Vendor-ID': 'y' }), 'Authorization')).toBe('Bearer token-1');
    expect(tokens.received).toHaveLength(1);
  });
});

test('a stop waits for a refresh that has begun, and saves its token', async () => {
  const store = await storeOf('legacy');
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  tokens.answer = async () => {
    await gate;
    return { access_token: 'access', expires_in: 3_600, refresh_token: 'successor' };
  };
  const scene = await plainScene(
    undefined,
    `token_stores: { tenants: { type: directory, path: "${store}" } }
providers:
  legacy: { type: refresh_token, token_url: "${tokens.origin}/token", client_id: me, auth: none, store: tenants, insecure: true }
default: { provider: legacy }`,
  );
  const calling = call(scene, {}).catch(() => null);
  await expect.poll(() => tokens.received.length).toBe(1);
  const stopping = scene.gateway.stop();
  open();
  await stopping;
  await calling;
  expect(JSON.stringify(JSON.parse(await readFile(join(store, 'legacy'), 'utf8')))).toContain('successor');
});
