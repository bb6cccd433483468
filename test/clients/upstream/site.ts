import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { brotliCompressSync, gzipSync } from 'node:zlib';

/** The bytes at `/download/…`: not repeating, so that a part in the wrong place changes the hash. */
export const download: Buffer = (() => {
  const words = new Uint32Array(6 * 1024 * 1024);
  let state = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + i;
    words[i] = state;
  }
  return Buffer.from(words.buffer);
})();

/** The text at `/compressed/…`. */
export const compressible = 'So it passed the gate, and nobody saw what it carried.\n'.repeat(2_000);

/** What `/echo/…` answers: what arrived, except the value of any header. */
export interface Echo {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly headers: readonly string[];
  readonly framing: string;
  readonly received: number;
  readonly sha256: string;
}

/** The hash that `Echo` has for a body. */
export function sha256(body: Buffer | string): string {
  return createHash('sha256').update(body).digest('hex');
}

/** Streams of server-sent events that are under way, by their name. */
const streams = new Map<string, ServerResponse>();

/**
 * A site with something for every client: `/echo`, `/download` (ranges), `/compressed`, `/events` with `/next`, and a page that uses them. What
 * follows the first segment of the path is a name that the test chose.
 */
export function answerSite(request: IncomingMessage, response: ServerResponse): void {
  const { pathname } = new URL(request.url ?? '/', 'http://site');
  const [, kind, name = ''] = pathname.split('/');
  switch (kind) {
    case 'echo':
      answerEcho(request, response, pathname);
      break;
    case 'download':
      answerDownload(request, response);
      break;
    case 'compressed':
      answerCompressed(request, response);
      break;
    case 'events':
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      response.write('data: 1\n\n');
      streams.set(name, response);
      break;
    case 'next':
      answerNext(response, name);
      break;
    case 'page':
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      response.end(page(name));
      break;
    case 'script':
      response.writeHead(200, { 'content-type': 'text/javascript' });
      response.end('window.scriptRan = true;\n');
      break;
    case 'image':
      response.writeHead(200, { 'content-type': 'image/svg+xml' });
      response.end('<svg xmlns="http://www.w3.org/2000/svg" width="7" height="5"/>');
      break;
    default:
      response.writeHead(404);
      response.end();
  }
}

function answerEcho(request: IncomingMessage, response: ServerResponse, path: string): void {
  const hash = createHash('sha256');
  let received = 0;
  request.on('data', (chunk: Buffer) => {
    received += chunk.length;
    hash.update(chunk);
  });
  request.on('end', () => {
    const { method = '', headers } = request;
    const framing = headers['transfer-encoding'] ?? headers['content-length'] ?? 'none';
    const echo: Echo = { method, host: headers.host ?? '', path, headers: Object.keys(headers), framing, received, sha256: hash.digest('hex') };
    const body = `${JSON.stringify(echo)}\n`;
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  });
}

function answerDownload(request: IncomingMessage, response: ServerResponse): void {
  const range = /^bytes=([0-9]+)-([0-9]+)$/.exec(request.headers.range ?? '');
  if (range === null) {
    response.writeHead(200, { 'content-length': download.length, 'accept-ranges': 'bytes' });
    response.end(download);
    return;
  }
  const [start, end] = [Number(range[1]), Number(range[2])];
  const part = download.subarray(start, end + 1);
  response.writeHead(206, { 'content-length': part.length, 'content-range': `bytes ${start}-${end}/${download.length}` });
  response.end(part);
}

function answerCompressed(request: IncomingMessage, response: ServerResponse): void {
  const accepted = request.headers['accept-encoding'] ?? '';
  const [encoding, body] = accepted.includes('br') ? ['br', brotliCompressSync(compressible)] : ['gzip', gzipSync(compressible)];
  // Without a length, so that it goes out in chunks.
  response.writeHead(200, { 'content-type': 'text/plain', 'content-encoding': encoding });
  response.write(body.subarray(0, 10));
  response.end(body.subarray(10));
}

/** An event goes out only when the one before it is known to have come in: a stream that somebody collects would never end. */
function answerNext(response: ServerResponse, name: string): void {
  const stream = streams.get(name);
  stream?.end('data: 2\n\n');
  streams.delete(name);
  response.writeHead(stream === undefined ? 404 : 204);
  response.end();
}

/** A page whose script says in `window.seen` what it got hold of. */
function page(name: string): string {
  return `<!doctype html><title>${name}</title>
<script src="/script/${name}"></script>
<img id="image" src="/image/${name}" alt="">
<script type="module">
  const seen = { script: window.scriptRan === true, events: [] };
  const image = document.getElementById('image');
  await image.decode();
  seen.image = [image.naturalWidth, image.naturalHeight];
  await new Promise((resolve) => {
    const source = new EventSource('/events/${name}');
    source.onmessage = ({ data }) => {
      seen.events.push(data);
      if (data === '2') { source.close(); resolve(); } else void fetch('/next/${name}', { method: 'POST' });
    };
  });
  seen.webSocket = await new Promise((resolve) => {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + '/socket/${name}');
    socket.onopen = () => socket.send('through the gate');
    socket.onmessage = ({ data }) => { socket.close(); resolve(data); };
    socket.onerror = () => resolve('failed');
  });
  window.seen = seen;
</script>
`;
}
