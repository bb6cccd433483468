// Writes docs/config.schema.json and docs/configuration.md from the configuration schemas of the built gateway and control plane.
// Run it after `npm run build` whenever the schema changed; a test fails while the two files are stale.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const { configJsonSchema, configReference } = await import(new URL('packages/gateway/dist/index.js', root).href);
const { controlSection } = await import(new URL('packages/control/dist/config/control-section.js', root).href);

const schemaFile = fileURLToPath(new URL('docs/config.schema.json', root));
writeFileSync(schemaFile, `${JSON.stringify(configJsonSchema(controlSection), null, 2)}\n`);
writeFileSync(new URL('docs/configuration.md', root), configReference(controlSection));

// The formatter checks every JSON file of the repository, generated or not.
const biome = fileURLToPath(new URL('node_modules/@biomejs/biome/bin/biome', root));
const { status } = spawnSync(process.execPath, [biome, 'format', '--write', schemaFile], { stdio: ['ignore', 'ignore', 'inherit'] });
process.exitCode = status ?? 1;
