import type { DocumentedCommand } from '../documented-command.js';
import type { EnrollCommandOptions } from './enroll.js';

/** Adds `sallyport enroll` with its options and help. `done` takes the exit code. */
export function addEnroll(program: DocumentedCommand, done: (code: number) => void): void {
  program
    .command('enroll')
    .summary('make a key and a request for the certificate of a listener')
    .description(
      'Makes a new P-256 key (server.key) and a certificate request for it (server.csr), which an authority signs. The key stays where it is. ' +
        'Nothing that is there is overwritten unless --force says so.',
    )
    .requiredOption('--domains <names>', 'the DNS names and IP addresses that clients call, separated by commas; no wildcards')
    .option('--cn <name>', 'the common name of the certificate', 'sallyport')
    .option('--out <dir>', 'where the two files go; made when it is missing', 'certs')
    .option('--force', 'replace a key and a request that are there')
    .withExamples(
      'sallyport enroll --domains proxy.example.com,10.1.2.3',
      'sallyport enroll --domains proxy.example.com --out /etc/sallyport --force',
    )
    .action(async (options: EnrollCommandOptions) => {
      const { enrollCommand } = await import('./enroll.js');
      done(await enrollCommand(options));
    });
}
