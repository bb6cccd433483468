import { describe, expect, test } from 'vitest';
import { gateway } from '../config/expected-problems.test.support.js';
import { parseConfig } from '../config/load.js';
import { explainRoute, type RouteExplanation } from './explain-route.js';

const SIMPLE = 'providers: { simple: { type: static, headers: { X-Key: v } }, other: { type: static, headers: { X-Key: w } } }';
const TARGETS = 'forward_targets: { router: { url: "https://r.example/in" } }';
const ROUTES = [
  'routes:',
  '  - { match: { vendor_id: "acme-*" }, provider: simple }',
  '  - { match: { vendor_id: "acme-*", data: { Region: "eu-*" } }, forward: router }',
  '  - { match: { vendor_id: acme-1 }, provider: other }',
];

const explained = (lines: readonly string[], fields: Readonly<Record<string, unknown>> = {}): RouteExplanation =>
  explainRoute(parseConfig(gateway('listeners: { sidecar: {} }', ...lines), { path: '/x.yaml' }).gateway, {
    targetUrl: 'https://api.acme.example/v1',
    ...fields,
  });

describe('a call is explained by', () => {
  test('the most specific of the routes that match', () => {
    const lines = [SIMPLE, TARGETS, ...ROUTES];
    expect(explained(lines, { vendorId: 'acme-2' })).toMatchObject({
      route: 0,
      matching: [0],
      outcome: 'provider',
      name: 'simple',
      detail: 'static',
    });
    expect(explained(lines, { vendorId: 'acme-1' })).toMatchObject({ route: 2, matching: [0, 2], outcome: 'provider', name: 'other' });
    expect(explained(lines, { vendorId: 'acme-1', data: { Region: 'eu-1' } })).toMatchObject({
      route: 1,
      matching: [0, 1, 2],
      outcome: 'forward',
      name: 'router',
      detail: 'https://r.example/in',
    });
  });

  test.each([
    ['nobody, where routes give credentials', [SIMPLE, TARGETS, ...ROUTES], { outcome: 'none', name: null }],
    ['the default', [SIMPLE, TARGETS, ...ROUTES, 'default: { provider: other }'], { outcome: 'provider', name: 'other' }],
    ['the plugin', [SIMPLE, TARGETS, ...ROUTES, 'plugin: ./acme.js'], { outcome: 'plugin', name: './acme.js' }],
    ['the bindings, where routes only forward', [TARGETS, 'routes: [{ match: { vendor_id: a }, forward: router }]'], { outcome: 'bindings' }],
    ['the bindings, without routes', [], { outcome: 'bindings' }],
  ])('%s, when no route matches', (_, lines, expected) => {
    expect(explained(lines)).toMatchObject({ route: null, matching: [], detail: expected.outcome === 'provider' ? 'static' : null, ...expected });
  });
});
