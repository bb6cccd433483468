import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** What a path answers: a status, a text, and perhaps header fields. */
export type Answer = readonly [status: number, text: string, headers?: Record<string, string>];

/** Answers of a Chaperone that is well. */
export const chaperoneAnswers: Readonly<Record<string, Answer>> = {
  '/_ops/health': [200, '{"status": "alive"}'],
  '/_ops/version': [200, '{"version":"1.4.2"}'],
  '/metrics': [
    200,
    'chaperone_requests_total{vendor_id="acme",status_class="2xx",method="GET"} 10\nchaperone_active_connections 2\nchaperone_panics_total 0\n' +
      `chaperone_cert_not_after_timestamp_seconds ${Math.floor(Date.now() / 1000) + 30 * 86_400 + 3_600}\n`,
  ],
};

/** Such a server on loopback until the test ends, its port, and the header fields of each request. Answers can be changed while it runs. */
export async function startOperationsServer(
  answers: Record<string, Answer> | RequestListener,
  tls?: { key: string; cert: string },
): Promise<{ port: number; authorizations: (string | undefined)[] }> {
  const authorizations: (string | undefined)[] = [];
  const listener: RequestListener = (request, response) => {
    authorizations.push(request.headers.authorization);
    if (typeof answers === 'function') answers(request, response);
    else {
      const [status, text, headers] = answers[request.url ?? ''] ?? [404, 'not found'];
      response.writeHead(status, headers).end(text);
    }
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
  });
  return { port: (server.address() as AddressInfo).port, authorizations };
}
