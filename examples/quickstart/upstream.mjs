// The API that the quickstart calls: HTTPS with a certificate authority of its own, and nothing without a bearer token.

import 'reflect-metadata'; // must be loaded before @peculiar/x509, which builds on it
import { timingSafeEqual, webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayInMs = 24 * 60 * 60 * 1000;

/** An authority that lives as long as this process, and one certificate of it for `localhost`, all as PEM. */
async function createCertificates() {
  const authorityKeys = await webcrypto.subtle.generateKey(keyAlgorithm, false, ['sign', 'verify']);
  const serverKeys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  const validity = { notBefore: new Date(Date.now() - dayInMs), notAfter: new Date(Date.now() + 30 * dayInMs) };
  const authority = await X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: '01',
    name: 'CN=Sallyport quickstart upstream authority',
    keys: authorityKeys,
    signingAlgorithm: keyAlgorithm,
    extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
  });
  const server = await X509CertificateGenerator.create({
    ...validity,
    serialNumber: '02',
    subject: 'CN=localhost',
    issuer: authority.subject,
    publicKey: serverKeys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: keyAlgorithm,
    extensions: [
      new SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
      ]),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    ],
  });
  return {
    authority: authority.toString('pem'),
    certificate: server.toString('pem'),
    key: PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', serverKeys.privateKey), 'PRIVATE KEY'),
  };
}

function isAuthorized(request, token) {
  const given = Buffer.from(request.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body, null, 2)}\n`);
}

function answerUnauthorized(response) {
  response.setHeader('www-authenticate', 'Bearer realm="quickstart"');
  answer(response, 401, { error: 'unauthorized', message: 'This API wants Authorization: Bearer <token>, and the request has no valid one.' });
}

/** The headers as they came in; of the token only its end, which is enough to see that it is the right one. */
function answerHeaders(request, response, token) {
  answer(response, 200, { headers: { ...request.headers, authorization: `Bearer …${token.slice(-4)}` } });
}

/** Five server-sent events, a moment apart: they arrive one by one when nothing between here and the client collects them. */
function answerStream(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  let count = 0;
  const timer = setInterval(() => {
    count++;
    response.write(`id: ${count}\ndata: event ${count} of 5\n\n`);
    if (count === 5) response.end();
  }, 400);
  response.on('close', () => clearInterval(timer));
}

function handle(request, response, token) {
  const { pathname } = new URL(request.url, 'https://localhost');
  request.resume();
  if (!isAuthorized(request, token)) answerUnauthorized(response);
  else if (pathname === '/') answer(response, 200, { message: 'Hello. You hold no token, and yet you are in.', paths: ['/', '/headers', '/stream'] });
  else if (pathname === '/headers') answerHeaders(request, response, token);
  else if (pathname === '/stream') answerStream(response);
  else answer(response, 404, { error: 'not_found', message: 'There are only /, /headers and /stream.' });
}

/**
 * Starts the API on a free port of the loopback interface, under the name `localhost`.
 *
 * @param {string} token what a request must carry in `Authorization: Bearer`
 * @returns {Promise<{ port: number, authority: string, close: () => Promise<void> }>} `authority` is the PEM that a client has to trust
 */
export async function startUpstream(token) {
  const { authority, certificate, key } = await createCertificates();
  const server = createServer({ cert: certificate, key }, (request, response) => handle(request, response, token));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    authority,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
