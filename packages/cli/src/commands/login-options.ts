import { withClientOptions } from '../control/client-options.js';
import type { DocumentedCommand } from '../documented-command.js';
import type { LoginOptions } from './login.js';

/** Adds `sallyport login` with its options and help. `done` takes the exit code. */
export function addLogin(program: DocumentedCommand, done: (code: number) => void): void {
  withClientOptions(
    program
      .command('login')
      .summary('set up who you are for the control plane')
      .description(
        'Writes ~/.sallyport.yaml: the server, the actor and the path of its key, which is never sent or copied. Asks on a terminal for what is not ' +
          'given, and tries it: nothing is written unless the server knows the actor and its key.',
      ),
  )
    .option('--api <url>', 'the address of the API for host applications, to be written too')
    .option('--public <url>', 'the address of the public service, to be written too')
    .option('--no-verify', 'write it without asking the server')
    .withExamples('sallyport login', 'sallyport login --server https://admin.sallyport.example.com --actor ada --private-key ~/.ssh/id_ed25519')
    .action(async (options: LoginOptions) => {
      const { login } = await import('./login.js');
      done(await login(options));
    });
}
