import { Command, Option } from 'commander';
import type { RunCommandOptions } from './commands/run.js';
import { version } from './version.js';

/** Takes the exit code of a command that has ended. */
export type Done = (code: number) => void;

/**
 * The command line: every command with its options and its help. What a command does is loaded when it is called, so that none has to wait for the
 * code of another.
 */
export function createProgram(done: Done): Command {
  const program = new Command('sallyport')
    .description('An egress gateway: programs call any API without holding the secret.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError('(--help shows what there is)')
    .showSuggestionAfterError(true);
  addServe(program, done);
  addRun(program, done);
  addVersion(program, done);
  return program;
}

const configOption = (): Option =>
  new Option('-c, --config <file>', 'the configuration; otherwise SALLYPORT_CONFIG, ./sallyport.yaml or ~/.sallyport/sallyport.yaml');

const outputOption = (): Option => new Option('-o, --output <format>', 'how the result is printed').choices(['text', 'json']).default('text');

type Output = { output: 'text' | 'json' };

function addServe(program: Command, done: Done): void {
  program
    .command('serve')
    .summary('run the gateway')
    .description(
      'Runs the gateway until it is told to stop. A changed configuration is applied at once (or on SIGHUP); one that is not valid is reported, and ' +
        'the gateway goes on with the old one. SIGTERM and SIGINT let what is in flight finish, within gateway.shutdown.drain; a second one ends at once.',
    )
    .addOption(configOption())
    .addHelpText('after', examples('sallyport serve', 'sallyport serve --config /etc/sallyport/sallyport.yaml'))
    .action(async (options: { config?: string }) => {
      const { serve } = await import('./commands/serve.js');
      done(await serve(options));
    });
}

function addRun(program: Command, done: Done): void {
  program
    .command('run')
    .summary('run a program behind the gateway')
    .usage('[options] -- <command> [args...]')
    .description(
      'Runs a program that reaches the world through Sallyport only with the token of this run, which ends with it. Joins the gateway that `sallyport serve` ' +
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
      (rule: string, before: string[]) => [...before, rule],
      [],
    )
    .addOption(new Option('--mode <mode>', 'the policy mode of this run').choices(['strict', 'permissive', 'observe']))
    .option('--report', 'say which hosts were reached and which refused also where standard error is no terminal')
    .option('--report-json <file>', 'write the same as JSON to a file')
    .addHelpText(
      'after',
      examples(
        'sallyport run -- curl https://api.github.com/user',
        'sallyport run --credentials github -- git clone https://github.com/me/private.git',
        'sallyport run --mode observe --report -- npm install',
        'sallyport run --allow "registry.npmjs.org GET" -- npm ci',
      ),
    )
    .action(async (command: string[], options: RunCommandOptions) => {
      const { run } = await import('./commands/run.js');
      done(await run(command, options));
    });
}

function addVersion(program: Command, done: Done): void {
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

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;
}
