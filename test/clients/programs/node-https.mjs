// node:http and node:https without any library: CONNECT by hand for https, the absolute form for http.
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { answer, askedFor } from './answer.mjs';

const proxy = new URL(process.env.HTTPS_PROXY);
const credentials = Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64');
const headers = { 'Proxy-Authorization': `Basic ${credentials}` };

class ConnectAgent extends Agent {
  createConnection({ host, port, servername }, done) {
    const options = { host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: `${host}:${port}`, headers };
    httpRequest(options)
      .on('connect', ({ statusCode }, socket) => {
        if (statusCode === 200) done(null, connect({ socket, servername }));
        else done(new Error(`the proxy answered ${statusCode}`));
      })
      .on('error', done)
      .end();
  }
}

/** With ABSOLUTE_FORM an https URL goes to the proxy as it stands, and the proxy does the TLS: what some HTTP clients do. */
function open({ method, url }) {
  if (url.startsWith('https:') && process.env.ABSOLUTE_FORM === undefined) return httpsRequest(url, { method, agent: new ConnectAgent() });
  const { host } = new URL(url);
  return httpRequest({ host: proxy.hostname, port: proxy.port, method, path: url, headers: { ...headers, host } });
}

const asked = askedFor();
const request = open(asked);
if (asked.body === undefined) request.end();
else asked.body.pipe(request);
const [response] = await once(request, 'response');
answer(response.statusCode, await text(response));
