// Writes docs/cli.md from the definitions of the built command line.
// Run it after `npm run build` whenever a command changed; a test fails while the file is stale.
import { writeFileSync } from 'node:fs';

const root = new URL('../', import.meta.url);
const { cliPage } = await import(new URL('packages/cli/dist/cli-page.js', root).href);
writeFileSync(new URL('docs/cli.md', root), cliPage());
