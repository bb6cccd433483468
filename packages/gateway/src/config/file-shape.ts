import { z } from 'zod';
import { configSchema, type GatewayConfig, type ValueContext, wholeSchema } from './schema.js';
import type { Section } from './section.js';
import type { JsonSchema } from './written-schema.js';

/** What is known of a configuration file before there is one. */
export interface FileShape<Control> {
  /** What may be written in it: the form that suggestions and the reference page are made from. */
  readonly written: JsonSchema;
  /** What the schema makes of a document, in these surroundings. */
  resolve(context: ValueContext, document: unknown): z.ZodSafeParseResult<{ gateway?: GatewayConfig | undefined; control?: Control | undefined }>;
}

const NOWHERE: ValueContext = { variable: () => undefined, absolute: (path) => path, read: () => '', requireReadable: () => undefined };

const shapes = new WeakMap<object, FileShape<unknown>>();
const withoutControl = {};

/** The shape of a file for who uses the gateway's section alone (`control` is null), or both. It is made once: to make it takes far longer than to use it. */
export function fileShape<Control>(control: Section<Control> | null): FileShape<Control> {
  const key = control ?? withoutControl;
  // What is kept for a section was made from it.
  const known = shapes.get(key) as FileShape<Control> | undefined;
  if (known !== undefined) return known;
  const shape = makeShape(control);
  shapes.set(key, shape);
  return shape;
}

function makeShape<Control>(control: Section<Control> | null): FileShape<Control> {
  // A use is over before the next begins, so one schema serves them all.
  let current = NOWHERE;
  const context: ValueContext = {
    variable: (name) => current.variable(name),
    absolute: (path) => current.absolute(path),
    read: (path) => current.read(path),
    requireReadable: (path) => current.requireReadable(path),
  };
  const schema = control === null ? gatewayAlone(context) : wholeSchema(context, control);
  return {
    written: z.toJSONSchema(schema, { io: 'input' }) as JsonSchema,
    resolve(surroundings, document) {
      current = surroundings;
      return schema.safeParse(document);
    },
  };
}

/** What stands in the other section is nobody's business here. */
function gatewayAlone(context: ValueContext) {
  return configSchema(context).transform(({ gateway }) => ({ gateway }));
}
