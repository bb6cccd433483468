import { Argument, InvalidArgumentError, Option } from 'commander';
import { addApply } from './commands/apply/apply-options.js';
import type { AuthorityOptions } from './commands/ca.js';
import { addCerts } from './commands/certs-options.js';
import { addCompletion } from './commands/completion-options.js';
import type { CheckOptions } from './commands/config-check.js';
import type { ExplainOptions } from './commands/config-explain.js';
import { addEnroll } from './commands/enroll-options.js';
import { addFleet } from './commands/fleet-options.js';
import { addLogin } from './commands/login-options.js';
import { addOnboard } from './commands/onboard-options.js';
import { addProxy } from './commands/proxy-options.js';
import { addResources } from './commands/resources/add-resources.js';
import { resourceGroups } from './commands/resources/resource-groups.js';
import type { RunCommandOptions } from './commands/run.js';
import type { ServeOptions } from './commands/serve.js';
import { addSignJwt } from './commands/sign-jwt-options.js';
import { addWhoami } from './commands/whoami-options.js';
import { DocumentedCommand } from './documented-command.js';
import { type Role, roleNames } from './serve/roles.js';
import { version } from './version.js';

/** Takes the exit code of a command that has ended. */
export type Done = (code: number) => void;

/**
 * The command line: every command with its options and its help. What a command does is loaded when it is called, so that none has to wait for the
 * code of another.
 */
