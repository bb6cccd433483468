// The other side of sallyport.yaml: a token endpoint (9101), the vendors' API (9102) and a forward target (9103), all on this machine. The two APIs
// answer with the credential that reached them. Also puts the refresh tokens there that `sallyport onboard` would have obtained.

import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const tokens = join(import.meta.dirname, 'tokens');
mkdirSync(tokens, { recursive: true, mode: 0o700 });
for (const key of ['globex', 'contoso.onmicrosoft.com', 'fabrikam.onmicrosoft.com']) {
  const file = join(tokens, key);
  if (!existsSync(file)) writeFileSync(file, `refresh-token-of-${key}\n`, { mode: 0o600 });
}
chmodSync(join(import.meta.dirname, 'credentials.json'), 0o600);

let issued = 0;
async function answerToken(request, response) {
  let body = '';
  for await (const chunk of request) body += chunk;
  const form = new URLSearchParams(body);
  console.log(`token endpoint: ${form.get('grant_type')} for ${request.url}`);
  issued += 1;
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ access_token: `token-${issued}-for${request.url.replaceAll('/', '-')}`, token_type: 'Bearer', expires_in: 3600 }));
}

const tokenEndpoint = createServer((request, response) => void answerToken(request, response));

function api(name) {
  return createServer((request, response) => {
    const { authorization, 'x-api-key': apiKey, 'x-hooli-key': hooliKey } = request.headers;
    console.log(`${name}: ${request.method} ${request.url}`);
    response.writeHead(200, { 'content-type': 'application/json' });
    // Not the credential itself: the gateway would take it for a leak.
    const credential = authorization ?? apiKey ?? hooliKey ?? '';
    response.end(`${JSON.stringify({ answeredBy: name, path: request.url, credentialEndsWith: credential.slice(-12) })}\n`);
  });
}

tokenEndpoint.listen(9101, '127.0.0.1');
api('the vendor').listen(9102, '127.0.0.1');
api('the forward target').listen(9103, '127.0.0.1', () => console.log('ready'));
