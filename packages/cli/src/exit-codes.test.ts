import { chmodSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { controlSocketPath, parseConfig } from '@sallyport/gateway';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { cleanUp, configFor, workplace } from './command-line.test.support.js';
import { minimalConfig } from './config-file.js';

afterEach(cleanUp);

const minimal = (listeners: object): string =>
  JSON.stringify({ gateway: { listeners, authority: { dir: './ca' }, callers: { all: { loopback: true } } } });

describe('1: the command line', () => {
  test.each([
    [['serv'], 'Did you mean serve?'],
    [['serve', '--confg'], 'Did you mean --config?'],
    [['ca', 'regenerate'], '--confirm'],
    [['config', 'check', '-o', 'xml'], 'Allowed choices are text, json'],
    [['run'], 'missing required argument'],
    [['doctor', 'netscape'], 'netscape'],
  ])('%j', async (args, said) => {
    const { code, stdout, stderr } = await workplace().run(args);
    expect(stderr).toContain(said);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stdout).toBe('');
    expect(code).toBe(1);
  });

  test('a help that was asked for is no error', async () => {
    const { code, stdout } = await workplace().run(['run', '--help']);
    expect(stdout).toContain('Examples:');
    expect(code).toBe(0);
  });
});

describe('2: the configuration', () => {
  test.each([['serve'], ['config', 'check'], ['run', '--', 'true']])('there is none, for %s', async (...args) => {
    const { code, stderr } = await workplace().run(args);
    expect(stderr).toContain('code: config_not_found');
    expect(stderr).toContain('forward: { port: 9080 }');
    expect(code).toBe(2);
  });

  test('the one that was named is not there', async () => {
    const { code, stderr } = await workplace().run(['serve', '--config', 'nowhere.yaml']);
    expect(stderr).toContain('nowhere.yaml cannot be read (ENOENT)');
    expect(code).toBe(2);
  });

  test('it is not valid: every place, with a caret', async () => {
    const place = workplace();
    place.file('sallyport.yaml', 'gateway:\n  listners: {}\n  policy: { mode: strikt }\n');
    const { code, stderr } = await place.run(['serve']);
    expect(stderr).toMatch(/sallyport\.yaml:2:3 {2}gateway\.listners {2}unknown key, did you mean "listeners"\?\n.*\n +\^/);
    expect(stderr).toContain('sallyport.yaml:3:19  gateway.policy.mode');
    expect(code).toBe(2);
  });

  test('a rule on the command line is not one', async () => {
    const { code, stderr } = await workplace().run(['run', '--allow', 'http://', '--', 'true']);
    expect(stderr).toContain('code: config_invalid');
    expect(code).toBe(2);
  });

  test('the environment and the usual places are looked at in their order', async () => {
    const place = workplace();
    mkdirSync(join(place.home, '.sallyport'), { recursive: true });
    place.file('home/.sallyport/sallyport.yaml', 'home: 1');
    expect((await place.run(['config', 'check'])).stderr).toContain('.sallyport/sallyport.yaml:1:1');
    place.file('sallyport.yaml', 'here: 1');
    expect((await place.run(['config', 'check'])).stderr).toContain('sallyport.yaml:1:1  here');
    place.file('other.yaml', 'other: 1');
    expect((await place.run(['config', 'check'], { SALLYPORT_CONFIG: 'other.yaml' })).stderr).toContain('other.yaml:1:1');
    expect((await place.run(['config', 'check', '-c', 'sallyport.yaml'], { SALLYPORT_CONFIG: 'other.yaml' })).stderr).toContain('sallyport.yaml:1:1');
  });
});

