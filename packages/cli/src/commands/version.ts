import { printJson } from '../terminal.js';
import { version } from '../version.js';

/** `sallyport version`. */
export function printVersion({ output }: { output: 'text' | 'json' }): number {
  const { platform, arch, versions } = process;
  if (output === 'json') printJson({ version: version(), node: versions.node, platform, arch });
  else process.stdout.write(`sallyport ${version()} (Node.js ${versions.node}, ${platform} ${arch})\n`);
  return 0;
}
