import { z } from 'zod';
import { parseHostPattern } from '../../policy/host-pattern.js';
import { compilePathRule } from '../../policy/path-rule.js';
import { grantSchema } from './grants.js';
import { type PlacementConfig, placementsSchema } from './placements.js';
import { duration, flag, name, parsedText, path, secretValue, text, type ValueContext } from './values.js';

/** The credentials by name: where each comes from, and the bindings that say where it may go. */
export function credentialsSchema(context: ValueContext) {
  return z
    .record(
      name,
      z
        .strictObject({
          source: sourceSchema(context).optional().describe('Where the credential comes from.'),
          grant: grantSchema(context).optional().describe('How access tokens are obtained, in place of a source.'),
          bind: z
            .array(bindingSchema(context))
            .min(1, 'expected at least one binding')
            .describe('Which requests get the credential, and where in them it goes.'),
        })
        .meta({ oneOf: [{ required: ['source'] }, { required: ['grant'] }] })
        .superRefine(({ source, grant }, issues) => {
          if (source === undefined && grant === undefined)
            issues.addIssue({ code: 'custom', path: ['source'], message: 'is required: expected a source, or a grant' });
          else if (source !== undefined && grant !== undefined)
            issues.addIssue({ code: 'custom', path: ['grant'], message: 'there is a source already; leave one of the two out' });
        }),
    )
    .prefault({})
    .describe('The credentials, by name.');
}

function sourceSchema(context: ValueContext) {
  return z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('env').describe('An environment variable of the gateway.'),
      var: text('the name of an environment variable').describe('Name of the environment variable.'),
    }),
    z.strictObject({
      type: z.literal('file').describe('A file, read again when it changes.'),
      path: path(context).describe('Path of the file.'),
    }),
    z.strictObject({
      type: z.literal('static').describe('A value given here.'),
      value: secretValue(context, 'the credential', (secret) => (secret === '' ? 'the credential is empty' : null)).describe(
        'The credential itself.',
      ),
    }),
    z.strictObject({
      type: z.literal('process').describe('The output of a command.'),
      command: z
        .array(z.string({ error: 'expected text' }).refine((argument) => !argument.includes('\0'), 'holds a NUL character'))
        .min(1, 'expected at least the name of a program')
        .refine((command) => command[0] !== '', 'the name of the program is empty')
        .transform(([program = '', ...rest]) => [programOf(program, context), ...rest])
        .describe('Program and arguments; no shell is involved.'),
      timeout: duration().prefault('10s').describe('How long the command may take.'),
      ttl: duration().prefault('5m').describe('How long its output is used when it names no expiration itself.'),
    }),
  ]);
}

function bindingSchema(context: ValueContext) {
  return z.strictObject({
    hosts: z
      .array(parsedText('a host pattern', parseHostPattern))
      .min(1, 'expected at least one host')
      .describe('Hosts that may receive the credential; the same patterns as in policy rules.'),
    methods: z
      .array(z.string({ error: 'expected a method such as GET' }).regex(/^[A-Z][A-Z0-9_-]*$/, 'expected a method in capital letters, such as GET'))
      .min(1, 'expected at least one method; leave methods out for all')
      .optional()
      .describe('Methods that get the credential; all when left out.'),
    paths: z
      .array(parsedText('a path pattern', compilePathRule))
      .min(1, 'expected at least one path pattern; leave paths out for all')
      .optional()
      .describe('Path patterns that get the credential; all when left out.'),
    place: placementsSchema(context),
    plaintext: flag().prefault(false).describe('Whether the credential may also be sent over http://.'),
  });
}

/** What of a binding says whether a provider may give its credential. */
interface HeaderBinding {
  readonly methods?: readonly string[] | undefined;
  readonly paths?: readonly string[] | undefined;
  readonly place: readonly PlacementConfig[];
}

/** The first placement of a binding that is a header; null when there is none, or the binding is not for all methods and paths. */
export function headerOfBinding({ methods, paths, place }: HeaderBinding): PlacementConfig | null {
  // What a provider answers is used for every method.
  if (methods !== undefined || paths !== undefined) return null;
  return place.find((placement) => !('query' in placement)) ?? null;
}

/** A program written as a path is a path like any other; a bare name is looked up in PATH. */
function programOf(program: string, context: ValueContext): string {
  return /^(~|\.|\.\.)\//.test(program) ? context.absolute(program) : program;
}
