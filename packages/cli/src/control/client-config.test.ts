import { chmodSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseClientConfig, readClientConfig } from './client-config.js';
import { clientSettings } from './client-settings.js';
import { folder, setVariables } from './control-server.test.support.js';

const own = `
server: { admin_api: https://admin.example.com/sallyport/, api: http://127.0.0.1:8081 }
actor: ada
namespace: root.team
private_key: keys/ada
ca: /etc/ca.pem
plaintext: false
signing_proxy: { port: 9999 }
`;
const seed = `
admin_username: bobdole
admin_private_key_path: ~/.ssh/id_rsa
server:
  api: http://localhost:8081
  admin_api: http://localhost:8082
  auth: http://localhost:8080
  marketplace: http://localhost:5173
  admin_ui: http://localhost:5174
signing_proxy:
  port: 8888
`;

function problems(text: string): string {
  try {
    parseClientConfig(text, '/c.yaml');
  } catch (error) {
    expect(error).toMatchObject({ code: 'client_config_invalid' });
    return (error as Error).message;
  }
  throw new Error('it was taken');
}

describe('the client configuration', () => {
  test('in its own spelling; paths are seen from the file', () => {
    expect(parseClientConfig(own, '/home/ada/.sallyport.yaml')).toEqual({
      file: '/home/ada/.sallyport.yaml',
      server: { admin_api: new URL('https://admin.example.com/sallyport'), api: new URL('http://127.0.0.1:8081') },
      actor: 'ada',
      namespace: 'root.team',
      private_key: '/home/ada/keys/ada',
      ca: '/etc/ca.pem',
      plaintext: false,
      signing_proxy_port: 9999,
    });
  });

  const lowerCamelCase = seed.replace(/[a-z]+(_[a-z]+)+(?=:)/g, (key) => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()));
  test.each([
    ['snake case', seed],
    ['lower camel case', lowerCamelCase],
  ])('of AuthProxy, in %s', (_, text) => {
    setVariables({ HOME: '/home/bob' });
    expect(parseClientConfig(text, '/x/.authproxy.yaml')).toMatchObject({
      actor: 'bobdole',
      private_key: '/home/bob/.ssh/id_rsa',
      server: { public: new URL('http://localhost:8080'), admin_ui: new URL('http://localhost:5174') },
      signing_proxy_port: 8888,
    });
  });

  test.each([
    ['actr: ada', '/c.yaml:1:1  unknown key "actr", did you mean "actor"?'],
    ['actor: ada\nserver:\n  admin_appi: http://x', '/c.yaml:3:3  unknown key "server.admin_appi", did you mean "admin_api"?'],
    ['actor: a\nadmin_username: b', '/c.yaml:2:1  admin_username says again what another key has said'],
    ['actor: ""', '/c.yaml:1:8  actor is a text that is not empty'],
    ['actor: [a]', '/c.yaml:1:8  actor is a text'],
    ['actor: *a', '/c.yaml:1:8  actor is a text'],
    ['actor: a\nactor: b', 'unique'],
    ['server: { api: ftp://x }', '/c.yaml:1:16  server.api begins with neither https:// nor http://'],
    ['server: { api: "https://ada:pw@x" }', 'server.api may not hold a name or a password'],
    ['server: { api: "https://x/?a" }', 'server.api may not have a query or a fragment'],
    ['server: nowhere', '/c.yaml:1:9  server is a mapping of keys to values'],
    ['signing_proxy: { port: 70000 }', 'signing_proxy.port is a number from 0 to 65535'],
    ['plaintext: maybe', 'plaintext is true or false'],
    ['private_key: a\nsecret_key: b', 'private_key and secret_key are both there'],
    ['- a', 'the file is a mapping'],
    ['a: [', '/c.yaml:1:'],
  ])('%j is wrong', (text, said) => {
    expect(problems(text)).toContain(said);
  });

  test('all that is wrong is said at once, and passwords of addresses are not', () => {
    const message = problems('actr: a\nplaintext: 3\nserver: { api: "https://ada:hunter2@x" }');
    expect(message.split('\n')).toHaveLength(4);
    expect(message).not.toContain('hunter2');
  });

  test('any text is taken or refused with a place', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.dictionary(fc.constantFrom('actor', 'server', 'ca', 'x', 'signingProxy'), fc.anything()).map((value) => JSON.stringify(value) ?? ''),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          parseClientConfig(text, '/c.yaml');
        } catch (error) {
          expect(error).toMatchObject({ code: 'client_config_invalid' });
          expect((error as Error).message).toMatch(/\/c\.yaml:[0-9]+:[0-9]+ {2}/);
        }
      }),
    );
  });
});

