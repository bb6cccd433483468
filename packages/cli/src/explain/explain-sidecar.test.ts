import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { capture, type Printed } from '../onboard/captured-output.test.support.js';
import { createProgram } from '../program.js';
import type { Explanation } from './explain.js';

const header = (value: string): object => ({ type: 'static', headers: { 'X-Key': value } });
const gateway = {
  listeners: { forward: { port: 0 }, sidecar: { port: 0 } },
  policy: { rules: ['allow 192.0.2.1 GET,POST /v1/** to 192.0.2.0/24', 'passthrough 192.0.2.9 to 192.0.2.0/24'] },
  credentials: {
    bound: {
      source: { type: 'static', value: 'open-sesame' },
      bind: [{ hosts: ['192.0.2.1'], place: { header: 'Authorization', format: 'Bearer {secret}' } }],
    },
  },
};
const routing = {
  providers: { simple: header('open-sesame'), other: header('open-barley') },
  forward_targets: { router: { url: 'https://router.vendor.example/in' } },
  routes: [
    { match: { vendor_id: 'acme-*' }, provider: 'simple' },
    { match: { vendor_id: 'acme-*', data: { Region: 'eu' } }, forward: 'router' },
    { match: { vendor_id: 'acme-1' }, provider: 'other' },
  ],
};

let directory: string;
let printed: Printed;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-explain-'));
});
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(() => {
  printed = capture();
});
afterEach(() => printed.restore());

const URL_OF_ITEMS = 'https://192.0.2.1/v1/items';

/** Runs `config explain` with these sections under `gateway`, as the command line does. */
async function explained(more: object, url: string, ...args: readonly string[]): Promise<void> {
  const path = join(directory, 'sallyport.yaml');
  writeFileSync(path, JSON.stringify({ gateway: { ...gateway, ...more } }));
  await createProgram(() => {}).parseAsync(['config', 'explain', 'GET', url, '--config', path, ...args], { from: 'user' });
  expect(printed.stdout()).not.toContain('open-');
}

async function asJson(more: object, url: string, ...args: readonly string[]): Promise<Explanation> {
  await explained(more, url, ...args, '-o', 'json');
  return JSON.parse(printed.stdout()) as Explanation;
}

describe('config explain, for a call through the sidecar', () => {
  test('names the route, the provider, and what else matches', async () => {
    const explanation = await asJson(routing, URL_OF_ITEMS, '--vendor-id', 'acme-1');
    expect(explanation.route).toMatchObject({ route: 2, matching: [0, 2], outcome: 'provider', name: 'other', detail: 'static' });
    expect(explanation).toMatchObject({ policy: { verdict: 'allowed' }, credential: null, bindings: [], error: null });
    expect(explanation.addresses).toEqual([{ address: '192.0.2.1', class: 'documentation', allowed: true }]);
  });

  test('names the forward target, whatever the addresses of the host are', async () => {
    const rules = { policy: { rules: ['allow 192.0.2.1'] } };
    const explanation = await asJson({ ...routing, ...rules }, URL_OF_ITEMS, '--vendor-id', 'acme-2', '--data', '{"Region":"eu"}');
    expect(explanation.route).toMatchObject({ route: 1, outcome: 'forward', name: 'router', detail: 'https://router.vendor.example/in' });
    expect(explanation).toMatchObject({ addresses: [], error: null });
  });

  test.each([
    ['the default', { ...routing, default: { provider: 'simple' } }, { outcome: 'provider', name: 'simple' }, null],
    ['nobody', routing, { outcome: 'none', name: null }, 'route_not_found'],
    ['the plugin', { ...routing, plugin: './acme.js' }, { outcome: 'plugin', name: './acme.js' }, null],
  ])('says when no route matches: %s', async (_, more, route, code) => {
    const explanation = await asJson(more, URL_OF_ITEMS, '--vendor-id', 'globex');
    expect(explanation.route).toMatchObject({ route: null, ...route });
    expect(explanation.credential).toBeNull();
    expect(explanation.error?.code ?? null).toBe(code);
  });

  test('looks at the bindings where no route gives credentials', async () => {
    const explanation = await asJson({}, URL_OF_ITEMS, '--sidecar');
    expect(explanation).toMatchObject({ route: { outcome: 'bindings' }, credential: 'bound', bindings: [{ credential: 'bound', used: true }] });
  });

  test.each([
    ['--vendor-id', 'vendor_id'],
    ['--environment-id', 'environment_id'],
    ['--marketplace-id', 'marketplace_id'],
    ['--product-id', 'product_id'],
  ])('%s alone makes it one', async (option, field) => {
    const more = { ...routing, routes: [{ match: { [field]: 'this-one' }, provider: 'simple' }] };
    expect((await asJson(more, URL_OF_ITEMS, option, 'this-one')).route).toMatchObject({ route: 0, name: 'simple' });
  });

  test('--subscription-id alone makes it one', async () => {
    expect((await asJson(routing, URL_OF_ITEMS, '--subscription-id', 'any')).route).not.toBeNull();
  });

  test('without them it is a request through the forward proxy, and no route is looked at', async () => {
    expect(await asJson(routing, URL_OF_ITEMS)).toMatchObject({ route: null, credential: 'bound' });
  });

  test('is judged as the sidecar does: policy first, http:// never, passing through for no one', async () => {
    const denied = await asJson(routing, 'https://192.0.2.1/v2', '--vendor-id', 'acme-1');
    expect(denied.error?.code).toBe('policy_denied');
    printed.restore();
    printed = capture();
    expect((await asJson(routing, 'http://192.0.2.1/v1/x', '--vendor-id', 'acme-1')).error?.code).toBe('insecure_target');
    printed.restore();
    printed = capture();
    expect((await asJson(routing, 'https://192.0.2.9/', '--vendor-id', 'acme-1')).tunnel).toBe(false);
  });

  test.each([
    ['config_invalid', { listeners: { forward: { port: 0 } } }, URL_OF_ITEMS, []],
    ['target_path_ambiguous', {}, 'https://192.0.2.1/v1/%2e%2e/x', []],
    ['commander.invalidArgument', {}, URL_OF_ITEMS, ['--data', '[1]']],
    ['commander.invalidArgument', {}, URL_OF_ITEMS, ['--data', 'eyJSZWdpb24iOiJldSJ9']],
  ])('is refused with %s', async (code, more, url, args) => {
    await expect(explained(more, url, '--sidecar', ...args)).rejects.toMatchObject({ code });
  });

  test('prints it for people', async () => {
    await explained(routing, URL_OF_ITEMS, '--vendor-id', 'acme-1');
    expect(printed.stdout()).toContain('route: gateway.routes[2], it is the most specific');
    expect(printed.stdout()).toContain('  gateway.routes[0] matches as well\n');
    expect(printed.stdout()).toContain('credential: from the provider other (static)\nIt goes out.\n');
  });

  test.each([
    [['--vendor-id', 'acme-2', '--data', '{"Region":"eu"}'], {}, 'left to the forward target router (https://router.vendor.example/in)'],
    [['--vendor-id', 'globex'], { plugin: './acme.js' }, 'from the plugin ./acme.js, which is not asked here'],
    [['--vendor-id', 'globex'], {}, 'none\nIt does not go out (route_not_found)'],
  ])('prints who gives the credential: %j %j', async (args, more, expected) => {
    await explained({ ...routing, ...more }, URL_OF_ITEMS, ...args);
    expect(printed.stdout()).toContain(`credential: ${expected}`);
  });
});
