import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { controlServer, folder, newKey, setVariables, testServer } from '../control/control-server.test.support.js';
import { main } from '../main.js';
import { capture, type Printed } from '../onboard/captured-output.test.support.js';

const { privatePem, publicPem } = newKey();

let printed: Printed;
let home: ReturnType<typeof folder>;
let key: string;
let publicKey: string;

beforeEach(() => {
  home = folder();
  setVariables({ HOME: home.path, SALLYPORT_CLIENT_CONFIG: undefined, SALLYPORT_ACTOR: undefined });
  key = home.file('ada.pem', privatePem);
  publicKey = home.file('ada.pub', publicPem);
  printed = capture();
});
afterEach(() => printed.restore());

const configPath = (): string => join(home.path, '.sallyport.yaml');
const identity = (): string[] => ['--actor', 'ada', '--actor-namespace', 'root.team', '--private-key', key];

describe('login and whoami', () => {
  test('login asks the server first, writes a file for its owner alone, and whoami needs nothing more', async () => {
    const { url } = await controlServer(publicPem);
    expect(await main(['login', '--server', url, '--api', 'https://api.example.com', ...identity()])).toBe(0);
    expect(statSync(configPath()).mode & 0o777).toBe(0o600);
    expect(parse(readFileSync(configPath(), 'utf8'))).toEqual({
      server: { admin_api: url, api: 'https://api.example.com' },
      actor: 'ada',
      namespace: 'root.team',
      private_key: key,
    });
    expect(readFileSync(configPath(), 'utf8')).not.toContain('PRIVATE KEY');
    expect(readdirSync(home.path).sort()).toEqual(['.sallyport.yaml', 'ada.pem', 'ada.pub']);
    expect(await main(['whoami', '-o', 'json'])).toBe(0);
    expect(JSON.parse(printed.stdout())).toEqual({ external_id: 'ada', namespace: 'root.team', labels: { team: 'a' }, permissions: [] });
  });

  test('whoami as a table and as YAML', async () => {
    const { url } = await controlServer(publicPem, 'api');
    expect(await main(['whoami', '--service', 'api', '--server', url, ...identity()])).toBe(0);
    expect(printed.stdout()).toContain('external_id  ada\n');
    expect(await main(['whoami', '--service', 'api', '--server', url, ...identity(), '-o', 'yaml'])).toBe(0);
    expect(printed.stdout()).toContain('external_id: ada\n');
  });

  test('nothing is written when the server does not know the key: 4', async () => {
    const { url } = await controlServer(newKey().publicPem);
    expect(await main(['login', '--server', url, ...identity()])).toBe(4);
    expect(existsSync(configPath())).toBe(false);
    expect(printed.stderr()).toMatch(/code: token_invalid\n {2}request: req_1\n/);
  });

  test('unless nobody is to be asked', async () => {
    expect(await main(['login', '--no-verify', '--server', 'http://127.0.0.1:1', ...identity()])).toBe(0);
    expect(existsSync(configPath())).toBe(true);
    expect(await main(['whoami'])).toBe(3);
    expect(printed.stderr()).toContain('code: server_unreachable');
  });

  test('what else stands in the file stays, and older spellings make room', async () => {
    writeFileSync(
      configPath(),
      '# mine\nadmin_username: bob\nadminPrivateKeyPath: /old\nserver:\n  marketplace: https://market.example.com # kept\nsigningProxy: { port: 7777 }\n',
    );
    chmodSync(configPath(), 0o600);
    expect(await main(['login', '--no-verify', '--server', 'https://admin.example.com', ...identity()])).toBe(0);
    const text = readFileSync(configPath(), 'utf8');
    expect(parse(text)).toEqual({
      server: { marketplace: 'https://market.example.com', admin_api: 'https://admin.example.com' },
      signingProxy: { port: 7777 },
      actor: 'ada',
      namespace: 'root.team',
      private_key: key,
    });
    expect(text).toContain('# mine');
    expect(text).toContain('# kept');
  });

  test('a file that is named is made', async () => {
    const file = join(home.path, 'deep', 'other.yaml');
    setVariables({ SALLYPORT_CLIENT_CONFIG: file });
    expect(await main(['login', '--no-verify', '--server', 'https://admin.example.com', ...identity()])).toBe(0);
    expect(existsSync(file)).toBe(true);
    expect(existsSync(configPath())).toBe(false);
  });

  test('where nobody can be asked, what is missing is said: 2', async () => {
    expect(await main(['login', '--server', 'https://admin.example.com'])).toBe(2);
    expect(printed.stderr()).toContain('code: client_config_incomplete');
  });

  test('a configuration that is wrong is shown with its place: 2', async () => {
    writeFileSync(configPath(), 'actr: ada\n', { mode: 0o600 });
    expect(await main(['whoami'])).toBe(2);
    expect(printed.stderr()).toContain(`${configPath()}:1:1  unknown key "actr", did you mean "actor"?`);
  });

  test('a key that cannot be used: 4', async () => {
    expect(await main(['whoami', '--actor', 'ada', '--private-key', publicKey])).toBe(4);
    expect(printed.stderr()).toContain('is a public key');
  });

  test('a server that is something else: 1', async () => {
    const { url } = await testServer((_, response) => response.end('hello'));
    expect(await main(['whoami', '--server', url, ...identity()])).toBe(1);
    expect(printed.stderr()).toContain('code: server_answer_invalid');
  });
});

