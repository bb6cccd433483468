// `npm test [-- [--only checks|tests] [FILTER…]]`: every check and every test; the last line has the counts.
import './require-node.mjs';

const { test } = await import('./test-run.mjs');
process.exitCode = await test(process.argv.slice(2));
