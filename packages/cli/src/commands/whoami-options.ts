import { Option } from 'commander';
import { formatOption, withClientOptions } from '../control/client-options.js';
import { services } from '../control/services.js';
import type { DocumentedCommand } from '../documented-command.js';
import type { WhoamiOptions } from './whoami.js';

/** Adds `sallyport whoami` with its options and help. `done` takes the exit code. */
export function addWhoami(program: DocumentedCommand, done: (code: number) => void): void {
  withClientOptions(
    program
      .command('whoami')
      .summary('say as whom the server sees you')
      .description('Asks the server who signed the request. The exit code is 0 when it knows the actor and its key.'),
  )
    .addOption(new Option('--service <name>', 'the service to ask').choices(services).default('admin-api'))
    .addOption(formatOption())
    .withExamples('sallyport whoami', 'sallyport whoami --service api -o json', 'sallyport whoami --actor ada --private-key ~/.ssh/id_ed25519')
    .action(async (options: WhoamiOptions) => {
      const { whoami } = await import('./whoami.js');
      done(await whoami(options));
    });
}
