import { addOnboard } from '../commands/onboard-options.js';
import { DocumentedCommand } from '../documented-command.js';

/** Runs `sallyport onboard …` as the command line would; answers the exit code. */
export async function onboard(...args: readonly string[]): Promise<number> {
  let code = -1;
  const program = new DocumentedCommand('sallyport').exitOverride();
  addOnboard(program, (result) => {
    code = result;
  });
  try {
    await program.parseAsync(['onboard', ...args], { from: 'user' });
    return code;
  } catch {
    // Of commander, as in main.ts.
    return 1;
  }
}
