import { Option } from 'commander';
import { formatOption, withClientOptions } from '../../control/client-options.js';
import type { DocumentedCommand } from '../../documented-command.js';
import type { CommonOptions, Flag, ResourceCommand, ResourceGroup } from './resource-command.js';

/** Adds the commands of these resources. `done` takes the exit code. */
export function addResources(program: DocumentedCommand, groups: readonly ResourceGroup[], done: (code: number) => void): void {
  for (const { name, summary, description, commands } of groups) {
    const group = program.command(name).summary(summary).description(description);
    for (const command of commands) addCommand(group, command, done);
  }
}

function addCommand(group: DocumentedCommand, declared: ResourceCommand, done: (code: number) => void): void {
  const { name, summary, description, args = [], flags = [], examples } = declared;
  const command = group
    .command(name)
    .summary(summary)
    .description(description ?? `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`);
  for (const [argument, meaning] of args) command.argument(argument, meaning);
  for (const flag of flags) command.addOption(optionOf(flag));
  if (declared.confirmed === true) command.option('-y, --yes', 'do it without asking');
  command.addOption(formatOption());
  withClientOptions(command);
  if (declared.adminOnly !== true)
    command.addOption(new Option('--service <name>', 'the service to ask').choices(['api', 'admin-api']).default('admin-api'));
  command.withExamples(...examples).action(async (...given: unknown[]) => {
    const { runResource } = await import('./run-resource.js');
    // After the arguments commander hands over the options and the command itself.
    const words = given
      .slice(0, -2)
      .filter((word) => word !== undefined)
      .flat() as string[];
    done(await runResource(declared, words, given.at(-2) as CommonOptions));
  });
}

function optionOf({ flags, description, choices, default: usual, defaultText, required, parse }: Flag): Option {
  const option = new Option(flags, description);
  if (choices !== undefined) option.choices(choices);
  if (parse !== undefined) option.argParser(parse as (text: string, before: unknown) => unknown);
  if (usual !== undefined) option.default(usual, defaultText);
  if (required === true) option.makeOptionMandatory();
  return option;
}
