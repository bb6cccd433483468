import { Secret } from '@sallyport/sdk';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Exchange, type ExchangeTrace } from '../exchange.js';
import { MASK } from './redaction.js';
import { eventFields, formatEvent, type RecordedTarget } from './request-event.js';

const TRACE: ExchangeTrace = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  parent: null,
  sampled: true,
  attempts: [],
  waits: [],
  called: null,
  serviceId: '',
  attempt: () => '',
  attemptAgain: (head) => head,
  waited: () => {},
};

/** An exchange in which every step took place. */
function fullExchange(changes: Partial<Exchange> = {}): Exchange {
  return Object.assign(
    new Exchange('forward', '127.0.0.1'),
    {
      requestId: 'c0ffee',
      trace: TRACE,
      vendorId: 'acme',
      caller: { name: 'ci', kind: 'token', credentials: 'all' },
      method: 'GET',
      host: 'api.example.com',
      port: 443,
      path: '/repos/a',
      query: '?token=in-the-query',
      verdict: 'allowed',
      rule: 'allow api.example.com',
      forwardTarget: 'router',
      credential: 'github',
      injectedHeaders: ['authorization', 'x-api-key'],
      resolveMs: 0.5,
      upstreamAddress: '203.0.113.7:443',
      upstreamReused: true,
      connectMs: 3.25,
      upstreamMs: 12.0625,
      upstreamStatus: 200,
      requestBytes: 10,
      responseBytes: 20,
      status: 200,
      error: 'client_aborted',
      errorDetail: 'The client closed the connection.',
      durationMs: 13.5,
    } satisfies Partial<Exchange>,
    changes,
  );
}

function parsed(exchange: Exchange, recorded?: RecordedTarget): Record<string, unknown> {
  const line = formatEvent(exchange, recorded);
  expect(line.endsWith('}\n')).toBe(true);
  expect(line.indexOf('\n')).toBe(line.length - 1);
  return JSON.parse(line) as Record<string, unknown>;
}

describe('The request event', () => {
  test('holds the documented fields in the documented order, each with its type', () => {
    const event = parsed(fullExchange(), 'full');
    expect(Object.keys(event)).toEqual(eventFields.map(({ name }) => name));
    for (const { name, type } of eventFields) {
      const value = event[name];
      expect([name, Array.isArray(value) ? 'array of strings' : typeof value]).toEqual([name, type]);
    }
  });

  test('of an exchange in which nothing happened holds exactly the fields that are always there', () => {
    const event = parsed(new Exchange('sidecar', '::1'));
    expect(Object.keys(event)).toEqual(eventFields.filter(({ present }) => present === 'always').map(({ name }) => name));
  });

  test('carries the values of the exchange', () => {
    const exchange = fullExchange();
    expect(parsed(exchange)).toEqual({
      level: 30,
      time: Math.round(exchange.startedAt + 13.5),
      msg: 'exchange',
      request_id: 'c0ffee',
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      span_id: 'b7ad6b7169203331',
      door: 'forward',
      kind: 'request',
      caller: 'ci',
      client_address: '127.0.0.1',
      vendor_id: 'acme',
      method: 'GET',
      scheme: 'https',
      host: 'api.example.com',
      port: 443,
      path: '/repos/a',
      verdict: 'allowed',
      rule: 'allow api.example.com',
      forward_target: 'router',
      credential: 'github',
      injected_headers: ['authorization', 'x-api-key'],
      upstream_address: '203.0.113.7:443',
      upstream_reused: true,
      status: 200,
      upstream_status: 200,
      outcome: 'completed',
      error: 'client_aborted',
      error_detail: 'The client closed the connection.',
      request_bytes: 10,
      response_bytes: 20,
      resolve_ms: 0.5,
      connect_ms: 3.25,
      upstream_ms: 12.063,
      duration_ms: 13.5,
    });
  });

  test.each([
    [{ outcome: 'completed', status: 200 }, 30],
    [{ outcome: 'completed', status: 404 }, 40],
    [{ outcome: 'completed', status: 500 }, 50],
    [{ outcome: 'refused', status: 403 }, 40],
    [{ outcome: 'refused', status: 0 }, 40],
    [{ outcome: 'refused', status: 502 }, 50],
    [{ outcome: 'failed', status: 0 }, 50],
    [{ outcome: 'aborted', status: 0 }, 30],
  ] as const)('of %j has level %d', (end, level) => {
    expect(parsed(fullExchange(end)).level).toBe(level);
  });

  test('holds as much of the target as the configuration says', () => {
    expect(formatEvent(fullExchange())).not.toContain('in-the-query');
    expect(parsed(fullExchange(), 'host')).not.toHaveProperty('path');
    expect(parsed(fullExchange(), 'host')).toMatchObject({ host: 'api.example.com', port: 443 });
    expect(parsed(fullExchange({ query: '?a=in%2Dthe-query', secrets: [new Secret('in-the-query')] }), 'full').query).toBe(`?a=${MASK}`);
    expect(parsed(fullExchange({ query: '' }), 'full')).not.toHaveProperty('query');
  });

  test('is one line of JSON whatever the texts are, and gives short ones back unchanged', () => {
    const text = fc.oneof(fc.string({ maxLength: 30 }), fc.string({ unit: 'binary', maxLength: 30 }));
    fc.assert(
      fc.property(text, text, text, text, text, (requestId, method, host, path, errorDetail) => {
        const event = parsed(fullExchange({ requestId, method, host, path, errorDetail }));
        expect(event.error_detail).toBe(errorDetail);
        expect(event.request_id ?? '').toBe(requestId);
        expect(event.method ?? '').toBe(method);
        expect(event.host ?? '').toBe(host);
        expect(event.path ?? '').toBe(host === '' ? '' : path);
      }),
    );
  });

  test('is bounded and marks what was cut', () => {
    const long = '\u0001'.repeat(1_000_000);
    const exchange = fullExchange({
      requestId: long,
      caller: { name: long, kind: 'run', credentials: 'all' },
      method: long,
      host: long,
      path: `/${'x'.repeat(1_000_000)}`,
      rule: long,
      credential: long,
      injectedHeaders: Array.from({ length: 1000 }, () => long),
      upstreamAddress: long,
      errorDetail: long,
    });
    expect(formatEvent(exchange).length).toBeLessThan(64 * 1024);
    const { path } = parsed(exchange);
    expect(path).toBe(`/${'x'.repeat(2046)}…`);
  });

  test('never holds a value that was placed into the request, wherever client and upstream repeat it', () => {
    const material = fc.string({ unit: fc.constantFrom(...'JKQVXZjkqvxz0123456789"\\/+=é'), minLength: 12, maxLength: 60 });
    fc.assert(
      fc.property(fc.array(material, { minLength: 1, maxLength: 3 }), fc.nat(2100), (values, offset) => {
        const echo = `${'.'.repeat(offset)}${values.join('/')}`;
        const encoded = `/${values.map(encodeURIComponent).join('/')}`;
        for (const path of [echo, encoded]) {
          const exchange = fullExchange({
            requestId: echo,
            method: echo,
            host: echo,
            path,
            query: `?${echo}`,
            vendorId: echo,
            errorDetail: echo,
            secrets: values.map((value) => new Secret(value)),
          });
          const line = formatEvent(exchange, 'full');
          for (const text of Object.values(JSON.parse(line) as Record<string, unknown>)) {
            for (const value of values) expect(decodeURIComponent(String(text))).not.toContain(value);
          }
          for (const value of values) expect(line).not.toContain(value);
          if (offset < 1000) expect(line).toContain(MASK);
        }
      }),
    );
  });
});
