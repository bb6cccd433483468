import type { Plugin } from '@sallyport/sdk';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { rawClient } from '../testing/raw-client.test.support.js';
import { echoed, plainScene, type Scene, stopEverything } from '../testing/scene.test.support.js';
import { echo, reply, type Script } from '../testing/scripted-upstream.test.support.js';
import { poisonReadBuffers } from '../wire/read-buffers.js';

beforeEach(() => poisonReadBuffers(true));
afterEach(async () => {
  poisonReadBuffers(false);
  await stopEverything();
});

let scene: Scene;

async function asked(plugin: Plugin, script: Script, path = '/', ...lines: string[]) {
  scene = await plainScene(script, '', {}, { plugin });
  const client = await rawClient(scene.gateway.sidecar);
  return client.request('GET /proxy HTTP/1.1', ['Host: s', `X-Connect-Target-URL: ${scene.origin}${path}`, ...lines]);
}

const signing: Plugin = {
  getCredentials(_context, request) {
    request.url.searchParams.set('sig', 'abc/def+ghi=jkl mno');
    request.url.searchParams.set('form', 'json');
    return null;
  },
};

test('what a plugin signs into the query does not come back, anywhere in a head', async () => {
  const written = 'abc%2Fdef%2Bghi%3Djkl+mno';
  const response = await asked(
    signing,
    async (request, socket) => {
      await request.body();
      const location = `Location: http://elsewhere.test${request.target}`;
      const plain = 'X-Plain: abc/def+ghi=jkl mno';
      socket.write(`HTTP/1.1 103 ${written}\r\nLink: <${written}>\r\n\r\n`);
      socket.write(`HTTP/1.1 302 to ${written}\r\nContent-Type: application/json\r\n${location}\r\n${plain}\r\nTransfer-Encoding: chunked\r\n\r\n`);
      socket.write(`0\r\nX-Trailer: ${written}\r\n\r\n`);
    },
    '/p?of=the+client+itself',
  );
  const [interim] = response.interim;
  expect([interim?.startLine, interim?.field('link'), response.reason]).toEqual(['HTTP/1.1 103 ', '<[secret]>', '']);
  expect(response.lines).toContain('Location: http://elsewhere.test/p?of=the+client+itself&sig=[secret]&form=json');
  expect(response.lines).toContain('X-Plain: [secret]');
  expect(response.lines).toContain('Content-Type: application/json');
  expect(response.trailers).toEqual(['X-Trailer: [secret]']);
  expect(scene.upstream.requests[0]?.target).toBe(`/p?of=the+client+itself&sig=${written}&form=json`);
  expect(JSON.stringify(scene.gateway.exchanges) + (await scene.gateway.log())).not.toMatch(/abc.{1,3}def/);
});

test('a field that a plugin both set and answered goes out once, as it was answered', async () => {
  const response = await asked(
    {
      getCredentials(_context, request) {
        request.headers.set('authorization', 'Basic first');
        request.headers.set('X-Signed', 'a:b');
        return { headers: { Authorization: 'Bearer second' }, expiresAt: Date.now() + 60_000 };
      },
    },
    echo,
    '/',
    'AUTHORIZATION: of the client',
  );
  expect(echoed(response).lines.filter((line) => /^(authorization|x-signed)/i.test(line))).toEqual(['X-Signed: a:b', 'Authorization: Bearer second']);
  expect(scene.gateway.exchanges[0]?.injectedHeaders).toEqual(['authorization', 'x-signed']);
});

test('no field that frames or routes can be set by a plugin, and the request does not go out', async () => {
  for (const name of ['Host', 'Content-Length', 'Transfer-Encoding', 'Connection', 'Expect', 'Trailer', 'TE', 'Upgrade', 'Proxy-Authorization']) {
    const response = await asked(
      {
        getCredentials(context, request) {
          request.headers.set(context.vendorId, '7');
          return null;
        },
      },
      (_request, socket) => void socket.write(reply(200)),
      '/',
      `X-Connect-Vendor-ID: ${name}`,
    );
    expect([name, response.field('x-sallyport-error'), scene.upstream.requests.length]).toEqual([name, 'plugin_result_invalid', 0]);
    await scene.gateway.stop();
  }
});
