import { type ErrorCode, errorCatalogue, SallyportError } from '@sallyport/sdk';
import { expect, test } from 'vitest';
import { problemDocument } from './problem.js';

function parsed(error: SallyportError, rule?: string | null): Record<string, unknown> {
  return JSON.parse(problemDocument(error, rule === undefined ? { requestId: 'r1' } : { requestId: 'r1', rule })) as Record<string, unknown>;
}

test.each(Object.keys(errorCatalogue) as ErrorCode[])('The document for %s has every standard member', (code) => {
  const { title, hint, status } = errorCatalogue[code];
  expect(parsed(new SallyportError(code, { detail: 'What happened.' }))).toEqual({
    type: `urn:sallyport:error:${code}`,
    title,
    status: status === 0 ? 500 : status,
    detail: 'What happened.',
    code,
    hint,
    request_id: 'r1',
    error: title,
  });
});

test('The rule that decided is a member, and left out when no rule did', () => {
  const error = new SallyportError('policy_denied');
  expect(parsed(error, 'deny *.example.com').rule).toBe('deny *.example.com');
  expect(parsed(error, null)).not.toHaveProperty('rule');
});

test('Members of the error are added; of the standard ones they replace `error` only', () => {
  const members = { candidates: ['a', 'b'], error: 'Text for older clients', code: 'forged', status: 200, request_id: 'forged' };
  const document = parsed(new SallyportError('policy_denied', { members }));
  expect(document).toMatchObject({
    candidates: ['a', 'b'],
    error: 'Text for older clients',
    code: 'policy_denied',
    status: 403,
    request_id: 'r1',
  });
});

test('The cause stays inside', () => {
  const error = new SallyportError('internal_error', { cause: new Error('what really happened') });
  expect(problemDocument(error, { requestId: 'r1' })).not.toContain('really');
});
