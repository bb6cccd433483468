import type { UpstreamConnection } from '../upstream-connection.js';
import { CollectedResponse } from './collected-response.test.support.js';

export const REQUEST = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';

/** Opens an exchange whose request is sent. */
export function begin(connection: UpstreamConnection, method = 'GET'): CollectedResponse {
  const response = new CollectedResponse(connection);
  connection.begin(response, method);
  connection.write(REQUEST);
  connection.requestSent();
  return response;
}
