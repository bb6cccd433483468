import type { DialTarget } from '../../upstream/dial.js';
import { BodyKind } from '../../wire/body-reader.js';
import { Field } from '../../wire/field-names.js';
import type { Head } from '../../wire/head.js';
import { cutByName, cutByPrefix, keptLines, trailerSection } from '../../wire/head-writer.js';
import type { Passage } from '../passage.js';

/** The request head as the upstream gets it: our start line, Host and framing; the client's fields but for those that stay here; what was injected. */
export function requestHead(passage: Passage, target: DialTarget): string {
  const { exchange, client, door, injectedLines, query, wholeBody, destination } = passage;
  const { head } = client;
  // Nothing is held back until somebody asks for it.
  if (wholeBody !== null) head.cutField(Field.expect);
  if (door.controlPrefix !== null) cutByPrefix(head, door.controlPrefix);
  const kept = keptLines(head, door.controlFields);
  const path = destination === null ? `${exchange.path}${query ?? exchange.query}` : destination.pathAndQuery;
  let text = `${exchange.method} ${path} HTTP/1.1\r\nHost: ${authorityOf(target)}\r\n${kept}${door.requestLines(exchange)}${injectedLines}`;
  if (wholeBody !== null) text += `Content-Length: ${wholeBody.length}\r\n`;
  else if (client.bodyKind === BodyKind.chunked) text += 'Transfer-Encoding: chunked\r\n';
  else if (head.contentLength >= 0) text += `Content-Length: ${head.contentLength}\r\n`;
  if (exchange.kind === 'upgrade') return `${text}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  // The one use of TE beyond this hop: the client is ready for trailers (RFC 9110 §10.1.4).
  if (head.indexOf(Field.te) >= 0 && /(?:^|,)\s*trailers\s*(?:,|$)/i.test(head.value(Field.te) ?? '')) text += 'TE: trailers\r\nConnection: TE\r\n';
  return `${text}\r\n`;
}

/** What holds for the fields of the head holds for those behind the body: none of ours goes out, and none stands beside what was injected. */
export function requestTrailers({ door, injectedFields, injectedNames }: Passage, trailers: Head): string {
  if (door.controlPrefix !== null) cutByPrefix(trailers, door.controlPrefix);
  for (let i = 0; i < trailers.count; i++) if (injectedFields?.[trailers.id[i]] === 1) trailers.cut[i] = 1;
  for (const name of injectedNames) cutByName(trailers, name);
  return trailerSection(trailers, door.controlFields);
}

function authorityOf({ tls, host, port }: DialTarget): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === (tls ? 443 : 80) ? name : `${name}:${port}`;
}
