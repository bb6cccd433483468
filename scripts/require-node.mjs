// Imported by every command before anything else. It imports nothing and uses old syntax only, so that a Node that is too old
// reaches the sentence below instead of failing to parse a newer file. The version is the one in `engines` of package.json.
const needed = [20, 20];
const found = process.versions.node.split('.').map(Number);

if (found[0] < needed[0] || (found[0] === needed[0] && found[1] < needed[1])) {
  console.error(`Sallyport needs Node ${needed.join('.')} or newer; this is Node ${process.versions.node} (${process.execPath}).`);
  console.error('Install a newer Node from https://nodejs.org/ or with your version manager, then run the same command again.');
  process.exit(1);
}
