import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { asSallyportError, SallyportError, Secret } from './index.js';

const VALUE = 'hunter2-hunter2';

describe('a secret', () => {
  const secret = new Secret(VALUE);
  const ways: Record<string, () => string> = {
    'as a string': () => String(secret),
    'in a template': () => `${secret as unknown as string}`,
    'by concatenation': () => `${'' + (secret as unknown as string)}`,
    'as JSON': () => JSON.stringify({ secret }),
    inspected: () => inspect({ deep: { deeper: { secret } } }, { depth: 9, showHidden: true }),
    'by its keys': () => JSON.stringify([Object.keys(secret), Object.entries(secret), { ...secret }]),
    'as a property name': () => Object.keys({ [secret as unknown as string]: 1 })[0],
    'in an error': () => inspect(new Error('failed', { cause: secret })),
    'through console formatting': () => inspect(new Map([[secret, [secret]]])),
  };

  test.each(Object.entries(ways))('does not show %s', (_, print) => {
    expect(print()).not.toContain(VALUE);
  });

  test('comes out through reveal, and nowhere else', () => {
    expect(secret.reveal()).toBe(VALUE);
    expect(structuredCloneOrNothing(secret)).not.toContain(VALUE);
  });

  test('knows whether it is empty', () => {
    expect(new Secret('').empty).toBe(true);
    expect(secret.empty).toBe(false);
  });
});

function structuredCloneOrNothing(value: unknown): string {
  try {
    return JSON.stringify(structuredClone(value));
  } catch {
    return '';
  }
}

describe('an error', () => {
  test('takes status, title and hint from the catalogue', () => {
    const error = new SallyportError('policy_denied');
    expect(error).toMatchObject({ code: 'policy_denied', status: 403, name: 'SallyportError', members: {} });
    expect(error.message).toBe('The policy does not let this request out');
    expect(error.hint).toContain('sallyport config explain');
  });

  test('can be more precise', () => {
    const cause = new Error('why');
    const error = new SallyportError('policy_denied', { detail: 'what', hint: 'how', members: { rule: 'r' }, cause });
    expect(error).toMatchObject({ message: 'what', hint: 'how', members: { rule: 'r' }, cause });
  });

  test('is made of anything that was thrown', () => {
    const own = new SallyportError('not_found');
    expect(asSallyportError(own)).toBe(own);
    expect(asSallyportError('something')).toMatchObject({ code: 'internal_error', status: 500, cause: 'something' });
  });
});
