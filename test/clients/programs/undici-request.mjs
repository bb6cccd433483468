import { EnvHttpProxyAgent, request } from 'undici';
import { answer, askedFor } from './answer.mjs';

const { method, url, body } = askedFor();
const response = await request(url, { method, body, dispatcher: new EnvHttpProxyAgent() });
answer(response.statusCode, await response.body.text());
