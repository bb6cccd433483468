// Writes docs/openapi.json from the operations of the control plane, and the types and the routes of the client from that. Run after `npm run build`.

import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import openapiTypescript, { astToString } from 'openapi-typescript';
import { controlDocument } from '../packages/control/dist/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}packages/control/package.json`, 'utf8'));
const document = await controlDocument(version);
await writeFile(`${root}docs/openapi.json`, `${JSON.stringify(document, null, 2)}\n`);
const types = astToString(await openapiTypescript(structuredClone(document), { alphabetize: false }));
await writeFile(`${root}packages/client/src/api.ts`, `// Made from docs/openapi.json by scripts/generate-openapi.mjs.\n${types}`);

// What the methods of the client stand for. An operation that only leads a browser elsewhere is none of them.
const called = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).flatMap(([method, { operationId, parameters = [], responses }]) => {
    if (!Object.keys(responses).some((status) => /^20[0-9]$/.test(status))) return [];
    const once = parameters.some(({ name }) => name === 'idempotency-key') ? ', idempotencyKey: true' : '';
    return [`  ${operationId}: { method: '${method}', path: '${path}'${once} },`];
  }),
);
await writeFile(
  `${root}packages/client/src/routes.ts`,
  `// Made from docs/openapi.json by scripts/generate-openapi.mjs.\n/** The operations of the API that have an answer, by \`operationId\`. */\nexport const routes = {\n${called.join('\n')}\n} as const;\n`,
);