describe('tokens', () => {
  const signed = async (...args: string[]): Promise<string> => {
    const before = printed.stdout().length;
    expect(await main(['sign-jwt', ...args, ...identity()])).toBe(0);
    return printed.stdout().slice(before).trim();
  };

  test('sign-jwt prints a token that verify-jwt takes', async () => {
    const token = await signed('--service', 'api', 'public', '--expires-in', '15m');
    const { exp = 0, iat = 0, aud } = decodeJwt(token);
    expect(exp - iat).toBe(900);
    expect(aud).toEqual(['api', 'public']);
    expect(await main(['verify-jwt', token, '--public-key', publicKey, '-o', 'json'])).toBe(0);
    expect(printed.stdout()).toContain('"signer": "actor"');
    expect(await main(['verify-jwt', token, '--public-key', publicKey, '--service', 'admin-api'])).toBe(4);
    expect(printed.stderr()).toContain('token_audience_wrong');
  });

  test('verify-jwt refuses what another key has signed, what is changed, and what is none', async () => {
    const other = home.file('other.pub', newKey().publicPem);
    const token = await signed();
    expect(await main(['verify-jwt', token, '--public-key', other])).toBe(4);
    expect(
      await main(['verify-jwt', token.replace(/\..*\./, `.${Buffer.from('{"sub":"eve"}').toString('base64url')}.`), '--public-key', publicKey]),
    ).toBe(4);
    expect(await main(['verify-jwt', 'hello', '--public-key', publicKey])).toBe(4);
    expect(await main(['verify-jwt', token, '--public-key', join(home.path, 'nowhere')])).toBe(1);
  });

  test('limits of a file are in the token, and wrong ones are found before', async () => {
    const file = home.file('p.yaml', '- { namespace: root.team.**, resources: [actors], verbs: [list] }\n');
    expect(decodeJwt(await signed('--permissions-file', file)).permissions).toMatchObject([{ namespace: 'root.team.**', verbs: ['list'] }]);
    expect(await main(['sign-jwt', '--permissions-file', home.file('q.yaml', '- { verbs: [] }\n'), ...identity()])).toBe(1);
    expect(printed.stderr()).toContain('permission_invalid');
    expect(await main(['sign-jwt', '--permissions-file', join(home.path, 'nowhere'), ...identity()])).toBe(1);
  });

  test('a life that servers do not accept is said beside the token', async () => {
    const token = await signed('--expires-in', '90d', '--single-use');
    expect(decodeJwt(token)).toHaveProperty('nonce');
    expect(printed.stderr()).toContain('longer than an hour');
    expect(await main(['verify-jwt', token, '--public-key', publicKey])).toBe(4);
  });

  test.each(['0s', '5', '400d', 'soon'])('%s is no life of a token', async (text) => {
    expect(await main(['sign-jwt', '--expires-in', text, ...identity()])).toBe(1);
  });

  test('the address of the marketplace signs in once', async () => {
    writeFileSync(configPath(), 'server: { marketplace: https://market.example.com/shop }\n', { mode: 0o600 });
    expect(await main(['sign-marketplace-login-url', ...identity()])).toBe(0);
    const url = new URL(printed.stdout().trim());
    expect(url.pathname).toBe('/shop');
    expect(decodeJwt(url.searchParams.get('auth_token') ?? '')).toMatchObject({ aud: ['public'], nonce: expect.stringMatching(/^non_/) as string });
  });

  test('without a marketplace there is no address', async () => {
    expect(await main(['sign-marketplace-login-url', ...identity()])).toBe(2);
  });
});

