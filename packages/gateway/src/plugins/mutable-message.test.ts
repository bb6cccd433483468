import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { holdBody } from './message-body.js';
import { createMutableRequest, createMutableResponse } from './mutable-message.js';
import type { HeaderLines } from './plugin-headers.js';

const refused = (detail: RegExp | string = '') =>
  expect.objectContaining({ code: 'plugin_result_invalid', message: expect.stringMatching(detail) as string }) as Error;
const bytes = (text: string) => Promise.resolve(new Uint8Array(Buffer.from(text)));

const request = (headers: HeaderLines = [], url = 'https://h.example/a%2fb/../c?x=1&x=2', body = 'hello') =>
  createMutableRequest({ method: 'POST', url, headers }, () => bytes(body), 10);

describe('a request nobody changed', () => {
  test('has no edits, whatever was looked at', async () => {
    const { message, finish } = request([
      ['A', '1'],
      ['a', '2'],
      ['Host', 'h.example'],
      ['Content-Length', '5'],
    ]);
    expect(message.headers.get('a')).toBe('1, 2');
    expect([...message.headers.keys()]).toEqual(['a']);
    expect(message.url.pathname).toBe('/c');
    expect(Buffer.from(await message.body.bytes()).toString()).toBe('hello');
    expect(finish()).toEqual({ fields: [], path: null, query: null, body: null });
  });

  test('nor when a field is set to what it was, or added and removed again', () => {
    const { message, finish } = request([
      ['A', '1'],
      ['A', '2'],
    ]);
    message.headers.set('A', '1, 2');
    message.headers.set('B', 'x');
    message.headers.delete('b');
    message.headers.delete('not-there');
    expect(finish().fields).toEqual([]);
  });
});

describe('the headers of a request', () => {
  test('tell what was added, changed and removed, in order and as spelled', () => {
    const { message, finish } = request([
      ['gone', 'x'],
      ['A', '1'],
      ['B', '1'],
    ]);
    message.headers.set('X-Key', 'k');
    message.headers.append('A', '2');
    message.headers.set('b', '2');
    message.headers.delete('Gone');
    expect(finish().fields).toEqual([
      { name: 'X-Key', values: ['k'] },
      { name: 'A', values: ['1, 2'] },
      { name: 'b', values: ['2'] },
      { name: 'Gone', values: [] },
    ]);
  });

  test.each(['a\r\nb: c', 'a\nb', 'a\0b', 'a\x7f', ' a', 'a ', 'a€', 'a'.repeat(16_385)])(
    'refuse a value that a header cannot carry: %#',
    (value) => {
      const { message, finish } = request();
      expect(() => message.headers.set('X-Key', value)).toThrow(refused('^getCredentials set the header field "X-Key" with'));
      expect(() => message.headers.append('X-Key', value)).toThrow(refused());
      expect(finish().fields).toEqual([]);
    },
  );

  test.each(['', 'a b', 'a:', 'ä', 'a\r\n', 'x'.repeat(257)])('refuse a name that is none: %j', (name) => {
    expect(() => request().message.headers.set(name, 'v')).toThrow(refused());
  });

  test.each(['Host', 'content-length', 'Transfer-Encoding', 'Connection', 'TE', 'Upgrade', 'Keep-Alive', 'Proxy-Authorization', 'Expect', 'Trailer'])(
    'refuse %s, which only the gateway writes',
    (name) => {
      expect(() => request().message.headers.set(name, '1')).toThrow(refused('only the gateway'));
      expect(() => request().message.headers.append(name, '1')).toThrow(refused());
    },
  );

  test('never repeat a value in a refusal, nor something that is not a text', () => {
    for (const value of ['hunter2\r\n', 42, { toString: () => 'hunter2' }]) {
      let caught: unknown;
      try {
        request().message.headers.set('X-Key', value as string);
      } catch (error) {
        caught = error;
      }
      expect(caught).toEqual(refused());
      expect(inspect(caught)).not.toContain('hunter2');
    }
  });

  test('let through exactly what is one line, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const { message, finish } = request();
        try {
          message.headers.set('X-Key', value);
        } catch (error) {
          expect(error).toEqual(refused());
          expect(value === value.trim() && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)).toBe(false);
          return;
        }
        expect(finish().fields).toEqual([{ name: 'X-Key', values: [value] }]);
      }),
    );
  });
});

