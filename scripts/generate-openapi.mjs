// Writes docs/openapi.json from the operations of the control plane, and the types of the client from that. Run after `npm run build`.
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import openapiTypescript, { astToString } from 'openapi-typescript';
import { controlDocument } from '../packages/control/dist/index.js';
import { readFileSync } from 'node:fs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}packages/control/package.json`, 'utf8'));
const document = await controlDocument(version);
await writeFile(`${root}docs/openapi.json`, `${JSON.stringify(document, null, 2)}\n`);
const types = astToString(await openapiTypescript(structuredClone(document), { alphabetize: false }));
await writeFile(`${root}packages/client/src/api.ts`, `// Made from docs/openapi.json by scripts/generate-openapi.mjs.\n${types}`);
