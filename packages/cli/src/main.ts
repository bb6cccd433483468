import { printFailure } from './failure.js';
import { createProgram } from './program.js';

/** Runs one command line (without `node` and the script) and answers its exit code. Never throws. */
export async function main(args: readonly string[]): Promise<number> {
  let code = 0;
  const program = createProgram((result) => {
    code = result;
  });
  try {
    await program.parseAsync(args.map(twoDashes), { from: 'user' });
    return code;
  } catch (error) {
    // Of commander: it has printed the help, the version or what is wrong with the command line.
    if (error instanceof Error && 'exitCode' in error && typeof error.exitCode === 'number') return error.exitCode === 0 ? 0 : 1;
    return printFailure(error);
  }
}

/** Scripts that start a Chaperone write long options with one dash. */
function twoDashes(argument: string): string {
  return argument === '-config' || argument === '-credentials' ? `-${argument}` : argument;
}
