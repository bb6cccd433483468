import type { z } from 'zod';
import type { ValueContext } from './schema/values.js';

/** Something that is allowed and probably not meant, by its path below the section. */
export interface Doubt {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** A section of the file that another package describes: it is read, checked, documented and kept secret as the gateway's own. */
export interface Section<Config> {
  /** The schema of what stands under its key: a map, every key of which has a description. It may be asked for once and used for many files. */
  schema(context: ValueContext): z.ZodType<Config>;
  /** What to warn of in a valid section. */
  doubts(config: Config): readonly Doubt[];
}
