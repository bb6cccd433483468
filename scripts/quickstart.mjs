import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { indented, root, run } from './command.mjs';
import { prepare } from './workspace.mjs';

const sallyport = path.join('packages', 'cli', 'bin', 'sallyport.mjs');
const startLimitMs = 60_000;

/** `wanted` when nothing listens there, otherwise a port that is free now. With 0 always the latter. */
async function freePort(wanted) {
  const server = createServer();
  const listening = once(server, 'listening').then(
    () => true,
    () => false,
  );
  server.listen(wanted, '127.0.0.1');
  if (!(await listening)) return freePort(0);
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The example's configuration with other ports in it. */
function render(ports) {
  let text = readFileSync(path.join(root, 'examples', 'quickstart', 'sallyport.yaml'), 'utf8');
  for (const [written, port] of Object.entries(ports)) {
    if (!text.includes(written)) throw new Error(`examples/quickstart/sallyport.yaml no longer has port ${written}`);
    text = text.replaceAll(written, String(port));
  }
  return text;
}

/** Writes everything that the gateway reads; the authority in there stays what it was on the last start. */
function writeState(directory, { configuration, apiToken, callerToken, upstreamAuthority }) {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const write = (name, text, mode) => writeFileSync(path.join(directory, name), text, { mode });
  write('sallyport.yaml', configuration, 0o644);
  write('api-token', apiToken, 0o600);
  write('caller-token', callerToken, 0o600);
  write('upstream-ca.crt', upstreamAuthority, 0o644);
}

async function isReady(opsPort) {
  try {
    return (await fetch(`http://127.0.0.1:${opsPort}/_ops/ready`)).ok;
  } catch {
    return false;
  }
}

/**
 * Starts the gateway as a process of its own and waits until it is ready. It has its own process group: a Ctrl-C in the terminal
 * reaches this process only, which then asks the gateway to stop, once.
 *
 * @returns {Promise<{ ended: Promise<number>, stop: () => void } | null>} null when it ended before it was ready; it has said why
 */
async function startGateway(configFile, opsPort, output) {
  const child = spawn(process.execPath, [sallyport, 'serve', '--config', configFile], {
    cwd: root,
    detached: process.platform !== 'win32',
    stdio: ['ignore', output, output],
  });
  const ended = once(child, 'close').then(([code]) => code ?? 1);
  const stop = () => void child.kill('SIGTERM');
  const deadline = Date.now() + startLimitMs;
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    if (await isReady(opsPort)) return { ended, stop };
    await wait(50);
  }
  stop();
  await ended;
  return null;
}

/** The commands to paste, in the order in which they tell the story. `expect` is what their output must have in it. */
function commands(directory, { upstreamPort, forwardPort, apiToken, callerToken }) {
  const state = path.relative(root, directory);
  const url = `https://localhost:${upstreamPort}/headers`;
  const fetchIt = `node -e "fetch('${url}').then(async (r) => console.log(r.status, await r.text()))"`;
  // Where the environment sends curl through another proxy, or past any, the commands have to say that they mean it.
  const { env } = process;
  const direct = env.https_proxy || env.HTTPS_PROXY || env.all_proxy || env.ALL_PROXY ? " --noproxy '*'" : '';
  const proxied = env.no_proxy || env.NO_PROXY ? " --noproxy ''" : '';
  const arrived = `Bearer …${apiToken.slice(-4)}`;
  return [
    {
      program: 'curl',
      title: 'Straight to the API, without its token: 401.',
      command: `curl -i${direct} --cacert ${state}/upstream-ca.crt ${url}`,
      expect: ['HTTP/1.1 401'],
    },
    {
      program: 'curl',
      title: 'The same through the gateway, still without the token: 200.',
      command: `curl -i${proxied} --proxy http://demo:${callerToken}@127.0.0.1:${forwardPort} --cacert ${state}/ca/ca.crt ${url}`,
      expect: [arrived],
    },
    {
      program: 'node',
      title: 'Straight to the API, without its token: 401.',
      command: `NODE_EXTRA_CA_CERTS=${state}/upstream-ca.crt ${fetchIt}`,
      expect: ['401 {'],
    },
    {
      program: 'node',
      title: 'Any program under `sallyport run`: the proxy and the certificates are set up for it.',
      command: `node ${sallyport} run --config ${state}/sallyport.yaml -- ${fetchIt}`,
      expect: ['200 {', arrived],
    },
  ];
}

