import { minimalConfig } from './config-file.js';
import { clientOptions, isShared } from './control/client-options.js';
import type { DocumentedCommand } from './documented-command.js';
import { exitCodes } from './failure.js';
import { createProgram } from './program.js';

/** docs/cli.md: every command, made from the definitions that the command line itself is parsed with. */
export function cliPage(): string {
  const program = createProgram(() => {});
  const commands = program.commands.flatMap((command) => {
    const one = command as DocumentedCommand;
    return one.commands.length === 0 ? [one] : (one.commands as DocumentedCommand[]);
  });
  return `${[
    '# The command',
    '<!-- Generated from packages/cli/src by `node scripts/generate-cli-docs.mjs` after a build; do not edit. -->',
    program.description(),
    table(
      ['Command', 'Does'],
      commands.map((command) => [`[\`${nameOf(command)}\`](#${nameOf(command).replaceAll(' ', '-')})`, sentence(command.summary())]),
    ),
    '`--help` after any of them prints what stands here. Colours are used on a terminal only, and not where `NO_COLOR` is set. Errors are a ' +
      'sentence, ' +
      'a code that never changes, and what to do about it, on standard error; `SALLYPORT_DEBUG=1` adds where in the program they come from.',
    ...commands.map(section),
    ...clientSection,
    ...configurationSection,
    '## Exit codes',
    table(['Code', 'Meaning'], Object.entries(exitCodes)),
    'Under `sallyport run` the exit code is that of the program, 128 + N when signal N ended it, 127 when there is no such program and 126 when it ' +
      'cannot be started. The codes above then mean that it was not started at all.',
    ...runSections,
  ].join('\n\n')}\n`;
}

function section(command: DocumentedCommand): string {
  const usage = `sallyport ${nameOf(command)} ${command.usage()}`.trim();
  const parts = [`## ${nameOf(command)}`, `\`\`\`\n${usage}\n\`\`\``, command.description()];
  const rows = [
    ...command.registeredArguments.map((argument) => [
      `\`${argument.required ? `<${argument.name()}>` : `[${argument.name()}]`}\``,
      sentence(argument.description),
    ]),
    ...command.options
      .filter((option) => !option.hidden && !isShared(option))
      .map(({ flags, description, argChoices, defaultValue, defaultValueDescription }) => {
        const choices = argChoices === undefined ? '' : ` (${argChoices.map((choice) => `\`${choice}\``).join(', ')})`;
        // What can be turned off has no value to be named.
        const named = defaultValue === undefined || typeof defaultValue === 'boolean' ? undefined : (defaultValueDescription ?? String(defaultValue));
        const otherwise = named === undefined ? '' : ` \`${named}\` when left out.`;
        return [`\`${flags}\``, `${sentence(`${description}${choices}`)}${otherwise}`];
      }),
  ];
  if (rows.length > 0) parts.push(table(['Argument or option', 'Meaning'], rows));
  if (command.options.some(isShared)) parts.push('The options that say [who asks, and whom](#who-asks-and-whom), go with it too.');
  if (command.examples.length > 0) parts.push(`\`\`\`sh\n${command.examples.join('\n')}\n\`\`\``);
  return parts.join('\n\n');
}

/** The whole name, without that of the program itself. */
function nameOf(command: DocumentedCommand): string {
  const { parent } = command;
  return parent === null || parent.parent === null ? command.name() : `${parent.name()} ${command.name()}`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n');
}

const clientSection = [
  '## Who asks, and whom',
  'Every command that calls the control plane, or signs a token for it, takes these; those that only sign take the first five. What they leave out is ' +
    'in `~/.sallyport.yaml`, which `sallyport login` writes: [the control plane from the command line](control-cli.md).',
  table(
    ['Option', 'Meaning'],
    clientOptions().map(({ flags, description }) => [`\`${flags}\``, sentence(description)]),
  ),
];

const configurationSection = [
  '## Which configuration',
  'The one that `--config` names, the one that `SALLYPORT_CONFIG` names, `./sallyport.yaml`, `~/.sallyport/sallyport.yaml`: the first of these. ' +
    'What is ' +
    'named has to be there. A small one to begin with; [configuration](configuration.md) has every key:',
  `\`\`\`yaml\n${minimalConfig}\n\`\`\``,
];

