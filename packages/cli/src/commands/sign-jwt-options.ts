import { Option } from 'commander';
import { formatOption, withIdentityOptions } from '../control/client-options.js';
import { lifetimeOption } from '../control/lifetime-option.js';
import { services } from '../control/services.js';
import type { DocumentedCommand } from '../documented-command.js';
import type { SignJwtOptions, VerifyJwtOptions } from './sign-jwt.js';

/** Adds `sign-jwt`, `verify-jwt` and `sign-marketplace-login-url` with their options and help. `done` takes the exit code. */
export function addSignJwt(program: DocumentedCommand, done: (code: number) => void): void {
  withIdentityOptions(
    program
      .command('sign-jwt')
      .summary('print a token that is signed as your actor')
      .description(
        'Prints a token for programs that call the control plane themselves. Whoever has it acts as your actor until it ends, within the ' +
          'permissions it is limited to.',
      ),
  )
    .addOption(new Option('--expires-in <time>', 'how long it is good').argParser(lifetimeOption).default(3600, '1h'))
    .addOption(new Option('--service <names...>', 'the services it is for').choices(services).default(services, 'all'))
    .option('--permissions-file <file>', 'a list of permissions, in JSON or YAML, that it is limited to')
    .option('--single-use', 'it can be used only once')
    .withExamples(
      'curl -H "Authorization: Bearer $(sallyport sign-jwt --service api)" https://api.sallyport.example.com/me',
      'sallyport sign-jwt --expires-in 15m --permissions-file read-only.yaml',
    )
    .action(async (options: SignJwtOptions) => {
      const { signJwt } = await import('./sign-jwt.js');
      done(await signJwt(options));
    });
  program
    .command('verify-jwt')
    .summary('say whether a token holds, and what it says')
    .description('Verifies a token as the server would, with the public key of its actor. The exit code is 4 when it does not hold.')
    .argument('<token>', 'the token, or - to read it from standard input')
    .requiredOption('--public-key <file>', 'the public key: an OpenSSH line, PEM or JWK')
    .addOption(new Option('--service <name>', 'the service it has to be for; any when left out').choices(services))
    .addOption(formatOption())
    .withExamples('sallyport sign-jwt | sallyport verify-jwt - --public-key ~/.ssh/id_ed25519.pub')
    .action(async (token: string, options: VerifyJwtOptions) => {
      const { verifyJwt } = await import('./sign-jwt.js');
      done(await verifyJwt(token, options));
    });
  withIdentityOptions(
    program
      .command('sign-marketplace-login-url')
      .summary('print an address that signs your actor in to the marketplace')
      .description('Prints the address of the marketplace with a token that is good for one login within an hour.'),
  )
    .withExamples('sallyport sign-marketplace-login-url')
    .action(async (options: SignJwtOptions) => {
      const { signMarketplaceLoginUrl } = await import('./sign-jwt.js');
      done(await signMarketplaceLoginUrl(options));
    });
}