function printGuide(list, { upstreamPort, forwardPort, opsPort, directory }) {
  const show = (program) =>
    list
      .filter((entry) => entry.program === program)
      .map(({ title, command }) => `  # ${title}\n  ${command}\n`)
      .join('\n');
  console.log(`
The gateway runs. Programs connect to http://127.0.0.1:${forwardPort}; its configuration is ${path.relative(root, directory)}/sallyport.yaml.
Behind it is a small API, https://localhost:${upstreamPort}, that answers 401 to everyone who does not send its token.
Open a second terminal in ${root} and paste.

With curl:

${show('curl')}
Without curl:

${show('node')}
Next: edit that configuration while the gateway runs; see its metrics at http://127.0.0.1:${opsPort}/metrics;
read examples/quickstart/sallyport.yaml and docs/. Every request leaves one line below. Ctrl-C stops everything.
`);
}

/** Runs each command in a shell, exactly as it was printed, and says which did not do what its title says. */
async function checkCommands(list) {
  let failed = 0;
  for (const { program, command, expect } of list) {
    if (program === 'curl' && !(await run('curl', ['--version'])).ok) {
      console.log(`- skipped, curl is not installed: ${command}`);
      continue;
    }
    const { ok, output } = await run(command, [], { shell: true, timeout: 60_000 });
    const good = ok && expect.every((text) => output.includes(text));
    console.log(`${good ? '✓' : '✗'} ${command}`);
    if (!good) {
      failed++;
      console.log(`    The output should have ${expect.map((text) => `"${text}"`).join(' and ')} in it, but was:\n${indented(output)}`);
    }
  }
  return failed === 0 ? 0 : 1;
}

/**
 * Resolves when somebody asks this process to stop. A signal to npm ends the shell between npm and this process and goes no further,
 * so under npm a parent that is gone counts as a signal.
 */
function stopRequested() {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, resolve);
    if (process.env.npm_lifecycle_event === undefined) return;
    const parent = process.ppid;
    const timer = setInterval(() => {
      if (process.ppid !== parent) resolve();
    }, 500);
    timer.unref();
  });
}

async function runQuickstart(directory, { check }) {
  // Only here, because it needs packages that `prepare` has to install first.
  const { startUpstream } = await import('../examples/quickstart/upstream.mjs');
  const apiToken = randomBytes(24).toString('hex');
  const callerToken = randomBytes(16).toString('hex');
  const upstream = await startUpstream(apiToken);
  try {
    const forwardPort = await freePort(check ? 0 : 9080);
    const opsPort = await freePort(check ? 0 : 9090);
    if (!check && forwardPort !== 9080) console.log(`Port 9080 is taken, so the gateway listens on ${forwardPort} instead.`);
    if (!check && opsPort !== 9090) console.log(`Port 9090 is taken, so its metrics are on ${opsPort} instead.`);
    const configuration = render({ 9080: forwardPort, 9090: opsPort, 9443: upstream.port });
    writeState(directory, { configuration, apiToken, callerToken, upstreamAuthority: upstream.authority });

    const stopping = stopRequested();
    const logFile = path.join(directory, 'gateway.log');
    const gateway = await startGateway(path.join(directory, 'sallyport.yaml'), opsPort, check ? openSync(logFile, 'w', 0o600) : 'inherit');
    if (gateway === null) {
      console.error(`✗ The gateway did not start.${check ? `\n${indented(readFileSync(logFile, 'utf8'))}` : ''}`);
      return 1;
    }
    const list = commands(directory, { upstreamPort: upstream.port, forwardPort, apiToken, callerToken });
    if (!check) printGuide(list, { upstreamPort: upstream.port, forwardPort, opsPort, directory });
    const result = await Promise.race([
      stopping.then(() => (check ? 1 : 0)),
      ...(check ? [checkCommands(list)] : []),
      gateway.ended.then(() => 'ended'),
    ]);
    if (result === 'ended') {
      console.error(`✗ The gateway ended by itself, with exit code ${await gateway.ended}.`);
      return 1;
    }
    if (check && result !== 0) console.log(`The gateway's log:\n${indented(readFileSync(logFile, 'utf8'))}`);
    if (!check && result === 0) console.log('\nStopping …');
    gateway.stop();
    // The gateway takes a second signal as "at once".
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, gateway.stop);
    await gateway.ended;
    return result;
  } finally {
    await upstream.close();
  }
}

/**
 * The quickstart: an API that wants a token, a gateway that has it, and the requests that show it. Runs until it is asked to stop.
 * With `--check` it makes the requests itself, on other ports and in another directory, and ends.
 *
 * @param {string[]} args
 * @returns {Promise<number>} the exit code
 */
export async function start(args) {
  const check = args.length === 1 && args[0] === '--check';
  if (args.length > 0 && !check) {
    console.error('Usage: npm start [-- --check]');
    return 2;
  }
  if (!(await prepare())) return 1;
  if (!check) return runQuickstart(path.join(root, '.cache', 'quickstart'), { check });
  const directory = path.join(root, '.cache', `quickstart-check-${process.pid}`);
  try {
    return await runQuickstart(directory, { check });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
