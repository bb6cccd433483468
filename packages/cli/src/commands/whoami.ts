import type { ApiClient } from '../control/api-client.js';
import type { ClientOptions } from '../control/client-settings.js';
import { withApiClient } from '../control/open-client.js';
import { type OutputFormat, printOne } from '../control/output.js';
import { readMe } from '../control/read-me.js';
import type { Service } from '../control/services.js';

/** The options of `sallyport whoami`. */
export interface WhoamiOptions extends ClientOptions {
  readonly service: Service;
  readonly output: OutputFormat;
}

/** `sallyport whoami`. Errors: those of `withApiClient` and of the server. */
export async function whoami(options: WhoamiOptions): Promise<number> {
  const me = await withApiClient(options, options.service, (client: ApiClient) => readMe(client));
  printOne(me, options.output);
  return 0;
}
