import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { cleanUp, workplace } from '../command-line.test.support.js';
import { newKey } from '../control/control-server.test.support.js';

afterEach(cleanUp);

const running = (line: string): boolean => line.includes('"The control plane is running"');

/** A configuration of the control plane with a database in the folder of the test. */
function controlConfig(services: Readonly<Record<string, object>> = {}, more: object = {}, inControl: object = {}): string {
  const port = { port: 0 };
  const control = {
    database: { provider: 'sqlite', path: './data/sallyport.db' },
    services: { public: port, api: port, admin_api: port, worker: port, ...services },
    ...inControl,
  };
  return JSON.stringify({ control, ...more });
}

test('serve runs the gateway and the control plane in one process, and SIGTERM ends both', async () => {
  const place = workplace();
  const gateway = { listeners: { forward: { port: 0 } }, authority: { dir: './ca' } };
  const serving = place.start(['serve', '--config', place.file('sallyport.yaml', controlConfig({}, { gateway }))]);
  await serving.line((line) => line.includes('"Sallyport is running"'));
  const ports = JSON.parse(await serving.line(running)) as Readonly<Record<string, number>>;
  for (const service of ['public', 'api', 'admin-api', 'worker']) {
    const answer = await fetch(`http://127.0.0.1:${ports[service]}/ping`);
    expect(await answer.json()).toEqual({ service, message: 'pong' });
  }
  serving.child.kill('SIGTERM');
  const { code, stdout } = await serving.ended;
  expect(code).toBe(0);
  for (const line of stdout.trim().split('\n'))
    expect(JSON.parse(line)).toMatchObject({ level: expect.any(Number) as number, time: expect.any(Number) as number });
});

test.each(['a second signal', 'the end of the drain'])('%s does not wait for requests in hand', async (what) => {
  const place = workplace();
  const { privatePem, publicPem } = newKey();
  const actors = [{ external_id: 'ada', public_keys: publicPem, permissions: [{ namespace: 'root.**', resources: ['*'], verbs: ['*'] }] }];
  const drain = what === 'a second signal' ? '1h' : '100ms';
  const config = place.file('sallyport.yaml', controlConfig({}, {}, { system_auth: { actors }, shutdown: { drain } }));
  const serving = place.start(['serve', 'api', '--config', config]);
  const { api = 0 } = JSON.parse(await serving.line(running)) as Readonly<Record<string, number>>;
  const key = place.file('ada.pem', privatePem);
  const { stdout: token } = await place.run(['sign-jwt', '--actor', 'ada', '--private-key', key, '--service', 'api']);
  const headers = { authorization: `Bearer ${token.trim()}`, 'content-type': 'application/json', 'content-length': 100, expect: '100-continue' };
  const asked = request({ host: '127.0.0.1', port: api, path: '/namespaces', method: 'POST', agent: false, headers });
  asked.flushHeaders();
  await once(asked, 'continue');
  const outcome = once(asked, 'error');
  serving.child.kill('SIGTERM');
  await serving.line((line) => line.includes('"msg":"stopping'));
  if (what === 'a second signal') serving.child.kill('SIGTERM');
  expect((await serving.ended).code).toBe(0);
  expect(await outcome).toMatchObject([{ code: 'ECONNRESET' }]);
});

test('a port that is taken ends it with 6, and says which', async () => {
  const place = workplace();
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const { code, stderr } = await place.run(['serve', '--config', place.file('sallyport.yaml', controlConfig({ api: { port } }))]);
  other.close();
  expect(code).toBe(6);
  expect(stderr).toContain(`127.0.0.1:${port}`);
  expect(stderr).toContain('code: address_in_use');
});

test('a service that the file has no section for is refused: 2', async () => {
  const place = workplace();
  const config = place.file('sallyport.yaml', controlConfig());
  expect((await place.run(['serve', 'gateway', '--config', config])).code).toBe(2);
});

test('migrate takes the steps that are missing, once', async () => {
  const place = workplace();
  const config = place.file('sallyport.yaml', controlConfig());
  const first = await place.run(['migrate', '--config', config]);
  expect(first).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^applied 0001 .*\nThe database is up to date: \d+ steps were taken\.\n$/s) as string,
  });
  expect(await place.run(['migrate', '--config', config])).toMatchObject({ code: 0, stdout: 'The database is up to date.\n' });
});

test('migrate needs a control plane in the file: 2', async () => {
  const place = workplace();
  const { code, stderr } = await place.run([
    'migrate',
    '--config',
    place.file('sallyport.yaml', JSON.stringify({ gateway: { listeners: { forward: { port: 0 } } } })),
  ]);
  expect(code).toBe(2);
  expect(stderr).toContain('no section `control`');
});
