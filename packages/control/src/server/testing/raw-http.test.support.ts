import { connect, type Socket } from 'node:net';

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  /** By name in lower case; a field that came twice has both values, with a line between them. */
  readonly fields: ReadonlyMap<string, string>;
  readonly text: string;
}

/** Sends these bytes, which no client library would, on a connection of their own, and reads what is answered until the server closes it. */
export async function sendBytes(port: number, ...bytes: readonly (string | Buffer)[]): Promise<readonly RawAnswer[]> {
  const socket = await connected(port);
  for (const part of bytes) socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part);
  return answersOf(await everythingFrom(socket));
}

/** A connection to a service on loopback. */
export async function connected(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket;
}

/** All bytes until the other side has closed; a reset ends them too. */
export async function everythingFrom(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return Buffer.concat(chunks);
}

/** The answers in these bytes. Bodies must have a length, as those of this API do. */
export function answersOf(bytes: Buffer): readonly RawAnswer[] {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return [];
  const [line = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const fields = new Map<string, string>();
  for (const field of lines) {
    const colon = field.indexOf(':');
    const [name, value] = [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
    fields.set(name, fields.has(name) ? `${fields.get(name)}\n${value}` : value);
  }
  const length = Number(fields.get('content-length') ?? 0);
  const body = bytes.subarray(end + 4, end + 4 + length);
  return [{ status: Number(line.split(' ')[1]), fields, text: body.toString('utf8') }, ...answersOf(bytes.subarray(end + 4 + length))];
}
