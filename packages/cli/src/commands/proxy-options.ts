import { InvalidArgumentError, Option } from 'commander';
import { withClientOptions, withIdentityOptions } from '../control/client-options.js';
import { services } from '../control/services.js';
import type { DocumentedCommand } from '../documented-command.js';
import type { LoginRedirectOptions, ProxyOptions } from './proxy.js';

/** Adds `sallyport proxy` and `sallyport login-redirect` with their options and help. `done` takes the exit code. */
export function addProxy(program: DocumentedCommand, done: (code: number) => void): void {
  withClientOptions(
    program
      .command('proxy')
      .alias('raw-proxy')
      .summary('sign the requests of programs that cannot')
      .description(
        'Runs a small web server on this machine that sends every request on to a service of the control plane, signed as your actor; whatever ' +
          'Authorization and cookies it came with are left out. Whoever reaches it acts as you: it listens on loopback unless --ip says otherwise, ' +
          'and refuses requests that name another host or come from web pages of other origins.',
      ),
  )
    .addOption(new Option('--to <service>', 'the service that requests go to').choices(services).default('api'))
    .addOption(new Option('--proxyTo <service>').choices(services).hideHelp())
    .option('--ip <address>', 'the address to listen on', '127.0.0.1')
    .addOption(new Option('--port <port>', 'the port to listen on; `signing_proxy.port` or 8888 when left out').argParser(portOption))
    .option('--enable-login-redirect', 'also answer GET /login-redirect?return_to_url=… as login-redirect does')
    .addOption(new Option('--enableLoginRedirect').hideHelp())
    .option('--cert <file>', 'a certificate (PEM) to be reached by https')
    .option('--key <file>', 'its key (PEM)')
    .addOption(allowHost())
    .addOption(allowOrigin())
    .withExamples(
      'sallyport proxy --to api',
      'curl http://127.0.0.1:8888/connections',
      'sallyport proxy --to admin-api --port 8890 --allow-origin http://localhost:5173',
    )
    .action(async (options: ProxyOptions) => {
      const { proxy } = await import('./proxy.js');
      done(await proxy(options));
    });
  withIdentityOptions(
    program
      .command('login-redirect')
      .summary('sign people in to the web applications, for development')
      .description(
        'Runs a small web server that answers GET /login-redirect?return_to_url=… with a redirect to that address and a token that is good for one ' +
          'login within a minute, signed as your actor. It leads only to `server.marketplace` and `server.admin_ui` of the client configuration.',
      ),
  )
    .option('--ip <address>', 'the address to listen on', '127.0.0.1')
    .addOption(new Option('--port <port>', 'the port to listen on').argParser(portOption).default(8889))
    .addOption(allowHost())
    .withExamples('sallyport login-redirect', 'sallyport login-redirect --port 8890')
    .action(async (options: LoginRedirectOptions) => {
      const { loginRedirectServer } = await import('./proxy.js');
      done(await loginRedirectServer(options));
    });
}

const allowHost = (): Option => new Option('--allow-host <name>', 'a further name that it may be called by; can be repeated').argParser(repeated);

const allowOrigin = (): Option =>
  new Option('--allow-origin <origin>', 'an origin, such as http://localhost:5173, whose web pages may call it; can be repeated').argParser(repeated);

function repeated(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

function portOption(text: string): number {
  if (/^[0-9]{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError('A port is a number from 0 to 65535.');
}
