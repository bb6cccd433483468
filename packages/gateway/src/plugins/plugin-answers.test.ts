import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkCertificate, checkCredential, checkForwardReferences, checkResponseAction, checkRouteAction } from './plugin-answers.js';

const NOW = 1_800_000_000_000;
const credential = (change: object) => ({ headers: { 'X-Key': 'hunter2' }, expiresAt: NOW + 1, ...change });

function fault(check: () => unknown): { code: string; message: string; members: unknown } {
  try {
    check();
  } catch (error) {
    expect(inspect(error)).not.toContain('hunter2');
    return error as { code: string; message: string; members: unknown };
  }
  throw new Error('nothing was refused');
}

describe('a credential', () => {
  test('is null for null and nothing, and plain values otherwise', () => {
    expect(checkCredential(null, NOW)).toBeNull();
    expect(checkCredential(undefined, NOW)).toBeNull();
    const checked = checkCredential(credential({ ignored: 1 }), NOW);
    expect({ ...checked?.headers }).toEqual({ 'X-Key': 'hunter2' });
    expect(checked?.expiresAt).toBe(NOW + 1);
    expect(checkCredential(credential({ headers: {} }), NOW)).not.toBeNull();
  });

  test.each([
    [credential({ expiresAt: new Date(NOW + 1) }), 'expiresAt', /a Date; use getTime\(\)/],
    [credential({ expiresAt: '2030-01-01' }), 'expiresAt', /a text instead of milliseconds/],
    [credential({ expiresAt: Number.NaN }), 'expiresAt', /NaN/],
    [credential({ expiresAt: Number.POSITIVE_INFINITY }), 'expiresAt', /Infinity; for what does not expire/],
    [credential({ expiresAt: NOW }), 'expiresAt', /not in the future/],
    [credential({ expiresAt: NOW / 1000 + 3600 }), 'expiresAt', /in seconds; multiply it by 1000/],
    [credential({ expiresAt: undefined, expires_at: NOW + 1 }), 'expiresAt', /"expires_at"; it is spelled expiresAt/],
    [credential({ expiresAt: undefined }), 'expiresAt', /nothing instead of/],
    [{ header: { 'X-Key': 'hunter2' }, expiresAt: NOW + 1 }, 'headers', /"header"; it is spelled headers/],
    [credential({ headers: [['X-Key', 'hunter2']] }), 'headers', /a list instead of an object/],
    [credential({ headers: new Headers({ 'X-Key': 'hunter2' }) }), 'headers', /Object\.fromEntries/],
    [credential({ headers: new Map([['X-Key', 'hunter2']]) }), 'headers', /a Map/],
    [credential({ headers: { 'X-Key': 7 } }), 'header', /"X-Key" with a number/],
    [credential({ headers: { 'X-Key': 'hunter2\r\nX: y' } }), 'header', /a character that a header cannot carry/],
    [credential({ headers: { 'X Key': 'hunter2' } }), 'header', /a name cannot carry/],
    [credential({ headers: { 'content-LENGTH': '0' } }), 'header', /only the gateway writes/],
    [credential({ headers: { 'X-Key': 'hunter2', 'x-key': 'hunter2' } }), 'headers', /twice/],
    [credential({ headers: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`x-${i}`, ''])) }), 'headers', /more than 64/],
    ['hunter2', 'answer', /a text; a Credential or null is needed/],
    [[credential({})], 'answer', /a list/],
    [() => credential({}), 'answer', /a function/],
  ])('is refused with the member and what was there: %#', (answer, member, sentence) => {
    const { code, message, members } = fault(() => checkCredential(answer, NOW));
    expect({ code, members }).toEqual({ code: 'plugin_result_invalid', members: { member } });
    expect(message).toMatch(sentence);
  });

  test('is either refused in our words or fit to be sent, whatever it is', () => {
    fc.assert(
      fc.property(fc.anything({ withDate: true, withMap: true, withNullPrototype: true }), (answer) => {
        try {
          const checked = checkCredential(answer, NOW);
          if (checked !== null) expect(checked.expiresAt).toBeGreaterThan(NOW);
        } catch (error) {
          expect(error).toMatchObject({ code: 'plugin_result_invalid' });
        }
      }),
    );
  });
});

describe('a route', () => {
  test('names a target, or there is none', () => {
    expect(checkRouteAction(null)).toBeNull();
    expect(checkRouteAction(undefined)).toBeNull();
    expect(checkRouteAction({ forwardTo: 'billing', more: 1 })).toEqual({ forwardTo: 'billing' });
  });

  test.each([
    [{ forwardTo: '' }, /an empty text/],
    [{ forwardTo: 7 }, /a number/],
    [{ forward_to: 'x' }, /spelled forwardTo/],
    [{}, /nothing/],
    ['x', /a text/],
  ])('is refused: %j', (answer, sentence) => {
    expect(fault(() => checkRouteAction(answer)).message).toMatch(sentence);
  });
});

describe('a response action', () => {
  test('is read as it is written', () => {
    expect(checkResponseAction(undefined)).toBeNull();
    expect(checkResponseAction({})).toEqual({});
    expect(checkResponseAction({ skipErrorNormalization: true })).toEqual({ skipErrorNormalization: true });
  });

  test.each([{ skipErrorNormalization: 'yes' }, { skip_error_normalization: true }, { SkipErrorNormalisation: true }, true])(
    'is refused: %j',
    (answer) => {
      expect(fault(() => checkResponseAction(answer)).code).toBe('plugin_result_invalid');
    },
  );
});

test('a certificate is PEM', () => {
  const pem = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n';
  expect(checkCertificate(pem)).toBe(pem);
  for (const answer of [null, '', 'hunter2', new Uint8Array(1), '-----BEGIN CERTIFICATE-----', `${pem}${'x'.repeat(262_144)}`]) {
    expect(fault(() => checkCertificate(answer)).members).toEqual({ member: 'certificate' });
  }
});

test('forward references are names', () => {
  expect(checkForwardReferences(['a', 'b'])).toEqual(['a', 'b']);
  expect(fault(() => checkForwardReferences('a')).message).toMatch(/a text instead of a list/);
  expect(fault(() => checkForwardReferences(['a', ''])).message).toMatch(/item 2 is an empty text/);
  expect(fault(() => checkForwardReferences(new Array(1))).message).toMatch(/item 1 is nothing/);
});
