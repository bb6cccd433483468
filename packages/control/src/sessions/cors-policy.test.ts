import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { corsPolicy } from './cors-policy.js';

const app = 'https://app.example.com';
const policy = corsPolicy({ allowedOrigins: [`${app}/`] }, ['https://sallyport.example.com']);

describe('the CORS policy', () => {
  test('an allowed origin is named, never `*`, and may send cookies', () => {
    const { kind, headers } = policy({ method: 'POST', origin: app });
    expect(kind).toBe('pass');
    expect(headers).toMatchObject({ 'Access-Control-Allow-Origin': app, 'Access-Control-Allow-Credentials': 'true', Vary: 'Origin' });
    expect(headers['Access-Control-Expose-Headers']).toContain('X-XSRF-Token');
  });

  test('a preflight is told the methods, DELETE among them, and the fields', () => {
    const { kind, headers } = policy({ method: 'OPTIONS', origin: app, requestedMethod: 'DELETE' });
    expect(kind).toBe('preflight');
    expect(headers['Access-Control-Allow-Methods']).toBe('GET, POST, PUT, PATCH, DELETE, HEAD');
    expect(headers['Access-Control-Allow-Headers']).toContain('X-XSRF-Token');
    expect(headers['Access-Control-Max-Age']).toBe('43200');
  });

  test.each([
    ...['null', 'https://app.example.com.evil.example', 'https://app.example.com:444', 'http://app.example.com', 'https://APP.example.com'],
    ...['https://evil.example', '', 'https://app.example.com/', '*', 'https://app.example.com, https://evil.example'],
  ])('the origin %j is refused, and allowed nothing', (origin) => {
    for (const method of ['GET', 'POST', 'OPTIONS']) {
      const { kind, headers } = policy({ method, origin, requestedMethod: 'DELETE' });
      expect(kind).toBe('refused');
      expect(Object.keys(headers)).toEqual(['Vary']);
    }
  });

  test('no origin but those of the list is ever allowed', () => {
    fc.assert(
      fc.property(fc.oneof(fc.webUrl({ withFragments: false }), fc.string()), (origin) => {
        fc.pre(origin !== app);
        expect(policy({ method: 'GET', origin }).headers['Access-Control-Allow-Origin']).toBeUndefined();
      }),
    );
  });

  test('a request of no page of another origin passes', () => {
    expect(policy({ method: 'POST', origin: undefined })).toEqual({ kind: 'pass', headers: { Vary: 'Origin' } });
    expect(policy({ method: 'POST', origin: 'https://sallyport.example.com' })).toEqual({ kind: 'pass', headers: { Vary: 'Origin' } });
    expect(corsPolicy({ allowedOrigins: [] })({ method: 'GET', origin: app }).kind).toBe('refused');
  });

  test('`*` goes without credentials only', () => {
    expect(() => corsPolicy({ allowedOrigins: ['*'] })).toThrow(expect.objectContaining({ code: 'config_invalid' }));
    const { headers } = corsPolicy({ allowedOrigins: ['*'], allowCredentials: false })({ method: 'GET', origin: 'https://evil.example' });
    expect(headers['Access-Control-Allow-Origin']).toBe('*');
    expect(headers['Access-Control-Allow-Credentials']).toBeUndefined();
  });

  test.each(['app.example.com', 'https://app.example.com/path', 'https://user@app.example.com', 'ftp://a', 'null', 'https://*.example.com'])(
    '%j is refused as an entry',
    (origin) => {
      expect(() => corsPolicy({ allowedOrigins: [origin] })).toThrow(expect.objectContaining({ code: 'config_invalid' }));
    },
  );

  test('everything can be set', () => {
    const custom = corsPolicy({ allowedOrigins: [app], allowedMethods: ['GET'], allowedHeaders: ['A'], exposedHeaders: ['B'], maxAge: 5 });
    expect(custom({ method: 'OPTIONS', origin: app, requestedMethod: 'GET' }).headers).toMatchObject({
      'Access-Control-Allow-Methods': 'GET',
      'Access-Control-Allow-Headers': 'A',
      'Access-Control-Max-Age': '5',
    });
    expect(custom({ method: 'GET', origin: app }).headers['Access-Control-Expose-Headers']).toBe('B');
  });
});
