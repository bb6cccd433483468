// The built-in fetch, steered by NODE_USE_ENV_PROXY.
import { answer, askedFor } from './answer.mjs';

const { method, url, body } = askedFor();
const response = await fetch(url, { method, body, ...(body && { duplex: 'half' }) });
answer(response.status, await response.text());
