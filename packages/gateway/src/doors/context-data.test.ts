import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readContextData } from './context-data.js';
import { requestIdFrom } from './request-id.js';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

test('context data is an object, null or nothing', () => {
  for (const value of [null, '', base64('{}'), base64('null'), base64('{"a":[1,null,{"b":"ä"}]}'), base64(' {} ')])
    expect(() => readContextData(value)).not.toThrow();
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (data) => {
      const written = JSON.stringify(data);
      expect(JSON.stringify(readContextData(base64(written)))).toBe(JSON.stringify(JSON.parse(written)));
    }),
  );
});

test.each([
  ['{}', 'invalid base64 encoding'],
  ['e30', 'invalid base64 encoding'],
  ['e30==', 'invalid base64 encoding'],
  ['e3 0', 'invalid base64 encoding'],
  ['eyJhIjoiPz8_In0=', 'invalid base64 encoding'],
  ['e30=e30=', 'invalid base64 encoding'],
  [base64('{"secret":"hush"'), 'invalid JSON'],
  [base64('"\xff').slice(0, 4), 'invalid JSON'],
  [base64('[]'), 'not a JSON object'],
  [base64('1'), 'not a JSON object'],
  [base64('"x"'), 'not a JSON object'],
  [base64('true'), 'not a JSON object'],
])('%s is refused: %s', (value, reason) => {
  expect(() => readContextData(value)).toThrow(
    expect.objectContaining({ code: 'context_data_invalid', message: `the context data cannot be used: ${reason}` }),
  );
});

test('whatever is refused is not repeated', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 12 }), (value) => {
      try {
        readContextData(value);
      } catch (error) {
        expect(String(error)).not.toContain(value);
      }
    }),
  );
});

test('a request id is kept when it can be written anywhere, and made otherwise', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[A-Za-z0-9\-_.:/=+ ]{1,270}$/)), (sent) => {
      const id = requestIdFrom(sent);
      expect(id).toMatch(/^[A-Za-z0-9\-_.:/=+ ]{1,256}$/);
      expect(id).toBe(id.trim());
      expect(id === sent).toBe(/^[A-Za-z0-9\-_.:/=+ ]{1,256}$/.test(sent) && sent === sent.trim());
    }),
  );
  expect(requestIdFrom(null)).not.toBe(requestIdFrom(null));
});