describe('3: the gateway to join', () => {
  test('has no door for a run', async () => {
    const place = workplace();
    const config = place.file('sallyport.yaml', minimal({ sidecar: { port: 0 } }));
    await place.serve(config);
    const { code, stderr } = await place.run(['run', '--', 'true']);
    expect(stderr).toContain('no forward listener');
    expect(code).toBe(3);
  });

  test('does not answer as a gateway does', async () => {
    const place = workplace();
    const config = place.file('sallyport.yaml', minimal({ forward: { port: 0 } }));
    const directory = join(place.home, '.sallyport', 'run');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const impostor = createServer((_, response) => response.end('hello'));
    await new Promise<void>((resolve) => {
      impostor.listen(controlSocketPath(directory, config), resolve);
    });
    onTestFinished(() => void impostor.close());
    const { code, stderr } = await place.run(['run', '--', 'true']);
    expect(stderr).toContain('code: not_ready');
    expect(code).toBe(3);
  });
});

describe('4: a credential', () => {
  test('that a run asks for is not there', async () => {
    const place = workplace();
    place.file('sallyport.yaml', configFor(1));
    const { code, stderr } = await place.run(['run', '--credentials', 'demo,nope', '--', 'true']);
    expect(stderr).toContain('no credential named "nope"');
    expect(stderr).toContain('These are there: demo.');
    expect(code).toBe(4);
  });

  test('cannot be had', async () => {
    const place = workplace();
    place.file('sallyport.yaml', configFor(1));
    const without = await place.run(['config', 'check', '--sources']);
    expect(without.stdout).toMatch(/demo +env DEMO_TOKEN +failed/);
    expect(without.code).toBe(4);
    const having = await place.run(['config', 'check', '--sources', '-o', 'json'], { DEMO_TOKEN: 'open-sesame' });
    expect(JSON.parse(having.stdout)).toMatchObject({ valid: true, sources: [{ credential: 'demo', ok: true }] });
    expect(having.stdout).not.toContain('sesame');
    expect(having.code).toBe(0);
  });
});

describe('5: the authority', () => {
  test('lacks one half', async () => {
    const place = workplace();
    place.file('sallyport.yaml', minimal({ forward: { port: 0 } }));
    mkdirSync(join(place.directory, 'ca'), { mode: 0o700 });
    place.file('ca/ca.crt', 'half');
    const { code, stderr } = await place.run(['serve']);
    expect(stderr).toContain('code: authority_invalid');
    expect(code).toBe(5);
  });

  test('can be used by others', async () => {
    const place = workplace();
    place.file('sallyport.yaml', minimal({ forward: { port: 0 } }));
    expect((await place.run(['ca', 'regenerate', '--confirm'])).code).toBe(0);
    chmodSync(join(place.directory, 'ca/ca.key'), 0o640);
    const { code, stderr } = await place.run(['serve']);
    expect(stderr).toContain('chmod 600');
    expect(code).toBe(5);
  });
});

test('6: a port that is taken', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => {
    taken.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => void taken.close());
  const place = workplace();
  place.file('sallyport.yaml', minimal({ forward: { port: (taken.address() as AddressInfo).port } }));
  const { code, stderr } = await place.run(['serve']);
  expect(stderr).toContain('code: address_in_use');
  expect(code).toBe(6);
});

test('the configuration that is shown to who has none is a valid one', () => {
  expect(parseConfig(minimalConfig, { path: '/nowhere/sallyport.yaml' }).gateway.callers).toHaveProperty('local');
});

test('an error tells where it comes from only when asked', async () => {
  const place = workplace();
  const { stderr } = await place.run(['serve', '--config', 'nowhere.yaml'], { SALLYPORT_DEBUG: '1' });
  expect(stderr).toMatch(/^\s+at /m);
});

test('versions are printed for people and for programs', async () => {
  const place = workplace();
  expect((await place.run(['--version'])).stdout).toMatch(/^[0-9]+\.[0-9]+\.[0-9]+\n$/);
  expect((await place.run(['version'])).stdout).toContain(`Node.js ${process.versions.node}`);
  expect(JSON.parse((await place.run(['version', '-o', 'json'])).stdout)).toMatchObject({ node: process.versions.node });
});
