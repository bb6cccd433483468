import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { PlacedFields } from './placed-fields.js';

test('fields are rendered once, in their order, and a removed one is only a name', () => {
  const fields = new PlacedFields([
    { name: 'Authorization', values: ['Bearer hunter22'] },
    { name: 'Gone', values: [] },
    { name: 'Set-Cookie', values: ['a=1', 'b=2'] },
  ]);
  expect(fields.lines).toBe('Authorization: Bearer hunter22\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n');
  expect(fields.names).toEqual(['authorization', 'gone', 'set-cookie']);
  expect(fields.credentialNames).toEqual(['authorization', 'set-cookie']);
  expect(fields.lines).toBe(fields.lines);
});

test('what may not come back is each value, and each without its scheme', () => {
  const values = (value: string) => new PlacedFields([{ name: 'X', values: [value] }]).values;
  expect(values('Bearer abc.defg')).toEqual(['Bearer abc.defg', 'abc.defg']);
  expect(values('AWS4-HMAC-SHA256 Credential=a, Signature=b')).toEqual(['AWS4-HMAC-SHA256 Credential=a, Signature=b']);
  expect(values('plainly-so')).toEqual(['plainly-so']);
  expect(values('json')).toEqual([]);
  expect(values('')).toEqual([]);
});

test('fields that only describe a message are no secret: their like has to come back', () => {
  const fields = new PlacedFields([
    { name: 'Content-Type', values: ['application/json'] },
    { name: 'Accept', values: ['text/plain'] },
  ]);
  expect(fields.lines).toBe('Content-Type: application/json\r\nAccept: text/plain\r\n');
  expect(fields).toMatchObject({ names: ['content-type', 'accept'], credentialNames: [], secrets: [], values: [] });
});

test('no way of printing shows a value', () => {
  const fields = new PlacedFields([{ name: 'X-Key', values: ['hunter22'] }]);
  expect(fields.secrets.map((secret) => secret.reveal())).toEqual(['hunter22']);
  expect(inspect(fields, { depth: 9, showHidden: true }) + JSON.stringify(fields)).not.toContain('hunter22');
});
