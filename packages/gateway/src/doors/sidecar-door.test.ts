import { SallyportError } from '@sallyport/sdk';
import { expect, test } from 'vitest';
import { Exchange } from '../exchange.js';
import { credentialFailures } from '../pipeline/failure-codes.js';
import { plainSidecarDoor } from './sidecar-door.test.support.js';

const door = plainSidecarDoor();

test.each([...credentialFailures, 'context_data_missing', 'context_data_field_invalid', 'forward_unexpected'] as const)(
  '%s is our fault, and the platform is told no more than that',
  (code) => {
    const refusal = door.refusal(new Exchange('sidecar', '127.0.0.1'), new SallyportError(code));
    expect(refusal.status).toBe(500);
    expect(JSON.parse(refusal.body)).toMatchObject({ status: 500, error: 'Internal Server Error', code });
  },
);

test.each(['policy_denied', 'plugin_timeout', 'limit_exceeded'] as const)('%s is not, and keeps its status', (code) => {
  const error = new SallyportError(code);
  const refusal = door.refusal(new Exchange('sidecar', '127.0.0.1'), error);
  expect(refusal.status).toBe(error.status);
  expect(JSON.parse(refusal.body)).not.toMatchObject({ error: 'Internal Server Error' });
});
