import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { hasEnded } from './processes.mjs';

/**
 * How a client gets the body of a workload through a variant.
 * @typedef {object} Access
 * @property {string} url
 * @property {Record<string, string>} headers
 * @property {{ host: string, port: number } | null} connect the forward proxy to CONNECT through
 * @property {string} token what that proxy wants as Basic password
 * @property {() => string | null} caFile the CA that the TLS server behind `url` is verified against (a proxy may make it at its start)
 */

/**
 * One GET over a new connection.
 * @param {Access} access
 * @returns {Promise<{ status: number, bytes: number, text: string }>} `text` is the beginning of the body
 */
async function getOnce(access) {
  const url = new URL(access.url);
  const socket = await openSocket(access, url);
  try {
    const headers = { ...access.headers, Host: url.host, Connection: 'close' };
    const asked = request({ createConnection: () => socket, path: url.pathname + url.search, headers });
    asked.end();
    const [response] = /** @type {[import('node:http').IncomingMessage]} */ (await once(asked, 'response'));
    let bytes = 0;
    let text = '';
    for await (const chunk of response) {
      bytes += chunk.length;
      if (text.length < 300) text += chunk;
    }
    return { status: response.statusCode ?? 0, bytes, text: text.slice(0, 300) };
  } finally {
    socket.destroy();
  }
}

/** @param {Access} access @param {URL} url */
async function openSocket(access, url) {
  const { host, port } = access.connect ?? { host: url.hostname, port: Number(url.port) };
  const socket = connect({ host: host === 'localhost' ? '127.0.0.1' : host, port });
  // Between two waits nobody listens, and an error without a listener ends the process.
  socket.on('error', () => {});
  socket.setTimeout(5000, () => socket.destroy(new Error('no answer within 5 s')));
  try {
    await once(socket, 'connect');
    if (access.connect !== null) {
      const proof = Buffer.from(`bench:${access.token}`).toString('base64');
      socket.write(`CONNECT ${url.host} HTTP/1.1\r\nHost: ${url.host}\r\nProxy-Authorization: Basic ${proof}\r\n\r\n`);
      const [answer] = await once(socket, 'data');
      socket.pause();
      if (!/^HTTP\/1\.1 200/.test(String(answer))) throw new Error(`CONNECT was answered: ${String(answer).split('\r\n')[0]}`);
    }
    if (url.protocol === 'http:') return socket;
    const caFile = access.caFile();
    const session = connectTls({ socket, servername: url.hostname, ...(caFile === null ? {} : { ca: readFileSync(caFile) }) });
    session.on('error', () => {});
    await once(session, 'secureConnect');
    return session;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/**
 * Asks until the right answer comes: status 200 and the whole body, which the upstream gives only to requests
 * with the injected secret.
 * @param {Access} access
 * @param {number} bodyBytes
 * @param {import('./processes.mjs').Started | null} server
 * @throws {Error} when the process ended or the answer did not come within 15 seconds
 */
export async function waitUntilRight(access, bodyBytes, server) {
  const giveUp = Date.now() + 15_000;
  for (;;) {
    let problem;
    try {
      const { status, bytes, text } = await getOnce(access);
      if (status === 200 && bytes === bodyBytes) return;
      problem = `status ${status}, ${bytes} bytes: ${text}`;
    } catch (error) {
      problem = error instanceof Error ? error.message || error.name : String(error);
    }
    const ended = server !== null && hasEnded(server);
    if (ended || Date.now() > giveUp) {
      const noise = server?.errors() ?? '';
      throw new Error(`${ended ? 'it ended' : 'no right answer within 15 s'} (${problem})${noise === '' ? '' : `\n${noise}`}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
