import { InvalidArgumentError, Option } from 'commander';
import type { DocumentedCommand } from '../documented-command.js';
import { durationOption } from '../fleet/duration-option.js';
import type { MicrosoftOptions, OAuthOptions } from './onboard.js';

/** Adds `sallyport onboard` with its options and help. `done` takes the exit code. */
export function addOnboard(program: DocumentedCommand, done: (code: number) => void): void {
  const onboard = program
    .command('onboard')
    .summary('obtain a refresh token by a person’s consent')
    .description('Has a person sign in and consent once, and hands over the refresh token that a gateway works with from then on.');
  addOAuth(onboard, done);
  addMicrosoft(onboard, done);
}

const secretNote =
  'The client secret comes from SALLYPORT_ONBOARD_CLIENT_SECRET (or CHAPERONE_ONBOARD_CLIENT_SECRET) or from a file; without one the client ' +
  'is public. Standard output gets the refresh token and nothing else, without a line break; everything else is on standard error. The exit ' +
  'code is 1 when the options are wrong, 2 when nobody consented in time, 3 when the token could not be fetched, 4 when anything else went wrong.';

function addOAuth(onboard: DocumentedCommand, done: (code: number) => void): void {
  const command = onboard
    .command('oauth')
    .summary('from any OAuth 2.0 or OpenID Connect server')
    .description(`Obtains a refresh token by authorization code with PKCE, or by device code. ${secretNote}`)
    .option('--issuer <url>', 'the issuer, whose discovery document names the endpoints')
    .option('--authorize-url <url>', 'the authorization endpoint, where there is no issuer')
    .option('--token-url <url>', 'the token endpoint, where there is no issuer')
    .option('--device-url <url>', 'the device authorization endpoint, where there is no issuer')
    .option('--scope <scopes>', 'what is asked for, separated by spaces; often offline_access has to be among it')
    .option('--device', 'show a code to be typed in on another device (RFC 8628)')
    .option('--no-pkce', 'do not use PKCE, for servers that reject it');
  withCommonOptions(command)
    .withExamples(
      'sallyport onboard oauth --issuer https://login.example.com --client-id abc --scope "openid offline_access" > token',
      'sallyport onboard oauth --issuer https://login.example.com --client-id abc --device --store file:/var/lib/sallyport/token',
      'sallyport onboard oauth --authorize-url https://example.com/authorize --token-url https://example.com/token --client-id abc --paste',
    )
    .action(async (options: OAuthOptions) => {
      const { onboardOAuth } = await import('./onboard.js');
      done(await onboardOAuth(options));
    });
}

function addMicrosoft(onboard: DocumentedCommand, done: (code: number) => void): void {
  const command = onboard
    .command('microsoft')
    .summary('from Microsoft, for the Secure Application Model')
    .description(
      `Obtains a refresh token of a tenant that is good for many resources, from the first version of Microsoft’s endpoints. ${secretNote}`,
    )
    .requiredOption('--tenant <tenant>', 'the tenant: its id or a domain')
    .option('--endpoint <url>', 'the login server, for sovereign clouds', 'https://login.microsoftonline.com');
  withCommonOptions(command)
    .withExamples(
      'sallyport onboard microsoft --tenant contoso.onmicrosoft.com --client-id abc --resource https://api.partnercenter.microsoft.com > token',
      'sallyport onboard microsoft --tenant contoso.onmicrosoft.com --client-id abc --store dir:/var/lib/sallyport/tokens',
      'sallyport onboard microsoft --tenant contoso.onmicrosoft.com --client-id abc --store partners --config /etc/sallyport/sallyport.yaml',
    )
    .action(async (options: MicrosoftOptions) => {
      const { onboardMicrosoft } = await import('./onboard.js');
      done(await onboardMicrosoft(options));
    });
}

function withCommonOptions(command: DocumentedCommand): DocumentedCommand {
  return command
    .requiredOption('--client-id <id>', 'the client that the token is for')
    .option('--client-secret-file <file>', 'a file that holds the client secret, instead of the environment')
    .addOption(new Option('--client-auth <way>', 'how the client secret is sent; otherwise as the issuer says, or post').choices(['post', 'basic']))
    .option('--resource <uri>', 'the resource that the token is for (RFC 8707)')
    .option('--extra-param <name=value>', 'a further parameter of the authorization request; can be repeated', collected)
    .addOption(
      new Option('--port <port>', 'the port on 127.0.0.1 that the browser comes back to; 0 takes any free one').default(0).argParser(portOption),
    )
    .addOption(new Option('--timeout <duration>', 'how long the consent may take').default('5m').argParser(durationOption('1s', '1h')))
    .option('--no-browser', 'print the address instead of opening it')
    .option('--paste', 'for machines without a browser: paste the address that a browser elsewhere was sent to')
    .option('--redirect-uri <uri>', 'with --paste: the redirect URI that is registered for the client')
    .option('--allow-http', 'accept http:// addresses; for tests on a network that you trust')
    .option('--store <store>', 'put the token into a store instead: one of the configuration by its name, or such as file:PATH or dir:PATH')
    .option('-c, --config <file>', 'the configuration that has the store of that name; otherwise the one that `sallyport serve` would take')
    .option('--key <key>', 'the key in the store; otherwise the tenant, or default')
    .option('--force', 'replace a token that is in the store already; it stays there as superseded');
}

function collected(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text];
}

function portOption(text: string): number {
  if (/^[0-9]{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('A port from 0 to 65535 is expected.');
}
