import type { SallyportError } from '@sallyport/sdk';
import type { Exchange } from '../exchange.js';
import type { Refusal } from '../pipeline/passage.js';
import { problemDocument, problemMediaType } from '../record/problem.js';

/** A refusal as a problem document (RFC 9457), with the header lines that go with the code. `lines` are further ones of the door. */
export function problemRefusal(exchange: Exchange, error: SallyportError, lines: string): Refusal {
  const status = error.status === 0 ? 500 : error.status;
  const retry = error.members.retry_after;
  const wait = typeof retry === 'number' ? `Retry-After: ${Math.max(1, Math.ceil(retry))}\r\n` : '';
  return {
    status,
    lines: `${status === 407 ? 'Proxy-Authenticate: Basic realm="sallyport"\r\n' : ''}${wait}${lines}`,
    contentType: problemMediaType,
    body: `${problemDocument(error, { requestId: exchange.requestId, rule: exchange.rule })}\n`,
  };
}
