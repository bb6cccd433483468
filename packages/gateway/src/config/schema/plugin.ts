import { z } from 'zod';
import { formatDuration } from '../durations-and-sizes.js';
import { duration, integer, oneOf, text, type ValueContext } from './values.js';

/** How a plugin is run about which the configuration says nothing more. Milliseconds. */
export const pluginDefaults = { options: {}, timeout: 10_000, isolation: 'inline', cache: 10_000 } as const;

/** The plugin: a module by path or package name, alone or with how it is run. */
export function pluginSchema(context: ValueContext) {
  const module = text('the path of a module, or the name of a package').transform((written) => ({ written, folder: context.absolute('.') }));
  const settings = z.strictObject({
    module: module
      .optional()
      .describe('Path of an ES module (`./acme.ts`, `./acme.js`), or the name of a package, found from the configuration file.'),
    options: z.record(z.string(), z.json()).prefault(pluginDefaults.options).describe('Handed to the function that the module exports by default.'),
    timeout: duration().prefault(formatDuration(pluginDefaults.timeout)).describe('How long the plugin may take for one call.'),
    isolation: oneOf(['inline', 'worker'])
      .prefault(pluginDefaults.isolation)
      .describe('`worker` runs the plugin in a thread of its own, which is ended when it blocks; `inline` is faster.'),
    cache: integer(1, 1_000_000).prefault(pluginDefaults.cache).describe('For how many contexts its credentials are remembered.'),
  });
  // Not a transform: the forms of the file are those of the JSON Schema.
  return z
    .union([module, settings], { error: 'expected the path of a module, the name of a package, or a map with module' })
    .transform((given) => ('written' in given ? { ...pluginDefaults, module: given } : given))
    .optional()
    .describe('What decides about calls through the sidecar: credentials, routes, responses.');
}
