import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TLSSocket } from 'node:tls';
import { parseConfig, startGateway } from '@sallyport/gateway';
import { answerGit } from './upstream/git-server.js';
import { answerNpm, answerPypi, type Package } from './upstream/package-registry.js';
import { type Answer, type Host, type Seen, startHttp, startHttps } from './upstream/servers.js';
import { answerSite } from './upstream/site.js';

/** What the gateway recorded of one exchange. */
export interface Recorded {
  readonly kind: string;
  readonly scheme: string;
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly caller: string | null;
  readonly credential: string | null;
  readonly verdict: string | null;
  readonly status: number;
  readonly outcome: string;
  readonly error: string | null;
  readonly errorDetail: string | null;
}

/** A running gateway with the servers behind it. Every server is on loopback; their names are known to the gateway only. */
export interface World {
  /** An empty directory for what the clients keep. */
  readonly directory: string;
  readonly token: string;
  readonly proxyPort: number;
  /** The proxy with the token in it, as a variable of the environment has it. */
  readonly proxyUrl: string;
  /** The authority of the gateway, and that of the host whose connections pass unseen: a client trusts only one of the two. */
  readonly gatewayCa: string;
  readonly pinnedCa: string;
  /** The authority of the servers that want a credential, which only the gateway trusts. */
  readonly upstreamCa: string;
  /** Origins without a slash at the end: of hosts that want a credential, of the plain one, of the one that passes unseen, of one that is refused. */
  readonly api: string;
  readonly git: string;
  readonly npm: string;
  readonly pypi: string;
  readonly plain: string;
  readonly pinned: string;
  readonly refused: string;
  /** The repositories behind `git`. */
  readonly repositories: string;
  /** What the registries hand out. */
  readonly packages: { npm: Package; pypi: Package };
  /** What nobody but the gateway and the servers may know, in every form. */
  readonly secrets: readonly string[];
  /** What the headers of the hosts that want a credential must say. */
  readonly bearer: string;
  readonly basic: string;
  /** What arrived at any server, and what the gateway recorded, since the last `forget`. */
  seen(): readonly Seen[];
  recorded(): readonly Recorded[];
  forget(): void;
  stop(): Promise<void>;
}

const domain = 'sallyport.test';

/** Starts servers and gateway. */
export async function startWorld(): Promise<World> {
  const directory = mkdtempSync(path.join(tmpdir(), 'sallyport-clients-'));
  const repositories = path.join(directory, 'repositories');
  mkdirSync(repositories);
  const [secret, password, token] = [24, 24, 24].map((size) => randomBytes(size).toString('hex')) as [string, string, string];
  const bearer = `Bearer ${secret}`;
  const basic = `Basic ${Buffer.from(`robot:${password}`).toString('base64')}`;
  const nothing: Package = { file: 'none', bytes: Buffer.alloc(0) };
  const packages = { npm: nothing, pypi: nothing };

  const answerRepositories: Answer = (request, response) => answerGit(repositories, request, response);
  const answerIndex: Answer = (request, response) => answerPypi(packages.pypi, request, response);
  const answerRegistry = (path: string): Answer => {
    return (request, response) => {
      const scheme = request.socket instanceof TLSSocket ? 'https' : 'http';
      answerNpm(packages.npm, `${scheme}://${request.headers.host}${path}`, request, response);
    };
  };
  const secure = new Map<string, Host>([
    [`api.${domain}`, { authorization: bearer, answer: answerSite }],
    [`git.${domain}`, { authorization: basic, answer: answerRepositories }],
    [`npm.${domain}`, { authorization: bearer, answer: answerRegistry('') }],
    [`pypi.${domain}`, { authorization: basic, answer: answerIndex }],
  ]);
  const mounted: Readonly<Record<string, Answer>> = { git: answerRepositories, npm: answerRegistry('/npm'), pypi: answerIndex };
  // One host for everything, where nobody needs a credential.
  const open: Host = {
    authorization: null,
    answer: (request, response) => {
      const [, mount = '', rest = ''] = /^\/(\w+)(\/.*)$/.exec(request.url ?? '') ?? [];
      const answer = mounted[mount];
      if (answer !== undefined) request.url = rest;
      (answer ?? answerSite)(request, response);
    },
  };
  const https = await startHttps(path.join(directory, 'upstream-ca'), secure);
  const pinned = await startHttps(path.join(directory, 'pinned-ca'), new Map([[`pinned.${domain}`, open]]));
  const plain = await startHttp(new Map([[`plain.${domain}`, open]]));

  const recorded: Recorded[] = [];
  const configuration = `
gateway:
  listeners: { forward: { port: 0 } }
  authority: { dir: gateway-ca }
  policy:
    rules:
      - allow *.${domain}:${https.port} to 127.0.0.1
      - allow plain.${domain}:${plain.port} to 127.0.0.1
      - passthrough pinned.${domain}:${pinned.port} to 127.0.0.1
  credentials:
    token:
      source: { type: static, value: ${secret} }
      bind: [{ hosts: ["api.${domain}:*", "npm.${domain}:*"], place: { header: Authorization, format: "Bearer {secret}" } }]
    password:
      source: { type: static, value: ${password} }
      bind: [{ hosts: ["git.${domain}:*", "pypi.${domain}:*"], place: { basic: { username: robot } } }]
  callers:
    tester: { token: ${token}, credentials: all }
  upstream:
    ca: [${https.caFile}]
    hosts:
${[...secure.keys(), `plain.${domain}`, `pinned.${domain}`].map((name) => `      ${name}: 127.0.0.1`).join('\n')}
  log: { file: gateway.log }
`;
  const { gateway: config } = parseConfig(configuration, { path: path.join(directory, 'sallyport.yaml') });
  const gateway = await startGateway(config, {
    version: '0.0.0-test',
    onExchange: ({ kind, scheme, host, method, path: requestPath, caller, credential, verdict, status, outcome, error, errorDetail }) => {
      const name = caller?.name ?? null;
      recorded.push({ kind, scheme, host, method, path: requestPath, caller: name, credential, verdict, status, outcome, error, errorDetail });
    },
  });
  const proxyPort = gateway.ports.forward as number;
  const servers = [https, pinned, plain];

  return {
    directory,
    token,
    proxyPort,
    proxyUrl: `http://any:${token}@127.0.0.1:${proxyPort}`,
    gatewayCa: gateway.authority.certificatePath,
    pinnedCa: pinned.caFile,
    upstreamCa: https.caFile,
    api: `https://api.${domain}:${https.port}`,
    git: `https://git.${domain}:${https.port}`,
    npm: `https://npm.${domain}:${https.port}`,
    pypi: `https://pypi.${domain}:${https.port}`,
    plain: `http://plain.${domain}:${plain.port}`,
    pinned: `https://pinned.${domain}:${pinned.port}`,
    refused: `https://api.${domain}:9`,
    repositories,
    packages,
    secrets: [secret, password, basic.slice('Basic '.length)],
    bearer,
    basic,
    seen: () => servers.flatMap(({ seen }) => seen),
    recorded: () => recorded,
    forget: () => {
      for (const { seen } of servers) seen.length = 0;
      recorded.length = 0;
    },
    stop: async () => {
      await gateway.stop(AbortSignal.abort());
      await Promise.all(servers.map((server) => server.stop()));
      const log = readFileSync(path.join(directory, 'gateway.log'), 'utf8');
      rmSync(directory, { recursive: true, force: true });
      if ([secret, password, token].some((one) => log.includes(one))) throw new Error('the log of the gateway has a secret in it');
    },
  };
}
