import { Command } from 'commander';

/** A command whose help ends in examples, which the reference page shows too. */
export class DocumentedCommand extends Command {
  #examples: readonly string[] = [];

  /** Command lines as one would type them. */
  get examples(): readonly string[] {
    return this.#examples;
  }

  withExamples(...lines: readonly string[]): this {
    this.#examples = lines;
    return this.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`);
  }

  override createCommand(name?: string): DocumentedCommand {
    return new DocumentedCommand(name);
  }
}
