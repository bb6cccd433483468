import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { type Client, clientSuite, type Suite } from './client-suite.js';
import { expectInjected, expectPlain, expectRefused, expectTunnelled } from './proofs.js';
import { proxyEnvironment, type Ran, runClient, runWell, versionOf } from './run-client.js';
import { compressible, download, type Echo, sha256 } from './upstream/site.js';
import type { World } from './world.js';

const client: Client = {
  name: 'curl',
  version: versionOf('curl', ['--version'], /^curl (\S+)/),
  source: 'the Debian package curl',
  setup: '`https_proxy`, `http_proxy` or `-x`; `CURL_CA_BUNDLE` or `--cacert`',
};

const upload = download.subarray(0, 3_000_001);

function curl(world: World, args: readonly string[], input?: Buffer): Promise<Ran> {
  const common = ['-sS', '--max-time', '60', '--proxy', world.proxyUrl, '--cacert', world.gatewayCa];
  return runWell(world, 'curl', [...common, ...args], input === undefined ? {} : { input });
}

function echoOf({ stdout }: Ran): Echo {
  return JSON.parse(stdout) as Echo;
}

function uploadFile(world: World): string {
  const file = path.join(world.directory, 'upload');
  writeFileSync(file, upload);
  return file;
}

/** The status lines that `-v` shows of what came back. */
function statusLines({ stderr }: Ran): string[] {
  return [...stderr.matchAll(/^< (HTTP\/\S+ [0-9]{3})/gm)].map(([, line]) => line);
}

