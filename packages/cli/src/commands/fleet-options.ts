import { Option } from 'commander';
import type { DocumentedCommand } from '../documented-command.js';
import { durationOption } from '../fleet/duration-option.js';
import type { EndpointOptions, StatusOptions } from './fleet.js';

type Format = StatusOptions['output'];

/** Adds `sallyport fleet` with its options and help. `done` takes the exit code. */
export function addFleet(program: DocumentedCommand, done: (code: number) => void): void {
  const fleet = program
    .command('fleet')
    .summary('watch several gateways')
    .description('Registers gateways, of Sallyport or of Chaperone, in ~/.sallyport/fleet.yaml, and shows how they are.');
  withEndpointOptions(
    fleet
      .command('add')
      .summary('register a gateway')
      .description('Registers the ops listener of a gateway (the admin port of a Chaperone) under a name.')
      .argument('<name>', 'what it is called here')
      .argument('<address>', 'HOST:PORT or https://HOST:PORT'),
  )
    .withExamples('sallyport fleet add eu-1 10.1.0.5:9090', 'sallyport fleet add us-1 https://us-1.internal:9090 --ca ca.pem --token-env FLEET_TOKEN')
    .action(async (name: string, address: string, options: EndpointOptions) => {
      const { addToFleet } = await import('./fleet.js');
      done(await addToFleet(name, address, options));
    });
  fleet
    .command('remove')
    .summary('take a gateway out of the register')
    .description('Takes a gateway out of the register. The gateway itself is left alone.')
    .argument('<name>', 'what it is called here')
    .withExamples('sallyport fleet remove eu-1')
    .action(async (name: string) => {
      const { removeFromFleet } = await import('./fleet.js');
      done(await removeFromFleet(name));
    });
  fleet
    .command('list')
    .summary('print the register')
    .description('Prints what is registered, without asking any of the gateways.')
    .addOption(formatOption())
    .withExamples('sallyport fleet list', 'sallyport fleet list -o json')
    .action(async (options: { output: Format }) => {
      const { listFleet } = await import('./fleet.js');
      done(await listFleet(options));
    });
  addStatus(fleet, done);
  withEndpointOptions(
    fleet
      .command('test')
      .summary('try a gateway without registering it')
      .description('Asks a gateway once for its health, readiness, version and metrics. The exit code is 1 when it does not answer as it should.')
      .argument('<address>', 'HOST:PORT or https://HOST:PORT'),
  )
    .addOption(timeoutOption())
    .addOption(formatOption())
    .withExamples('sallyport fleet test 10.1.0.5:9090', 'sallyport fleet test https://us-1.internal:9090 --ca ca.pem -o json')
    .action(async (address: string, options: EndpointOptions & { output: Format; timeout: string }) => {
      const { testInstance } = await import('./fleet.js');
      done(await testInstance(address, options));
    });
}

function addStatus(fleet: DocumentedCommand, done: (code: number) => void): void {
  fleet
    .command('status')
    .summary('show how all of them are')
    .description(
      'Asks every registered gateway for its health, readiness, version and metrics: three times, and prints what came out, or again and ' +
        'again with --watch. Three failed looks in a row make a gateway unreachable, one that works makes it healthy. The exit code is 0 when ' +
        'all are healthy and ready, otherwise 1; with --watch it is that of the last round.',
    )
    .option('-w, --watch', 'go on until q or Ctrl-C: a table that changes in place on a terminal, one document per round elsewhere')
    .addOption(
      new Option('--interval <duration>', 'from one round to the next; 1s, with --watch 5s, when left out').argParser(durationOption('100ms', '1h')),
    )
    .addOption(timeoutOption())
    .addOption(formatOption())
    .withExamples('sallyport fleet status', 'sallyport fleet status --watch', 'sallyport fleet status --watch --interval 30s -o json >> fleet.jsonl')
    .action(async (options: StatusOptions) => {
      const { fleetStatus } = await import('./fleet.js');
      done(await fleetStatus(options));
    });
}

const formatOption = (): Option =>
  new Option('-o, --output <format>', 'how the result is printed').choices(['table', 'json', 'yaml']).default('table');

const timeoutOption = (): Option =>
  new Option('--timeout <duration>', 'how long one gateway may take to answer').default('3s').argParser(durationOption('100ms', '1m'));

function withEndpointOptions(command: DocumentedCommand): DocumentedCommand {
  return command
    .option('--ca <file>', 'the authority that signed its certificate (PEM); otherwise the public ones')
    .option('--token-env <name>', 'the environment variable that holds the bearer token it wants')
    .option('--token-file <file>', 'the file that holds the bearer token it wants');
}