describe('the url of a request', () => {
  test('gives path and query apart: what did not change stays byte for byte', () => {
    const one = request();
    one.message.url.searchParams.set('sig', 'a b');
    expect(one.finish()).toMatchObject({ path: null, query: '?x=1&x=2&sig=a+b' });
    const two = request();
    two.message.url.pathname = '/other';
    expect(two.finish()).toMatchObject({ path: '/other', query: null });
    const three = request();
    three.message.url = new URL('https://h.example/c');
    expect(three.finish()).toMatchObject({ path: null, query: '' });
  });

  test.each([
    'http://h.example/c',
    'https://evil.example/c',
    'https://h.example:8443/c',
    'https://u:p@h.example/c',
    'https://h.example/c#f',
    'https://h.example./c',
  ])('may not become %s', (url) => {
    const { message, finish } = request();
    message.url = new URL(url);
    expect(finish).toThrow(refused());
  });

  test('has to stay a URL, and the other members cannot be assigned', () => {
    const { message, finish } = request();
    (message as { url: unknown }).url = 'https://h.example/c';
    expect(finish).toThrow(refused('a text to the url; assign a URL'));
    expect(() => Object.assign(message, { headers: new Headers() })).toThrow(TypeError);
    expect(() => Object.assign(message, { method: 'GET' })).toThrow(TypeError);
  });
});

describe('what a plugin gets', () => {
  test('are Headers and a URL, the same ones every time', () => {
    const { message } = request([['A', '1']]);
    expect([message.headers instanceof Headers, message.url instanceof URL]).toEqual([true, true]);
    expect(message.headers).toBe(message.headers);
    expect(message.url).toBe(message.url);
    expect({ ...message }).toMatchObject({ method: 'POST', headers: message.headers, url: message.url, body: message.body });
    expect([...new Headers(message.headers)]).toEqual([['a', '1']]);
  });

  test('may be assigned what it was, or nothing useful', () => {
    const same = request();
    same.message.url = new URL(same.message.url);
    expect(same.finish()).toMatchObject({ path: null, query: null });
    for (const nothing of [null, undefined]) {
      const { message, finish } = request();
      (message as { url: unknown }).url = nothing;
      expect(finish).toThrow(refused('to the url; assign a URL'));
    }
  });
});

describe('the body of a request', () => {
  test('is replaced by bytes or a text, and read back as replaced', async () => {
    const { message, finish } = request();
    message.body.replace('häi');
    expect(Buffer.from(await message.body.bytes()).toString()).toBe('häi');
    const own = new Uint8Array([1, 2]);
    message.body.replace(own);
    own[0] = 9;
    expect(finish().body).toEqual(new Uint8Array([1, 2]));
  });

  test('is not changed through the copy that was handed out', async () => {
    const { message, finish } = request();
    (await message.body.bytes())[0] = 0;
    expect(Buffer.from(await message.body.bytes()).toString()).toBe('hello');
    expect(finish().body).toBeNull();
  });

  test('takes no more than the limit, and nothing that is not bytes', () => {
    const { message, finish } = request();
    expect(() => message.body.replace('x'.repeat(11))).toThrow(refused('11 bytes; 10 are allowed'));
    expect(() => message.body.replace({} as string)).toThrow(refused('an object'));
    expect(finish().body).toBeNull();
  });

  test('stays as it is once the call is over', () => {
    const { message, finish } = request();
    finish();
    message.body.replace('late');
    message.headers.set('X-Late', '1');
    message.headers.delete('accept');
    expect(finish()).toEqual({ fields: [], path: null, query: null, body: null });
  });
});

describe('a body that is held', () => {
  test('is read once, however often it is asked for', async () => {
    let reads = 0;
    const body = holdBody(() => {
      reads += 1;
      return bytes('12345');
    }, 5);
    expect(await body.settled()).toBeNull();
    await Promise.all([body.read(), body.read()]);
    expect(await body.settled()).toEqual(new Uint8Array(Buffer.from('12345')));
    expect(reads).toBe(1);
  });

  test('is too large beyond the limit, even when its reader did not count', async () => {
    const body = holdBody(() => bytes('123456'), 5);
    await expect(body.read()).rejects.toMatchObject({ code: 'body_too_large' });
    await expect(body.settled()).rejects.toMatchObject({ code: 'body_too_large' });
  });

  test('is not read any more once the call is over', async () => {
    const body = holdBody(() => Promise.reject(new Error('the next request was read')), 5);
    body.close();
    await expect(body.read()).rejects.toMatchObject({ code: 'plugin_failed' });
  });
});

describe('a response', () => {
  const response = (headers: HeaderLines = []) => createMutableResponse({ status: 404, headers }, () => bytes('no'), 10);

  test('tells the new status, headers and body', () => {
    const { message, finish } = response([
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
    ]);
    message.status = 200;
    message.headers.append('Set-Cookie', 'c=3');
    message.body.replace('yes');
    expect(finish()).toEqual({
      status: 200,
      fields: [{ name: 'Set-Cookie', values: ['a=1', 'b=2', 'c=3'] }],
      body: new Uint8Array(Buffer.from('yes')),
    });
    expect(response().finish()).toEqual({ status: null, fields: [], body: null });
  });

  test.each([100, 101, 199, 600, 200.5, Number.NaN, '200', null])('refuses the status %s', (status) => {
    const { message, finish } = response();
    (message as { status: unknown }).status = status;
    expect(finish).toThrow(refused('status'));
  });
});