describe('the local servers', () => {
  const fetched = (url: string): Promise<{ status: number; body: string; location: string | undefined }> =>
    new Promise((resolve, reject) => {
      get(url, { agent: false }, (response) => {
        buffer(response).then(
          (body) => resolve({ status: response.statusCode ?? 0, body: body.toString(), location: response.headers.location }),
          reject,
        );
      }).once('error', reject);
    });

  /** Runs until the address that it says has been used. */
  async function whileRunning(args: string[], use: (url: string) => Promise<void>): Promise<number> {
    const code = main([...args, '--port', '0', ...identity()]);
    const [, url = ''] = await printed.said(/^(http:\S+) signs as ada/m);
    await use(url);
    process.emit('SIGTERM');
    return code;
  }

  test.each([
    ['proxy', '--to', 'admin-api'],
    ['raw-proxy', '--proxyTo=admin-api'],
  ])('%s %s signs what passes', async (...args) => {
    const { url } = await controlServer(publicPem);
    const code = await whileRunning([...args, '--server', url], async (proxy) => {
      expect(JSON.parse((await fetched(`${proxy}/me`)).body)).toMatchObject({ actor: { external_id: 'ada' } });
    });
    expect(code).toBe(0);
  });

  test('login-redirect signs in to the applications of the configuration', async () => {
    writeFileSync(configPath(), 'server: { admin_ui: http://localhost:5174 }\n', { mode: 0o600 });
    const code = await whileRunning(['login-redirect'], async (server) => {
      expect((await fetched(`${server}/login-redirect?return_to_url=http://localhost:5174/`)).location).toMatch(/auth_token=ey/);
    });
    expect(code).toBe(0);
  });

  test('beyond loopback it says who can act as whom', async () => {
    const code = await whileRunning(['proxy', '--ip', '0.0.0.0', '--server', 'http://127.0.0.1:1'], async () => {});
    expect(code).toBe(0);
    expect(printed.stderr()).toContain('warning: whoever reaches http://0.0.0.0');
  });

  test.each([
    [['proxy', '--ip', 'example.com'], 'bind_failed', 6],
    [['proxy', '--cert', 'only.pem'], 'bind_failed', 6],
    [['proxy', '--enable-login-redirect'], 'client_config_incomplete', 2],
    [['login-redirect'], 'client_config_incomplete', 2],
    [['proxy', '--server', 'http://api.example.com'], 'client_config_invalid', 2],
  ])('%j does not start', async (args, code, exit) => {
    expect(await main([...args, ...identity()])).toBe(exit);
    expect(printed.stderr()).toContain(`code: ${code}`);
  });
});
