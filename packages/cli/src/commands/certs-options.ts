import type { CertificateSigner } from '@sallyport/sdk';
import { Option } from 'commander';
import type { DocumentedCommand } from '../documented-command.js';
import type { DevelopmentCommandOptions, SignCommandOptions } from './certs.js';

/** Loads the plugin of a configuration (the usual one when none is named); null when it has no plugin, or one that does not sign. */
type SignerLoader = (config: string | undefined) => Promise<CertificateSigner | null>;

/** Adds `sallyport certs` with its options and help. `done` takes the exit code. */
export function addCerts(program: DocumentedCommand, done: (code: number) => void, loadSigner: SignerLoader): void {
  const certs = program
    .command('certs')
    .summary('make and sign the certificates of listeners')
    .description('Makes certificates for trying out mutual TLS, and has certificate requests signed by the plugin.');
  addDevelopment(certs, done);
  addSign(certs, done, loadSigner);
}

function addDevelopment(certs: DocumentedCommand, done: (code: number) => void): void {
  certs
    .command('dev')
    .summary('make certificates for trying out mutual TLS')
    .description(
      'Makes an authority, a server and a client that trust each other (ca.crt, server.crt, server.key, client.crt, client.key), good for a year ' +
        'on this machine and for nothing else, and prints the lines to try them out. The key of the authority is not kept.',
    )
    .option('--out <dir>', 'where the files go; made when it is missing', 'certs')
    .option('--domains <names>', 'names of the server beyond localhost, 127.0.0.1 and ::1, separated by commas')
    .option('--keep-ca-key', 'also write the key of the authority (ca.key), which can sign further certificates')
    .option('--force', 'replace files that are there')
    .withExamples('sallyport certs dev', 'sallyport certs dev --out /tmp/certs --domains sallyport.test')
    .action(async (options: DevelopmentCommandOptions) => {
      const { developmentCommand } = await import('./certs.js');
      done(await developmentCommand(options));
    });
}

function addSign(certs: DocumentedCommand, done: (code: number) => void, loadSigner: SignerLoader): void {
  certs
    .command('sign')
    .summary('have a certificate request signed by the plugin')
    .description(
      'Hands a certificate request to `signCsr` of the configured plugin, and prints the certificate with its chain once it has been found to be ' +
        'what was asked for: for the same key, for the same names, valid now.',
    )
    .requiredOption('--csr <file>', 'the request in PEM form, as `sallyport enroll` writes it')
    .addOption(new Option('-c, --config <file>', 'the configuration; otherwise SALLYPORT_CONFIG, ./sallyport.yaml or ~/.sallyport/sallyport.yaml'))
    .option('--out <file>', 'write the certificate to a file instead of standard output')
    .option('--force', 'replace the file if it is there')
    .withExamples('sallyport certs sign --csr certs/server.csr --out certs/server.crt')
    .action(async (options: SignCommandOptions) => {
      const { signCommand } = await import('./certs.js');
      done(await signCommand(options, await loadSigner(options.config)));
    });
}
