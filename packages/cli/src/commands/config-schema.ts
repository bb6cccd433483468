import { configJsonSchema } from '@sallyport/gateway';
import { printJson } from '../terminal.js';

/** `sallyport config schema`. */
export function printSchema(): number {
  printJson(configJsonSchema());
  return 0;
}
