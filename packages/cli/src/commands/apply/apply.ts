import type { Client } from '@sallyport/client';
import { SallyportError } from '@sallyport/sdk';
import { confirm } from '../../control/ask.js';
import type { ClientOptions } from '../../control/client-settings.js';
import { withApiClient } from '../../control/open-client.js';
import { type OutputFormat, printOne } from '../../control/output.js';
import { printFailure } from '../../failure.js';
import { coloursFor, printJson } from '../../terminal.js';
import { manifestJsonSchema } from './manifest.js';
import { makePlan, type Plan, performPlan } from './plan.js';
import { planDocument, planText, stepTitle } from './plan-text.js';
import { readManifests } from './read-manifests.js';

/** The options of `sallyport apply`. */
export interface ApplyOptions extends ClientOptions {
  readonly filename?: readonly string[];
  readonly plan?: true;
  readonly dryRun?: true;
  readonly set?: string;
  readonly prune?: true;
  readonly yes?: true;
  readonly schema?: true;
  readonly output: OutputFormat;
}

/** The exit code of `--plan` when there is something to do; that of an error is 1 then, whatever it would be otherwise. */
const CHANGES = 2;

/** `sallyport apply`. Errors: `manifest_invalid`, `manifest_conflict`, `value_file_invalid`, `confirmation_required`, and those of client and server. */
export async function apply(options: ApplyOptions): Promise<number> {
  if (options.schema === true) {
    printJson(manifestJsonSchema());
    return 0;
  }
  if (options.plan !== true && options.dryRun !== true) return applyNow(options);
  try {
    const plan = await withPlan(options, async (_, made) => made);
    printPlan(plan, options.output);
    return plan.steps.length === 0 ? 0 : CHANGES;
  } catch (error) {
    await printFailure(error);
    return 1;
  }
}

async function applyNow(options: ApplyOptions): Promise<number> {
  return withPlan(options, async (client, plan) => {
    printPlan(plan, options.output);
    const deletions = plan.steps.filter(({ action }) => action === 'delete').length;
    if (deletions > 0 && options.yes !== true) await requireYes(deletions);
    const colours = coloursFor(process.stderr);
    let done = 0;
    try {
      await performPlan(client, plan, (step) => {
        done += 1;
        process.stderr.write(`done ${stepTitle(step, colours)}\n`);
      });
    } catch (error) {
      const [failed, ...left] = plan.steps.slice(done);
      if (failed !== undefined) process.stderr.write(`${colours.red('failed')} ${stepTitle(failed, colours)}\n`);
      for (const step of left) process.stderr.write(`not begun ${stepTitle(step, colours)}\n`);
      process.stderr.write('What is done stays done; apply again when this is put right.\n');
      throw error;
    }
    return 0;
  });
}

async function withPlan<T>(options: ApplyOptions, work: (client: Client, plan: Plan) => Promise<T>): Promise<T> {
  const { filename = [], set, prune } = options;
  if (filename.length === 0)
    throw new SallyportError('value_file_invalid', { detail: 'It is not said what to apply.', hint: 'Name a file or a directory with -f.' });
  if (prune === true && set === undefined) {
    throw new SallyportError('manifest_conflict', {
      detail: 'It is not said among what --prune is to look for what is gone.',
      hint: 'Name the set with --set: only what was applied with the same --set is ever deleted.',
    });
  }
  const manifests = await readManifests(filename);
  return withApiClient(options, 'admin-api', async (client) => work(client, await makePlan(client, manifests, { set, prune })));
}

function printPlan(plan: Plan, format: OutputFormat): void {
  if (format === 'table') process.stdout.write(`${planText(plan, coloursFor(process.stdout))}\n`);
  else printOne({ ...planDocument(plan) }, format);
}

async function requireYes(deletions: number): Promise<void> {
  const answer = await confirm(`Apply this, and delete ${deletions === 1 ? 'one thing' : `${deletions} things`}?`);
  if (answer === 'yes') return;
  const detail = answer === 'no' ? 'It was not confirmed; nothing was done.' : 'Nobody can be asked here whether to delete; nothing was done.';
  throw new SallyportError('confirmation_required', { detail });
}
