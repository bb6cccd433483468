import type { Command } from 'commander';

/** A word that may come next, and what it does. */
export interface CompletionWord {
  readonly word: string;
  readonly summary: string;
}

/** What can follow what, by the names that lead to a command with a blank between them; empty for the program itself. */
export interface CompletionTables {
  readonly commands: ReadonlyMap<string, readonly CompletionWord[]>;
  readonly options: ReadonlyMap<string, readonly CompletionWord[]>;
  /** By command and flag: the choices of an option that takes a value, none when it takes any. */
  readonly values: ReadonlyMap<string, readonly string[]>;
}

/** The tables of a program, made from the definitions that its command line is parsed with. What is hidden in the help is not in there. */
export function completionTables(program: Command): CompletionTables {
  const commands = new Map<string, CompletionWord[]>();
  const options = new Map<string, CompletionWord[]>();
  const values = new Map<string, readonly string[]>();
  const help = program.createHelp();

  function visit(command: Command, names: readonly string[]): void {
    const path = names.join(' ');
    const below = help.visibleCommands(command);
    commands.set(
      path,
      below.map((one) => ({ word: one.name(), summary: one.summary() || one.description() })),
    );
    const flagged = help.visibleOptions(command).flatMap((option) => {
      const flags = [option.short, option.long].filter((flag) => flag !== undefined);
      if (option.required || option.optional) for (const flag of flags) values.set(`${path} ${flag}`.trim(), option.argChoices ?? []);
      return flags.map((word) => ({ word, summary: option.description }));
    });
    options.set(path, flagged);
    for (const one of below) if (command.commands.includes(one)) visit(one, [...names, one.name()]);
    // `help` is not among the commands of a program, and takes the name of one of them.
    const helps = below.filter((one) => !command.commands.includes(one));
    for (const one of helps) {
      const others = below.filter((other) => other !== one).map((other) => ({ word: other.name(), summary: other.summary() || other.description() }));
      commands.set([...names, one.name()].join(' '), others);
      options.set([...names, one.name()].join(' '), []);
    }
  }

  visit(program, []);
  return { commands, options, values };
}

/** A text in single quotes, as bash and zsh read it. */
export function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A function of bash and zsh that succeeds for the names of a command. */
export function isCommandFunction(commands: CompletionTables['commands']): string {
  const names = [...commands.keys()].filter((path) => path !== '').map(singleQuoted);
  return `_sallyport_is_command() {
  case "$1" in
    ${names.join('|')}) return 0 ;;
  esac
  return 1
}
`;
}
