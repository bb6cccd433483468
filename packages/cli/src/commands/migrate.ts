import { controlSection, migrateStores } from '@sallyport/control';
import { loadConfig } from '@sallyport/gateway';
import { SallyportError } from '@sallyport/sdk';
import { requireConfig } from '../config-file.js';
import { coloursFor } from '../terminal.js';

/** `sallyport migrate`: brings the database of the control plane up to date, and says which steps that took. */
export async function migrate(options: { readonly config?: string }): Promise<number> {
  const { control } = await loadConfig(requireConfig(options.config), { control: controlSection });
  if (control === null) throw new SallyportError('config_invalid', { detail: 'The configuration has no section `control`.' });
  const steps = await migrateStores(control);
  const colours = coloursFor(process.stdout);
  for (const step of steps) process.stdout.write(`${colours.green('applied')} ${step}\n`);
  const taken = steps.length === 1 ? '1 step was taken' : `${steps.length} steps were taken`;
  process.stdout.write(steps.length === 0 ? 'The database is up to date.\n' : `The database is up to date: ${taken}.\n`);
  return 0;
}
