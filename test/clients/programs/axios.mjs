import axios from 'axios';
import { answer, askedFor } from './answer.mjs';

const { method, url, body: data } = askedFor();
const response = await axios({ method, url, data, responseType: 'text', transformResponse: [], maxRedirects: 0, validateStatus: () => true });
answer(response.status, response.data);
