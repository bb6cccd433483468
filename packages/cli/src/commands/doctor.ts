import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Gateway, openAuthority, parseConfig, prepareOffer, Runs, startGateway } from '@sallyport/gateway';
import { SallyportError } from '@sallyport/sdk';
import { type Client, clients } from '../doctor/clients.js';
import { startTestUpstream, type TestUpstream, testPlaces } from '../doctor/test-upstream.js';
import { type ClientResult, tryClient } from '../doctor/try-client.js';
import { prepareEnvironment } from '../run/child-environment.js';
import { coloursFor, columns, printJson } from '../terminal.js';
import { version } from '../version.js';

const AT_ONCE = 3;

/** `sallyport doctor`: 0 when every client that is installed works, otherwise 1. */
export async function doctor(names: readonly string[], { output }: { output: 'text' | 'json' }): Promise<number> {
  const chosen = choose(names);
  const scratch = await mkdtemp(join(tmpdir(), 'sallyport-doctor-'));
  try {
    const results = await examine(chosen, scratch);
    if (output === 'json') printJson(results);
    else process.stdout.write(table(results));
    return results.some(({ result }) => result === 'failed') ? 1 : 0;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** By the first word of their names, so that `python3` is all of them. */
function choose(names: readonly string[]): readonly Client[] {
  if (names.length === 0) return clients;
  const known = [...new Set(clients.map(({ name }) => name.split(' ')[0]))];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return clients.filter(({ name }) => names.includes(name.split(' ')[0]));
  throw new SallyportError('not_found', {
    detail: `The doctor does not know a client named ${JSON.stringify(unknown)}.`,
    hint: `It knows ${known.join(', ')}.`,
  });
}

async function examine(chosen: readonly Client[], scratch: string): Promise<ClientResult[]> {
  const authority = await openAuthority({ dir: join(scratch, 'upstream-ca'), create: true });
  const token = randomBytes(24).toString('hex');
  const places = await testPlaces();
  const named = await startTestUpstream(places.named, { authority, token });
  const beyond = places.beyondLoopback === places.named ? named : await startTestUpstream(places.beyondLoopback, { authority, token });
  try {
    const config = configFor([named, beyond], { ca: authority.certificatePath, token });
    const gateway = await startGateway(parseConfig(JSON.stringify(config), { path: join(scratch, 'sallyport.yaml') }).gateway, {
      version: version(),
    });
    try {
      const env = await environmentFor(gateway, scratch);
      return await several(chosen, (client) => tryClient(client, { env, origin: (client.avoidsLoopback ? beyond : named).origin, scratch }));
    } finally {
      await gateway.stop(AbortSignal.abort());
    }
  } finally {
    named.close();
    beyond.close();
  }
}

function configFor(upstreams: readonly TestUpstream[], { ca, token }: { ca: string; token: string }): object {
  const hosts = upstreams.map(({ host }) => host);
  return {
    gateway: {
      listeners: { forward: { port: 0 } },
      authority: { dir: './ca' },
      policy: { rules: upstreams.map(({ host, address }) => `allow ${host} * /** to ${address}`) },
      credentials: {
        doctor: { source: { type: 'static', value: token }, bind: [{ hosts, place: { header: 'Authorization', format: 'Bearer {secret}' } }] },
      },
      upstream: { ca: [ca] },
      log: { level: 'silent' },
    },
  };
}

/** What a program under `sallyport run` gets, written to `scratch`. */
async function environmentFor(gateway: Gateway, scratch: string): Promise<Record<string, string>> {
  const offerTo = await prepareOffer(gateway);
  // A host that the user reaches directly would prove nothing.
  const env = { ...process.env, NO_PROXY: undefined, no_proxy: undefined };
  return prepareEnvironment(offerTo(new Runs().begin(gateway, 'all')), scratch, env);
}

/** The results in the order of the things, with a few of them under way at a time. */
async function several<Thing, Result>(things: readonly Thing[], work: (thing: Thing) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  const left = [...things.entries()];
  const worker = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) results[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

function table(results: readonly ClientResult[]): string {
  const colours = coloursFor(process.stdout);
  const paint = { ok: colours.green, failed: colours.red, 'not installed': colours.dim };
  const rows = [
    ['client', 'version', 'result'].map(colours.dim),
    ...results.map((one) => [one.client, one.version ?? '', paint[one.result](one.result)]),
  ];
  const failed = results.filter(({ result }) => result === 'failed');
  const fixes = failed.map(({ client, said, fix }) => `\n${colours.bold(client)} said: ${said}\n  ${fix}\n`);
  return `${columns(rows)}\n${fixes.join('')}`;
}
