import type { ClientOptions } from '../control/client-settings.js';
import { withApiClient } from '../control/open-client.js';
import { type OutputFormat, printOne } from '../control/output.js';
import type { Service } from '../control/services.js';

/** The options of `sallyport whoami`. */
export interface WhoamiOptions extends ClientOptions {
  readonly service: Service;
  readonly output: OutputFormat;
}

/** `sallyport whoami`. Errors: those of `withApiClient` and of the server. */
export async function whoami(options: WhoamiOptions): Promise<number> {
  const { actor, permissions } = await withApiClient(options, options.service, async (client) => (await client.getMe()).data);
  printOne({ ...actor, permissions }, options.output);
  return 0;
}
