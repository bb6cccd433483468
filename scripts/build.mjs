// `npm run build`: installs what is missing and compiles what changed.
import './require-node.mjs';

const { prepare } = await import('./workspace.mjs');
process.exitCode = (await prepare()) ? 0 : 1;
