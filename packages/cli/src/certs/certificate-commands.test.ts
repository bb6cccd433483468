import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asSallyportError, type CertificateSigner } from '@sallyport/sdk';
import { CommanderError } from 'commander';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { addCerts } from '../commands/certs-options.js';
import { addEnroll } from '../commands/enroll-options.js';
import { DocumentedCommand } from '../documented-command.js';
import { shellWord } from './shell-word.js';

const withoutOpenssl = spawnSync('openssl', ['version']).status !== 0;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-certs-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line, with a signer for the configuration `with-signer.yaml`; the code of the error when it throws one. */
async function run(args: readonly string[], signer: CertificateSigner | null = null): Promise<Ended> {
  let [stdout, stderr] = ['', ''];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
  let code: number | string = 'nothing was called';
  const program = new DocumentedCommand('sallyport').exitOverride();
  addEnroll(program, (it) => {
    code = it;
  });
  addCerts(
    program,
    (it) => {
      code = it;
    },
    (config) => Promise.resolve(config === 'with-signer.yaml' ? signer : null),
  );
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    code = error instanceof CommanderError ? error.code : asSallyportError(error).code;
    stderr += asSallyportError(error).message;
  } finally {
    vi.restoreAllMocks();
  }
  return { code, stdout, stderr };
}

const at = (name: string): string => join(directory, name);
const read = (name: string): string => readFileSync(at(name), 'utf8');

describe('enroll', () => {
  test('prints where the files are, and what to do next', async () => {
    const { code, stdout, stderr } = await run(['enroll', '--domains', 'proxy.example.com, 10.1.2.3', '--out', directory]);
    expect(code).toBe(0);
    expect(stdout).toBe(`${at('server.key')}\n${at('server.csr')}\n`);
    expect(stderr).toContain('dns:proxy.example.com, ip:10.1.2.3');
    expect(stderr).toContain(`sallyport certs sign --csr ${at('server.csr')}`);
    expect(stderr).not.toContain('earlier key');
    expect(stdout + stderr).not.toContain('PRIVATE');
  });

  test.skipIf(withoutOpenssl)('makes the request for the common name that was given', async () => {
    await run(['enroll', '--domains', 'proxy.example.com', '--out', directory, '--cn', 'chaperone']);
    expect(execFileSync('openssl', ['req', '-in', at('server.csr'), '-noout', '-subject'], { encoding: 'utf8' })).toMatch(/CN ?= ?chaperone/);
  });

  test('replaces nothing unless that is meant, and says what does not fit then', async () => {
    const args = ['enroll', '--domains', 'a.example', '--out', directory];
    await run(args);
    const before = read('server.key');
    expect(await run(args)).toMatchObject({ code: 'certificate_files_exist', stdout: '' });
    expect(read('server.key')).toBe(before);
    writeFileSync(at('server.crt'), 'a certificate');
    expect((await run([...args, '--force'])).stderr).toContain(`${at('server.crt')} is for an earlier key`);
    expect(read('server.key')).not.toBe(before);
  });

  test.each([
    [['enroll'], 'commander.missingMandatoryOptionValue'],
    [['enroll', '--domains', '*.example.com'], 'certificate_name_invalid'],
    [['enroll', '--domains', ' , '], 'certificate_name_invalid'],
    [['enroll', '--domains', 'a.example', '--cn', ''], 'certificate_name_invalid'],
  ])('%j', async (args, code) => {
    expect((await run([...args, ...(args.length > 1 ? ['--out', at('never')] : [])])).code).toBe(code);
    expect(existsSync(at('never'))).toBe(false);
  });
});

