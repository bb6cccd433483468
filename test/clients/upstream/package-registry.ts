import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** A package file that a registry hands out. */
export interface Package {
  readonly file: string;
  readonly bytes: Buffer;
}

/** The name and the version of the one package of each registry. */
export const packageName = 'sallyport-sample';
export const packageVersion = '1.2.3';

/** An npm registry at the URL `base` with one package: its packument, and the tarball that it points to. */
export function answerNpm({ file, bytes }: Package, base: string, request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  if (request.url === `/${packageName}`) {
    const dist = {
      tarball: `${base}/${packageName}/-/${file}`,
      integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
    };
    const version = { name: packageName, version: packageVersion, dist };
    answer(response, 200, 'application/json', {
      name: packageName,
      'dist-tags': { latest: packageVersion },
      versions: { [packageVersion]: version },
    });
  } else if (request.url === `/${packageName}/-/${file}`) answer(response, 200, 'application/octet-stream', bytes);
  else answer(response, 404, 'application/json', { error: 'not found' });
}

/** A Python package index with one wheel (PEP 503). */
export function answerPypi({ file, bytes }: Package, request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const digest = createHash('sha256').update(bytes).digest('hex');
  if (request.url === `/simple/${packageName}/`) {
    answer(response, 200, 'text/html', Buffer.from(`<!doctype html><title>Links</title><a href="../../files/${file}#sha256=${digest}">${file}</a>`));
  } else if (request.url === `/files/${file}`) answer(response, 200, 'application/octet-stream', bytes);
  else answer(response, 404, 'text/html', Buffer.from('not found'));
}

function answer(response: ServerResponse, status: number, type: string, content: Buffer | object): void {
  const body = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  response.writeHead(status, { 'content-type': type, 'content-length': body.length });
  response.end(body);
}
