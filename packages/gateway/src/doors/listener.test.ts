import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { RawClient, rawClient } from '../testing/raw-client.test.support.js';
import { plainScene, stopEverything, upstreamAuthority } from '../testing/scene.test.support.js';
import { echo } from '../testing/scripted-upstream.test.support.js';
import { temporaryDirectory } from '../testing/temporary-directory.test.support.js';

afterEach(stopEverything);

/** A listener that speaks TLS as `proxy.test`, and the way to give it another certificate. */
async function tlsListener(): Promise<{ section: string; renew(): Promise<void>; damage(): Promise<void>; ca: string }> {
  const { authority, serverFor } = await upstreamAuthority();
  const directory = await temporaryDirectory();
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  const renew = async (): Promise<void> => {
    const server = serverFor('proxy.test');
    await writeFile(cert, server.cert as string);
    await writeFile(key, server.key as string);
  };
  await renew();
  const port = await rawPort();
  const section = `listeners: { forward: { port: ${port}, tls: { cert: ${JSON.stringify(cert)}, key: ${JSON.stringify(key)} } }, ops: { port: 0 } }`;
  return { section, renew, damage: () => writeFile(key, 'damaged'), ca: authority.certificatePem };
}

/** A port that was free a moment ago. */
async function rawPort(): Promise<number> {
  const { gateway } = await plainScene();
  const port = gateway.forward;
  await gateway.stop();
  return port;
}

async function tlsClient(port: number, ca: string): Promise<{ client: RawClient; serial: string }> {
  const socket = connect({ host: '127.0.0.1', port, ca, servername: 'proxy.test' });
  await once(socket, 'secureConnect');
  return { client: new RawClient(socket), serial: socket.getPeerCertificate().serialNumber };
}

test('a listener with TLS serves the door, and a renewed certificate from the next connection on', async () => {
  const { section, renew, ca } = await tlsListener();
  const { gateway, origin, authority } = await plainScene(echo, section);
  const first = await tlsClient(gateway.forward, ca);
  const get = (client: RawClient) => client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`]);
  expect((await get(first.client)).status).toBe(200);
  await renew();
  await gateway.reload(section);
  const second = await tlsClient(gateway.forward, ca);
  expect(second.serial).not.toBe(first.serial);
  expect((await get(second.client)).status).toBe(200);
  expect((await get(first.client)).status).toBe(200);
  first.client.close();
  second.client.close();
});

test('a file that cannot be used leaves the old certificate in place, and so does one that was not changed', async () => {
  const { section, damage, ca } = await tlsListener();
  const { gateway, origin, authority } = await plainScene(echo, section);
  const first = await tlsClient(gateway.forward, ca);
  await gateway.reload(section);
  await damage();
  await expect(gateway.reload(section)).rejects.toMatchObject({ code: 'tls_files_invalid' });
  const second = await tlsClient(gateway.forward, ca);
  expect(second.serial).toBe(first.serial);
  for (const { client } of [first, second]) {
    expect((await client.request(`GET ${origin}/ HTTP/1.1`, [`Host: ${authority}`])).status).toBe(200);
    client.close();
  }
});

test('a port that speaks TLS does not stop doing so while it is open', async () => {
  const { section } = await tlsListener();
  const { gateway } = await plainScene(echo, section);
  const plain = section.replace(/, tls: \{.*?\}/, '');
  await expect(gateway.reload(plain)).rejects.toMatchObject({
    code: 'config_invalid',
    message: 'gateway.listeners.forward.tls changed, which takes a restart',
  });
});

test('a client that never finishes its handshake does not outlive the listener', async () => {
  const { section } = await tlsListener();
  const { gateway } = await plainScene(echo, section);
  const client = await rawClient(gateway.forward);
  client.write(Buffer.of(0x16, 3, 1, 0, 200, 1));
  await gateway.stop();
  expect(await client.reader.end()).not.toBe('open');
});

test('connections beyond the limit are closed at once, and counted while they are open', async () => {
  const { gateway } = await plainScene(echo, 'limits: { connections: 2 }');
  const kept = [await rawClient(gateway.forward), await rawClient(gateway.forward)];
  const surplus = await rawClient(gateway.forward);
  expect(await surplus.reader.end()).not.toBe('open');
  expect(await gateway.metrics()).toContain('sallyport_client_connections{door="forward"} 2');
  for (const client of kept) client.close();
  await expect.poll(() => gateway.metrics()).toContain('sallyport_client_connections{door="forward"} 0');
});