const variables: readonly (readonly [string, string, string])[] = [
  ['`HTTP_PROXY`, `HTTPS_PROXY`, `http_proxy`, `https_proxy`', 'nearly everything', 'the proxy with the token of the run'],
  ['`NO_PROXY`, `no_proxy`', 'the same', 'the entries of both, each once; nothing is added, not even `localhost`'],
  ['`SSL_CERT_FILE`, `NIX_SSL_CERT_FILE`', 'OpenSSL, Go, Python, Ruby, Rust', 'bundle'],
  ['`CURL_CA_BUNDLE`', 'curl', 'bundle'],
  ['`GIT_SSL_CAINFO`, `GIT_HTTP_PROXY_AUTHMETHOD`', 'git', 'bundle; `basic`'],
  ['`REQUESTS_CA_BUNDLE`, `PIP_CERT`', 'Python requests, pip', 'bundle'],
  ['`NODE_EXTRA_CA_CERTS`', 'Node.js', 'the certificate of the authority'],
  [
    '`NODE_USE_ENV_PROXY`, `NODE_OPTIONS`',
    'Node.js',
    '`1` for versions that know it; for the others a module to load is added, which teaches `fetch`, `node:http` and `node:https` to use the proxy',
  ],
  ['`npm_config_proxy`, `npm_config_https_proxy`, `npm_config_cafile`', 'npm, pnpm', 'the proxy; bundle'],
  ['`AWS_CA_BUNDLE`', 'AWS CLI, boto3', 'bundle'],
  ['`CARGO_HTTP_CAINFO`', 'cargo', 'bundle'],
  ['`DENO_CERT`', 'Deno', 'bundle'],
  ['`BUNDLE_SSL_CA_CERT`', 'Bundler', 'bundle'],
  ['`WGETRC`', 'wget', 'your settings with the bundle added: wget has no variable for it'],
  ['`JAVA_TOOL_OPTIONS`', 'Java', 'proxy, trust store and a small agent are added; see below'],
];

const runSections = [
  '## What a program under run gets',
  'The environment of whoever calls, without the variables that hold secrets of the configuration: those that credentials are read from, and those ' +
    'whose value is a token or a credential in it. On top come:',
  table(['Variable', 'For', 'Holds'], variables),
  'The bundle is a file with the certificate of the authority, the public roots, those under `gateway.upstream.ca`, and whatever the variables ' +
    'named ' +
    'before. It lives in a directory that only you can enter, and goes with the run. `ALL_PROXY` is left as it is: what is not HTTP does not go ' +
    'through ' +
    'this proxy. Hosts in your `NO_PROXY` are reached directly, without credentials. `localhost` is not among them by itself, because it is often ' +
    'what is ' +
    'to be reached; a program that has to reach servers of its own on `localhost` wants `NO_PROXY=localhost`.',
  '**Java** takes the address of a proxy from properties, but asks code for the password; the agent is that code, and answers for this proxy ' +
    'only. It ' +
    'works for everything that asks the default `Authenticator`. `java.net.http.HttpClient` does not: give it ' +
    '`.authenticator(Authenticator.getDefault())`. Java prints `Picked up JAVA_TOOL_OPTIONS` when it starts; the token is not in there. A Java ' +
    'that was ' +
    'cut down to less than the module `java.instrument` does not start with an agent: run it with `env -u JAVA_TOOL_OPTIONS`.',
  '`sallyport doctor` tries all of this with what is installed on the machine.',
  '## Runs and running gateways',
  'When `sallyport serve` runs with the same file, `sallyport run` joins it: it asks for a token over a socket in `~/.sallyport/run`, which only ' +
    'you can ' +
    'reach, and needs none of the secrets itself. Otherwise, and with `--allow` or `--mode`, it starts a gateway of its own on a free loopback ' +
    'port, where ' +
    'no other caller gets in; its log is in `~/.sallyport/log`, unless the configuration names one. Either way the token ends with the run, ' +
    'however that ends.',
  'A run may use the credentials that `--credentials` names; without it, those of the caller named `run`, if the configuration has one; otherwise ' +
    'all of ' +
    'them, since whoever can run with a configuration can also read it.',
  'SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 are passed on to the program; SIGINT and SIGQUIT too, unless a terminal sent them to it already. The ' +
    'report at ' +
    'the end is printed on standard error when that is a terminal, or with `--report`.',
];