describe('certs dev', () => {
  test('prints what to configure and how to call it', async () => {
    const out = at('with space');
    const { code, stdout } = await run(['certs', 'dev', '--out', out, '--domains', 'sallyport.test']);
    expect(code).toBe(0);
    expect(stdout).toContain('dns:localhost, ip:127.0.0.1, ip:::1, dns:sallyport.test');
    expect(stdout).toContain(`client_ca: ${JSON.stringify(join(out, 'ca.crt'))}`);
    expect(stdout).toContain(
      `curl --cacert '${join(out, 'ca.crt')}' --cert '${join(out, 'client.crt')}' --key '${join(out, 'client.key')}' https://localhost:8443/`,
    );
    expect(existsSync(join(out, 'ca.key'))).toBe(false);
  });

  test('keeps the key of the authority, and replaces, only when told to', async () => {
    const args = ['certs', 'dev', '--out', directory];
    expect((await run([...args, '--keep-ca-key'])).code).toBe(0);
    expect(existsSync(at('ca.key'))).toBe(true);
    expect((await run(args)).code).toBe('certificate_files_exist');
    expect((await run([...args, '--force'])).code).toBe(0);
    expect(existsSync(at('ca.key'))).toBe(false);
  });
});

describe('certs sign', () => {
  const signed = async (signer: CertificateSigner | null, ...more: string[]): Promise<Ended> =>
    run(['certs', 'sign', '--csr', at('server.csr'), '--config', 'with-signer.yaml', ...more], signer);

  test.skipIf(withoutOpenssl)('hands on what the plugin signed', async () => {
    await run(['certs', 'dev', '--out', directory, '--keep-ca-key']);
    await run(['enroll', '--domains', 'proxy.example.com', '--out', directory, '--force']);
    const openssl: CertificateSigner = {
      signCsr: (csr) =>
        execFileSync('openssl', ['x509', '-req', '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-days', '3', '-copy_extensions', 'copy'], {
          input: csr,
          stdio: ['pipe', 'pipe', 'ignore'],
        }).toString(),
    };
    const { code, stdout, stderr } = await signed(openssl);
    expect(code).toBe(0);
    const certificate = new X509Certificate(stdout);
    expect(certificate.checkHost('proxy.example.com')).toBe('proxy.example.com');
    expect(stderr).toContain(certificate.validTo);
    expect(await signed(openssl, '--out', at('server.crt'))).toMatchObject({ code: 'certificate_files_exist', stdout: '' });
    expect(await signed(openssl, '--out', at('server.crt'), '--force')).toMatchObject({ code: 0, stdout: '' });
    expect(new X509Certificate(read('server.crt')).checkIssued(new X509Certificate(read('ca.crt')))).toBe(true);
  });

  test('writes nothing that is not what was asked for', async () => {
    await run(['certs', 'dev', '--out', at('dev')]);
    await run(['enroll', '--domains', 'proxy.example.com', '--out', directory]);
    const wrong: CertificateSigner = { signCsr: () => read('dev/server.crt') };
    expect(await signed(wrong, '--out', at('server.crt'))).toMatchObject({ code: 'plugin_result_invalid', stdout: '' });
    expect(existsSync(at('server.crt'))).toBe(false);
  });

  test('says what is missing', async () => {
    expect((await signed(null)).code).toBe('certificate_files_failed');
    await run(['enroll', '--domains', 'proxy.example.com', '--out', directory]);
    expect((await signed(null)).code).toBe('signing_not_configured');
    writeFileSync(at('server.csr'), 'hello');
    expect((await signed({ signCsr: () => '' })).code).toBe('certificate_request_invalid');
    expect((await run(['certs', 'sign'])).code).toBe('commander.missingMandatoryOptionValue');
  });
});

test.each([
  ['certs/ca.crt', 'certs/ca.crt'],
  ['a b', "'a b'"],
  ["it's", "'it'\\''s'"],
  ['$(x)', "'$(x)'"],
  ['', "''"],
])('%j is the word %s', (text, word) => {
  expect(shellWord(text)).toBe(word);
  expect(execFileSync('sh', ['-c', `printf %s ${word}`]).toString()).toBe(text);
});