describe('where it is read', () => {
  test('the named one, the variable, and the two usual places, in this order', async () => {
    const home = folder();
    setVariables({ HOME: home.path });
    expect((await readClientConfig(undefined, {})).file).toBeNull();
    home.file('.authproxy.yaml', 'admin_username: older');
    expect((await readClientConfig(undefined, {})).actor).toBe('older');
    home.file('.sallyport.yaml', 'actor: usual');
    expect((await readClientConfig(undefined, {})).actor).toBe('usual');
    const env = { SALLYPORT_CLIENT_CONFIG: home.file('variable.yaml', 'actor: variable') };
    expect((await readClientConfig(undefined, env)).actor).toBe('variable');
    expect((await readClientConfig(home.file('named.yaml', 'actor: named'), env)).actor).toBe('named');
    await expect(readClientConfig(join(home.path, 'nowhere.yaml'), env)).rejects.toMatchObject({ code: 'client_config_invalid' });
  });

  test('one that others can write to is refused: they would say where tokens go', async () => {
    const path = folder().file('c.yaml', 'actor: ada');
    chmodSync(path, 0o666);
    expect(statSync(path).mode & 0o777).toBe(0o666);
    await expect(readClientConfig(path)).rejects.toMatchObject({ code: 'client_config_invalid', hint: expect.stringContaining('chmod 600') });
  });

  test('what is no file, or too large, is refused', async () => {
    const place = folder();
    await expect(readClientConfig(place.path)).rejects.toMatchObject({ code: 'client_config_invalid' });
    await expect(readClientConfig(place.file('c.yaml', '#'.repeat(70_000)))).rejects.toThrow('larger than 64 KiB');
  });
});

describe('the settings', () => {
  test('the command line comes before the environment, and that before the file', async () => {
    const clientConfig = folder().file(
      'c.yaml',
      'actor: file\nnamespace: root.file\nprivate_key: k\nissuer: host\nkey_id: k1\nserver: { api: http://127.0.0.1:1 }',
    );
    const fromFile = await clientSettings({ clientConfig }, {});
    expect(fromFile.identity()).toEqual({
      actor: 'file',
      namespace: 'root.file',
      issuer: 'host',
      keyId: 'k1',
      key: { kind: 'private', path: join(dirname(clientConfig), 'k') },
    });
    expect(fromFile.addressOf('api').href).toBe('http://127.0.0.1:1/');
    expect(fromFile.addressOf('admin-api').href).toBe('http://127.0.0.1:8082/');
    const env = { SALLYPORT_ACTOR: 'env', SALLYPORT_SECRET_KEY: '/s', SALLYPORT_SERVER: 'https://env.example', SALLYPORT_NAMESPACE: '' };
    const fromEnv = await clientSettings({ clientConfig }, env);
    expect(fromEnv.identity()).toMatchObject({ actor: 'env', namespace: 'root.file', key: { kind: 'secret', path: '/s' } });
    expect(fromEnv.addressOf('api').href).toBe('https://env.example/');
    const fromOptions = await clientSettings({ clientConfig, actor: 'option', privateKey: '/p', server: 'https://option.example/x/' }, env);
    expect(fromOptions.identity()).toMatchObject({ actor: 'option', key: { kind: 'private', path: '/p' } });
    expect(fromOptions.addressOf('public').href).toBe('https://option.example/x');
  });

  test('a token is not sent in the clear beyond this machine', async () => {
    setVariables({ HOME: folder().path });
    const to = async (server: string, plaintext?: true) =>
      (await clientSettings({ server, ...(plaintext !== undefined && { plaintext }) }, {})).addressOf('api').hostname;
    for (const server of ['http://localhost:1', 'http://127.0.0.1', 'http://[::1]:8', 'https://api.example.com']) await to(server);
    for (const server of ['http://api.example.com', 'http://127.0.0.1.example.com', 'http://localhost.example.com', 'http://10.0.0.1']) {
      await expect(to(server)).rejects.toMatchObject({ code: 'client_config_invalid', message: expect.stringContaining('not encrypted') });
      await expect(to(server, true)).resolves.toBe(new URL(server).hostname);
    }
  });

  test('what is missing is said', async () => {
    setVariables({ HOME: folder().path });
    const settings = await clientSettings({}, {});
    expect(() => settings.identity()).toThrow('which actor');
    expect(() => settings.identity()).toThrow(expect.objectContaining({ code: 'client_config_incomplete' }));
    await expect(clientSettings({ actor: 'a', privateKey: 'x', secretKey: 'y' }, {}).then((both) => both.identity())).rejects.toThrow(
      'On the command line',
    );
    await expect(clientSettings({ server: 'nowhere' }, {}).then((odd) => odd.addressOf('api'))).rejects.toThrow('is not an address');
    await expect(clientSettings({ ca: '/nowhere.pem' }, {}).then((one) => one.readAuthorities())).rejects.toThrow('ENOENT');
  });
});
