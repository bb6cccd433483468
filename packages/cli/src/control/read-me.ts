import { SallyportError } from '@sallyport/sdk';
import type { ApiClient } from './api-client.js';

/** Who the server takes the client for: `GET /api/me`. Errors: `server_answer_invalid`, and those of the client. */
export async function readMe(client: ApiClient): Promise<Readonly<Record<string, unknown>>> {
  const { body } = await client.request({ path: '/api/me' });
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return { ...body };
  throw new SallyportError('server_answer_invalid', { detail: 'The server does not say who it takes the caller for.' });
}
