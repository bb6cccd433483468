// `npm start`: installs and builds what is missing, then runs the quickstart. `npm start -- --check` tries what it prints, and ends.
import './require-node.mjs';

const { start } = await import('./quickstart.mjs');
process.exitCode = await start(process.argv.slice(2));
