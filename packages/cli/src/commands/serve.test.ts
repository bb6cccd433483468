import type { ServerResponse } from 'node:http';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { callerToken, cleanUp, configFor, through, upstream, workplace } from '../command-line.test.support.js';

afterEach(cleanUp);

const secret = { DEMO_TOKEN: 'open-sesame' };

const echo = (port: number): string => `http://127.0.0.1:${port}/`;

const applied = (line: string): boolean => line.includes('is in force');
const rejected = (line: string): boolean => line.includes('was not applied');
const stopping = (line: string): boolean => line.includes('"msg":"stopping');

async function headersUpstream(): Promise<number> {
  return upstream((request, response) => response.end(String(request.headers.authorization)));
}

test('a changed configuration is in force at once, an invalid one never', async () => {
  const place = workplace();
  const port = await headersUpstream();
  const config = place.file('sallyport.yaml', configFor(port, { rules: [] }));
  const gateway = await place.serve(config, secret);
  expect((await through(gateway.forward, echo(port), callerToken)).status).toBe(403);

  place.file('sallyport.yaml', configFor(port));
  await gateway.line(applied);
  expect(await through(gateway.forward, echo(port), callerToken)).toEqual({ status: 200, body: 'Bearer open-sesame' });

  place.file('sallyport.yaml', 'gateway:\n  listners: {}\n');
  const report = JSON.parse(await gateway.line(rejected)) as object;
  expect(report).toMatchObject({ level: 50, code: 'config_invalid' });
  expect(report).toHaveProperty('problems', expect.arrayContaining([expect.objectContaining({ line: 2, column: 3, key: 'gateway.listners' })]));
  expect((await through(gateway.forward, echo(port), callerToken)).status).toBe(200);
});

test('SIGHUP applies the configuration again', async () => {
  const place = workplace();
  const port = await headersUpstream();
  const gateway = await place.serve(place.file('sallyport.yaml', configFor(port)), secret);
  gateway.child.kill('SIGHUP');
  await gateway.line(applied);
  expect((await through(gateway.forward, echo(port), callerToken)).status).toBe(200);
});

/** A gateway with a request in flight that the upstream answers when it is told to. */
async function inFlight() {
  const place = workplace();
  let arrived: (response: ServerResponse) => void = () => {};
  const arrival = new Promise<ServerResponse>((resolve) => {
    arrived = resolve;
  });
  const port = await upstream((_, response) => arrived(response));
  // Longer than any test runs: what ends earlier ended for another reason.
  const config = place.file('sallyport.yaml', configFor(port, { more: { shutdown: { drain: '1h' } } }));
  const gateway = await place.serve(config, secret);
  const answer = through(gateway.forward, echo(port), callerToken);
  return { gateway, answer, port, response: await arrival };
}

test.each(['SIGTERM', 'SIGINT'] as const)('%s takes no new connections and lets what is in flight finish', async (signal) => {
  const { gateway, answer, port, response } = await inFlight();
  gateway.child.kill(signal);
  await gateway.line(stopping);
  await expect(through(gateway.forward, echo(port), callerToken)).rejects.toThrow('ECONNREFUSED');
  response.end('after all');
  expect(await answer).toEqual({ status: 200, body: 'after all' });
  expect((await gateway.ended).code).toBe(0);
});

test('a second signal ends at once', async () => {
  const { gateway, answer } = await inFlight();
  const outcome = answer.then(
    () => 'answered',
    (error: unknown) => (error as NodeJS.ErrnoException).code,
  );
  gateway.child.kill('SIGTERM');
  await gateway.line(stopping);
  gateway.child.kill('SIGTERM');
  expect((await gateway.ended).code).toBe(0);
  expect(await outcome).toBe('ECONNRESET');
});

test('what nobody expected ends the gateway, and its message is in no log', async () => {
  const place = workplace();
  const thrower = place.file('thrower.mjs', `process.on('SIGUSR2', () => {\n  throw new RangeError('open-sesame');\n});`);
  const gateway = await place.serve(place.file('sallyport.yaml', configFor(1)), { NODE_OPTIONS: `--import ${pathToFileURL(thrower).href}` });
  gateway.child.kill('SIGUSR2');
  const { code, stdout, stderr } = await gateway.ended;
  expect(stdout).toContain('"code":"internal_error","error":"RangeError","frames":["');
  expect(stdout + stderr).not.toContain('sesame');
  expect(code).toBe(1);
});

test('neither the log nor what is printed holds a secret', async () => {
  const place = workplace();
  const port = await headersUpstream();
  const gateway = await place.serve(place.file('sallyport.yaml', configFor(port)), secret);
  await through(gateway.forward, `${echo(port)}?a=open-sesame`, callerToken);
  gateway.child.kill('SIGTERM');
  const { stdout, stderr } = await gateway.ended;
  expect(stdout).toContain('"msg":"exchange"');
  expect(stdout + stderr).not.toContain('open-sesame');
  expect(stdout + stderr).not.toContain(callerToken);
});
