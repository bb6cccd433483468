import { configJsonSchema } from '@sallyport/gateway';
import { printJson } from '../terminal.js';

/** `sallyport config schema`. */
export async function printSchema(): Promise<number> {
  const { controlSection } = await import('@sallyport/control');
  printJson(configJsonSchema(controlSection));
  return 0;
}
