import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { enroll } from '@sallyport/gateway';
import { shellWord } from '../certs/shell-word.js';

export interface EnrollCommandOptions {
  domains: string;
  cn: string;
  out: string;
  force?: true;
}

/**
 * `sallyport enroll`: the paths of the key and of the request on standard output, what to do with them on standard error. Errors:
 * `certificate_name_invalid`, `certificate_files_exist`, `certificate_files_failed`.
 */
export async function enrollCommand({ domains, cn, out, force }: EnrollCommandOptions): Promise<number> {
  const { keyPath, csrPath, names } = await enroll({ domains: domains.split(','), commonName: cn, directory: out, force: force === true });
  process.stdout.write(`${keyPath}\n${csrPath}\n`);
  const certificate = join(out, 'server.crt');
  const stale = existsSync(certificate) ? `${certificate} is for an earlier key: a gateway that is restarted now does not start.\n` : '';
  process.stderr.write(
    `The request is for ${names.join(', ')}. ${stale}Next:\n` +
      `  1. Have ${csrPath} signed: by the platform, by your own authority, or with \`sallyport certs sign --csr ${shellWord(csrPath)}\`.\n` +
      `  2. Put the certificate, with its chain behind it, into ${certificate}, and the authority of the clients into ${join(out, 'ca.crt')}.\n` +
      `  3. Name them under \`tls\` of the listener, and run \`sallyport serve\`.\n`,
  );
  return 0;
}
