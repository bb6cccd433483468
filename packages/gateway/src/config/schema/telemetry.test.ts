// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these texts are what the configuration fills in.
import { expect, test } from 'vitest';
import { parseConfig } from '../load.js';

const parse = (written: string, env: Readonly<Record<string, string>> = {}) =>
  parseConfig(`gateway:\n  listeners: { forward: { port: 0 } }\n  telemetry: ${written}\n`, { path: '/x.yaml', env }).gateway;

test('is off when nothing is said', () => {
  expect(parse('{}').telemetry).toEqual({ tracing: false, metrics: false, headers: {}, resource: {} });
  expect(parse('{}').log.target).toBe('path');
});

test('takes all that there is, and values from variables', () => {
  const written =
    '{ tracing: "${ON}", endpoint: "https://c.test/otlp", headers: { X-Key: { env: KEY } }, service_name: a, resource: { b: c }, sample: "${PART}", interval: 10s }';
  const { telemetry } = parse(written, { ON: 'true', PART: '0.5', KEY: 'the-key-of-the-collector' });
  expect(telemetry).toMatchObject({
    tracing: true,
    endpoint: 'https://c.test/otlp',
    service_name: 'a',
    resource: { b: 'c' },
    sample: 0.5,
    interval: 10_000,
  });
  expect(telemetry.headers['X-Key']?.reveal()).toBe('the-key-of-the-collector');
  expect(JSON.stringify(telemetry)).not.toContain('the-key');
});

test.each([
  ['a URL without a scheme', '{ endpoint: "collector:4318" }', 'http://localhost:4318'],
  ['another scheme', '{ endpoint: "ftp://c.test" }', 'http://localhost:4318'],
  ['a password in the URL', '{ endpoint: "https://a:b@c.test" }', 'use headers instead'],
  ['a query', '{ endpoint: "https://c.test/?a=1" }', 'a query or a fragment'],
  ['a ratio beyond 1', '{ sample: 1.5 }', 'from 0 to 1'],
  ['a ratio in words', '{ sample: half }', 'from 0 to 1'],
  ['a header name that is none', '{ headers: { "a b": c } }', 'header name'],
  ['an empty header value', '{ headers: { X-Key: "" } }', 'empty'],
  ['a line end in a header value', '{ headers: { X-Key: "sesame\\nopen" } }', 'cannot carry'],
])('refuses %s', (_, written, words) => {
  let failure: { problems: { message: string }[] } | null = null;
  try {
    parse(written);
  } catch (error) {
    failure = error as { problems: { message: string }[] };
  }
  expect(failure?.problems).toMatchObject([{ message: expect.stringContaining(words) }]);
  expect(JSON.stringify(failure?.problems)).not.toContain('sesame');
});
