// The built-in fetch, steered by undici's global dispatcher: Node 20 has no setting of its own for that.
import { ProxyAgent, setGlobalDispatcher } from 'undici';
import { answer, askedFor } from './answer.mjs';

const { method, url, body } = askedFor();
setGlobalDispatcher(new ProxyAgent(process.env.HTTPS_PROXY));
const response = await fetch(url, { method, body, ...(body && { duplex: 'half' }) });
answer(response.status, await response.text());