/** The suite of curl. */
export function curlSuite(): Suite {
  return clientSuite(client, ({ intercepted, plain, tunnel }) => {
    intercepted('GET', async (world) => {
      const ran = await curl(world, ['-v', `${world.api}/echo/get`]);
      expect(echoOf(ran)).toMatchObject({ method: 'GET', path: '/echo/get', host: new URL(world.api).host });
      expect(ran.stderr).not.toMatch(/^> authorization:/im);
      await expectInjected(world, '/echo/get');
    });

    intercepted('for comparison, straight to the server: 401', async (world) => {
      const { host } = new URL(world.api);
      const straight = ['--resolve', `${host}:127.0.0.1`, '--cacert', world.upstreamCa];
      const { stdout } = await runWell(world, 'curl', ['-sS', '-w', '%{http_code}', ...straight, `${world.api}/echo/straight`]);
      expect(stdout).toBe('401');
      expect(world.recorded()).toEqual([]);
    });

    intercepted('the environment alone', async (world) => {
      await runWell(world, 'curl', ['-sS', `${world.api}/echo/env`], { env: proxyEnvironment(world, world.gatewayCa) });
      await expectInjected(world, '/echo/env');
    });

    intercepted('an `Authorization` of its own is replaced', async (world) => {
      await curl(world, ['-H', 'Authorization: Bearer a-guess', `${world.api}/echo/replaced`]);
      await expectInjected(world, '/echo/replaced');
    });

    intercepted('HEAD', async (world) => {
      const { stdout } = await curl(world, ['-I', `${world.api}/download/head`]);
      expect(stdout).toMatch(new RegExp(`^content-length: ${download.length}\\r$`, 'im'));
      await expectInjected(world, '/download/head');
    });

    intercepted('a range', async (world) => {
      const file = path.join(world.directory, 'range');
      const { stdout } = await curl(world, ['-r', '70000-79999', '-o', file, '-w', '%{http_code}', `${world.api}/download/range`]);
      expect(stdout).toBe('206');
      expect(readFileSync(file).equals(download.subarray(70_000, 80_000))).toBe(true);
      await expectInjected(world, '/download/range');
    });

    intercepted('a download of 24 MB', async (world) => {
      const file = path.join(world.directory, 'download');
      await curl(world, ['-o', file, `${world.api}/download/large`]);
      expect(sha256(readFileSync(file))).toBe(sha256(download));
      await expectInjected(world, '/download/large');
    });

    intercepted('a compressed answer', async (world) => {
      const { stdout } = await curl(world, ['--compressed', `${world.api}/compressed/it`]);
      expect(stdout).toBe(compressible);
      await expectInjected(world, '/compressed/it');
    });

    intercepted('upload with `-T`, which waits for 100 Continue', async (world) => {
      const ran = await curl(world, ['-v', '-T', uploadFile(world), `${world.api}/echo/put`]);
      expect(echoOf(ran)).toMatchObject({ method: 'PUT', framing: `${upload.length}`, received: upload.length, sha256: sha256(upload) });
      expect(statusLines(ran)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 100', 'HTTP/1.1 200']);
      await expectInjected(world, '/echo/put');
    });

    intercepted('upload with `-d`', async (world) => {
      const ran = await curl(world, ['-d', 'a=1&b=2', `${world.api}/echo/form`]);
      expect(echoOf(ran)).toMatchObject({ method: 'POST', framing: '7', received: 7, sha256: sha256('a=1&b=2') });
      await expectInjected(world, '/echo/form');
    });

    intercepted('upload in chunks', async (world) => {
      const ran = await curl(world, ['-T', '-', '-H', 'Transfer-Encoding: chunked', `${world.api}/echo/chunked`], upload);
      expect(echoOf(ran)).toMatchObject({ method: 'PUT', framing: 'chunked', received: upload.length, sha256: sha256(upload) });
      await expectInjected(world, '/echo/chunked');
    });

    intercepted('`Expect: 100-continue` with a small body', async (world) => {
      const ran = await curl(world, ['-v', '-H', 'Expect: 100-continue', '-d', 'small', `${world.api}/echo/expect`]);
      expect(echoOf(ran)).toMatchObject({ received: 5, sha256: sha256('small') });
      expect(statusLines(ran)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 100', 'HTTP/1.1 200']);
      await expectInjected(world, '/echo/expect');
    });

    intercepted('an upload that the server refuses before it is sent', async (world) => {
      const ran = await curl(world, ['-w', '%{http_code} %{size_upload}', '-T', uploadFile(world), `${world.api}/too-large/put`]);
      expect(ran.stdout).toBe('413 0');
      await expectInjected(world, '/too-large/put');
    });

    intercepted('`--http1.0`', async (world) => {
      const ran = await curl(world, ['--http1.0', `${world.api}/echo/old`]);
      expect(echoOf(ran).path).toBe('/echo/old');
      const [file, body] = [path.join(world.directory, 'old'), `${world.api}/compressed/old`];
      await curl(world, ['--http1.0', '--compressed', '-o', file, body]);
      expect(readFileSync(file, 'utf8')).toBe(compressible);
      await expectInjected(world, '/echo/old');
    });

    intercepted('several URLs on one connection', async (world) => {
      const urls = [1, 2, 3].map((number) => `${world.api}/echo/kept-${number}`);
      const { stdout } = await curl(world, ['-w', '%{num_connects} ', ...urls.flatMap((url) => ['-o', '/dev/null', url])]);
      expect(stdout).toBe('1 0 0 ');
      for (const number of [1, 2, 3]) await expectInjected(world, `/echo/kept-${number}`);
    });

    intercepted('the token as `Bearer` with `--proxy-header`', async (world) => {
      const proxy = ['-x', `http://127.0.0.1:${world.proxyPort}`, '--proxy-header', `Proxy-Authorization: Bearer ${world.token}`];
      await runWell(world, 'curl', ['-sS', ...proxy, '--cacert', world.gatewayCa, `${world.api}/echo/bearer`]);
      await expectInjected(world, '/echo/bearer');
    });

    intercepted('the token only after a 407, with `--proxy-anyauth`', async (world) => {
      const { stdout } = await curl(world, ['--proxy-anyauth', `${world.api}/echo/challenged`]);
      expect(JSON.parse(stdout)).toMatchObject({ path: '/echo/challenged' });
      await expectInjected(world, '/echo/challenged');
      expect(world.recorded()[0]).toMatchObject({ error: 'caller_required', status: 407 });
    });

    intercepted('a host that policy refuses', async (world) => {
      const args = ['-sS', '-x', world.proxyUrl, '-w', '%{http_connect}', `${world.refused}/echo/refused`];
      const { code, stdout } = await runClient(world, 'curl', args);
      expect({ code, stdout }).toEqual({ code: 56, stdout: '403' });
      await expectRefused(world, 'policy_denied');
    });

    plain('GET', async (world) => {
      expect(echoOf(await curl(world, [`${world.plain}/echo/plain`]))).toMatchObject({ path: '/echo/plain', host: new URL(world.plain).host });
      await expectPlain(world, '/echo/plain');
    });

    plain('HEAD, a range and a compressed answer', async (world) => {
      const { stdout } = await curl(world, ['-I', `${world.plain}/download/plain-head`]);
      expect(stdout).toMatch(new RegExp(`^content-length: ${download.length}\\r$`, 'im'));
      expect((await curl(world, ['-r', '0-9', '-o', '/dev/null', '-w', '%{http_code}', `${world.plain}/download/plain-range`])).stdout).toBe('206');
      expect((await curl(world, ['--compressed', `${world.plain}/compressed/plain`])).stdout).toBe(compressible);
      await expectPlain(world, '/compressed/plain');
    });

    plain('uploads: `-T`, `-d`, in chunks', async (world) => {
      const whole = { received: upload.length, sha256: sha256(upload) };
      expect(echoOf(await curl(world, ['-T', uploadFile(world), `${world.plain}/echo/plain-put`]))).toMatchObject(whole);
      expect(echoOf(await curl(world, ['-d', 'a=1', `${world.plain}/echo/plain-form`]))).toMatchObject({ received: 3, sha256: sha256('a=1') });
      const chunked = await curl(world, ['-T', '-', '-H', 'Transfer-Encoding: chunked', `${world.plain}/echo/plain-chunked`], upload);
      expect(echoOf(chunked)).toMatchObject({ ...whole, framing: 'chunked' });
      await expectPlain(world, '/echo/plain-put');
    });

    plain('`--http1.0`', async (world) => {
      const ran = await curl(world, ['--http1.0', '-v', '--compressed', `${world.plain}/compressed/plain-old`]);
      expect(ran.stdout).toBe(compressible);
      await expectPlain(world, '/compressed/plain-old');
    });

    plain('several URLs on one connection', async (world) => {
      const urls = [1, 2, 3].map((number) => `${world.plain}/echo/plain-kept-${number}`);
      const { stdout } = await curl(world, ['-w', '%{num_connects} ', ...urls.flatMap((url) => ['-o', '/dev/null', url])]);
      expect(stdout).toBe('1 0 0 ');
      await expectPlain(world, '/echo/plain-kept-3');
    });

    plain('through CONNECT, with `-p`', async (world) => {
      expect(echoOf(await curl(world, ['-p', `${world.plain}/echo/plain-connect`])).path).toBe('/echo/plain-connect');
      await expectPlain(world, '/echo/plain-connect');
    });

    plain('a host that policy refuses', async (world) => {
      const { stdout } = await curl(world, ['-w', '%{http_code}', 'http://elsewhere.sallyport.test/']);
      expect(stdout).toMatch(/"code":\s*"policy_denied".*403$/s);
      await expectRefused(world, 'policy_denied');
    });

    tunnel('GET', async (world) => {
      expect(echoOf(await curl(world, ['--cacert', world.pinnedCa, `${world.pinned}/echo/pinned`])).path).toBe('/echo/pinned');
      await expectTunnelled(world, '/echo/pinned');
    });

    tunnel('an upload of 3 MB and a download of 24 MB', async (world) => {
      const file = path.join(world.directory, 'tunnelled');
      const ran = await curl(world, ['--cacert', world.pinnedCa, '-T', uploadFile(world), `${world.pinned}/echo/pinned-put`]);
      expect(echoOf(ran)).toMatchObject({ received: upload.length, sha256: sha256(upload) });
      await curl(world, ['--cacert', world.pinnedCa, '-o', file, `${world.pinned}/download/pinned`]);
      expect(sha256(readFileSync(file))).toBe(sha256(download));
      await expectTunnelled(world, '/echo/pinned-put');
    });
  });
}