export function createProgram(done: Done): DocumentedCommand {
  const program = new DocumentedCommand('sallyport')
    .description('An egress gateway: programs call any API without holding the secret.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError('(--help shows what there is)')
    .showSuggestionAfterError(true);
  addServe(program, done);
  addMigrate(program, done);
  addRun(program, done);
  addConfig(program, done);
  addAuthority(program, done);
  addEnroll(program, done);
  addCerts(program, done, async (config) => {
    const { loadSigner } = await import('./plugin-signer.js');
    return await loadSigner(config);
  });
  addOnboard(program, done);
  addFleet(program, done);
  addLogin(program, done);
  addWhoami(program, done);
  addResources(program, resourceGroups, done);
  addApply(program, done);
  addProxy(program, done);
  addSignJwt(program, done);
  addDoctor(program, done);
  addCompletion(program, done);
  addVersion(program, done);
  return program;
}

const configOption = (): Option =>
  new Option('-c, --config <file>', 'the configuration; otherwise SALLYPORT_CONFIG, ./sallyport.yaml or ~/.sallyport/sallyport.yaml');

const outputOption = (): Option => new Option('-o, --output <format>', 'how the result is printed').choices(['text', 'json']).default('text');

type Output = { output: 'text' | 'json' };

function addServe(program: DocumentedCommand, done: Done): void {
  program
    .command('serve')
    .summary('run the gateway and the control plane')
    .description(
      'Runs what the configuration has sections for until it is told to stop, or only what is named: the gateway, or services of the control plane. ' +
        'For the gateway a changed configuration is applied at once (or on SIGHUP); one that is not valid is reported, ' +
        'and ' +
        'the gateway goes on with the old one. SIGTERM and SIGINT let what is in flight finish, within gateway.shutdown.drain; a second one ends ' +
        'at once.',
    )
    .addArgument(new Argument('[roles...]', 'what this process serves; everything when left out').choices(roleNames))
    .addOption(configOption())
    .option('--credentials <file>', 'a JSON file with the credentials of vendors, for calls through the sidecar; in the place of a plugin')
    .withExamples(
      'sallyport serve',
      'sallyport serve --config /etc/sallyport/sallyport.yaml',
      'sallyport serve api worker',
      'sallyport serve --config chaperone.yaml --credentials credentials.json',
    )
    .action(async (roles: readonly Role[], options: ServeOptions) => {
      const { serve } = await import('./commands/serve.js');
      done(await serve(roles, options));
    });
}

function addMigrate(program: DocumentedCommand, done: Done): void {
  program
    .command('migrate')
    .summary('bring the database of the control plane up to date')
    .description(
      'Takes the steps that the schema of the database lacks, one after the other and under a lock, so that it can be run by several at once. A database ' +
        'in a file is brought up to date by `sallyport serve` itself; one on a server has to be before.',
    )
    .addOption(configOption())
    .withExamples('sallyport migrate', 'sallyport migrate --config /etc/sallyport/sallyport.yaml')
    .action(async (options: { readonly config?: string }) => {
      const { migrate } = await import('./commands/migrate.js');
      done(await migrate(options));
    });
}

function addRun(program: DocumentedCommand, done: Done): void {
  program
    .command('run')
    .summary('run a program behind the gateway')
    .usage('[options] -- <command> [args...]')
    .description(
      'Runs a program that reaches the world through Sallyport only with the token of this run, which ends with it. Joins the gateway that ' +
        '`sallyport serve` ' +
        'runs with the same configuration, or starts one for this run. The exit code is that of the program, 128 + N when signal N ended it.',
    )
    .argument('<command...>', 'the program and its arguments')
    .passThroughOptions()
    .addOption(configOption())
    .option(
      '--credentials <names>',
      'credentials the run may use, separated by commas, or all; otherwise those of the caller named run, or all without such a caller',
    )
    .option(
      '--allow <rule>',
      'a policy rule for this run, such as "api.github.com GET /repos/**"; can be repeated',
      (rule: string, before: readonly string[] | undefined) => [...(before ?? []), rule],
    )
    .addOption(new Option('--mode <mode>', 'the policy mode of this run').choices(['strict', 'permissive', 'observe']))
    .option('--report', 'say which hosts were reached and which refused also where standard error is no terminal')
    .option('--report-json <file>', 'write the same as JSON to a file')
    .withExamples(
      'sallyport run -- curl https://api.github.com/user',
      'sallyport run --credentials github -- git clone https://github.com/me/private.git',
      'sallyport run --mode observe --report -- npm install',
      'sallyport run --allow "registry.npmjs.org GET" -- npm ci',
    )
    .action(async (command: string[], options: RunCommandOptions) => {
      const { run } = await import('./commands/run.js');
      done(await run(command, options));
    });
}

function addConfig(program: DocumentedCommand, done: Done): void {
  const config = program
    .command('config')
    .summary('check, describe and explain configurations')
    .description('Checks a configuration and says what it means.');
  config
    .command('check')
    .summary('say what is wrong with a configuration')
    .description(
      'Says that a configuration is valid, or names every place that is not, with line and column. The exit code is 2 when it is not valid.',
    )
    .argument('[file]', 'the configuration')
    .addOption(configOption())
    .option(
      '--sources',
      'also fetch each credential once, client credentials of providers included, and say whether that works (exit code 4 when one does not); ' +
        'refresh tokens are only looked up in their stores, as presenting one may change it. Nothing of it is shown',
    )
    .addOption(outputOption())
    .withExamples('sallyport config check', 'sallyport config check staging.yaml --sources')
    .action(async (file: string | undefined, options: CheckOptions) => {
      const { checkConfig } = await import('./commands/config-check.js');
      done(await checkConfig(file, options));
    });
  config
    .command('schema')
    .summary('print the JSON Schema of the configuration')
    .description('Prints the JSON Schema (draft 2020-12) of the configuration, for editors.')
    .withExamples('sallyport config schema > sallyport.schema.json')
    .action(async () => {
      const { printSchema } = await import('./commands/config-schema.js');
      done(await printSchema());
    });
  config
    .command('explain')
    .summary('say what would happen to a request')
    .description(
      'Says what would happen to a request: which rules are looked at and which one decides, which addresses of the host may be called, and which ' +
        'credential would be added and why no other. Of a call through the sidecar it says which route it meets, and which provider, forward target ' +
        'or plugin decides. Nothing is sent, fetched or asked; only the name of the host is resolved.',
    )
    .argument('<method>', 'such as GET')
    .argument('<url>', 'an absolute URL')
    .addOption(configOption())
    .option('--caller <name>', 'a caller of the configuration; otherwise what `sallyport run` would be')
    .option('--sidecar', 'a call through the sidecar instead of the forward proxy; each of the following options means the same')
    .option('--vendor-id <id>', 'the vendor that the platform names')
    .option('--environment-id <id>', 'the environment')
    .option('--marketplace-id <id>', 'the marketplace')
    .option('--product-id <id>', 'the product')
    .option('--subscription-id <id>', 'the subscription')
    .option('--data <json>', 'the context data, a JSON object such as {"Region":"eu"}', contextDataOption)
    .addOption(outputOption())
    .withExamples(
      'sallyport config explain GET https://api.github.com/user',
      'sallyport config explain POST https://api.github.com/repos --caller ci -o json',
      'sallyport config explain GET https://api.vendor.example/v1/orders --vendor-id acme-1 --data \'{"Region":"eu"}\'',
    )
    .action(async (method: string, url: string, options: ExplainOptions) => {
      const { explainRequest } = await import('./commands/config-explain.js');
      done(await explainRequest(method, url, options));
    });
}

function contextDataOption(text: string): Readonly<Record<string, unknown>> {
  try {
    const data: unknown = JSON.parse(text);
    if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data as Record<string, unknown>;
  } catch {
    // What is no JSON is no object either.
  }
  throw new InvalidArgumentError('A JSON object is expected, such as {"Region":"eu"}. It is not in Base64 here.');
}

function addAuthority(program: DocumentedCommand, done: Done): void {
  const ca = program
    .command('ca')
    .summary('find, export and replace the certificate authority')
    .description('The certificate authority that intercepted connections are signed by.');
  const caDir = (): Option =>
    new Option('--ca-dir <dir>', 'the directory of the authority; otherwise the one that the configuration names, or ~/.sallyport/ca');
  ca.command('path')
    .summary('print where it is')
    .description('Prints the directory of the authority. It is made on the first start of the gateway.')
    .addOption(configOption())
    .addOption(caDir())
    .option('--file', 'print the path of the certificate instead')
    .withExamples('sallyport ca path', 'curl --cacert "$(sallyport ca path --file)" …')
    .action(async (options: AuthorityOptions & { file?: true }) => {
      const { printPath } = await import('./commands/ca.js');
      done(await printPath(options));
    });
  ca.command('export')
    .summary('print its certificate')
    .description('Prints the certificate (never the key) for clients and devices that have to trust it.')
    .addOption(configOption())
    .addOption(caDir())
    .addOption(new Option('--format <format>', 'how it is written').choices(['pem', 'der', 'der-base64']).default('pem'))
    .option('--out <file>', 'write it to a file instead of standard output')
    .withExamples('sallyport ca export --out sallyport-ca.pem', 'sallyport ca export --format der --out sallyport-ca.cer')
    .action(async (options: AuthorityOptions & { format: 'pem' | 'der' | 'der-base64'; out?: string }) => {
      const { exportAuthority } = await import('./commands/ca.js');
      done(await exportAuthority(options));
    });
  ca.command('regenerate')
    .summary('replace it by a new one')
    .description('Replaces certificate and key by new ones. Every client that trusts the old certificate has to be given the new one.')
    .addOption(configOption())
    .addOption(caDir())
    .requiredOption('--confirm', 'you know that what trusts only the old certificate stops working')
    .withExamples('sallyport ca regenerate --confirm')
    .action(async (options: AuthorityOptions) => {
      const { regenerate } = await import('./commands/ca.js');
      done(await regenerate(options));
    });
}

function addDoctor(program: DocumentedCommand, done: Done): void {
  program
    .command('doctor')
    .summary('try which clients work behind the gateway')
    .description(
      'Starts a small HTTPS API and a gateway on this machine, has every client that is installed fetch something as under `sallyport run`, and ' +
        'says what ' +
        'to do about those that fail. Nothing leaves this machine. The exit code is 1 when a client fails.',
    )
    .argument('[clients...]', 'only these, such as curl, node or python3')
    .addOption(outputOption())
    .withExamples('sallyport doctor', 'sallyport doctor curl git', 'sallyport doctor -o json')
    .action(async (names: string[], options: Output) => {
      const { doctor } = await import('./commands/doctor.js');
      done(await doctor(names, options));
    });
}

function addVersion(program: DocumentedCommand, done: Done): void {
  program
    .command('version')
    .summary('print the version')
    .description('Prints the versions of Sallyport and of the Node.js that runs it.')
    .addOption(outputOption())
    .action(async (options: Output) => {
      const { printVersion } = await import('./commands/version.js');
      done(printVersion(options));
    });
}
