import { once } from 'node:events';
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { drain } from './drain.js';
import { ask, configOn, operatorToken, type Served, served } from './running.test.support.js';

const BODY = JSON.stringify({ path: 'root.slow' });

/** A request of which the server has the head and half of the body. */
async function halfARequest({ ports }: Served): Promise<ClientRequest> {
  const headers = {
    authorization: `Bearer ${await operatorToken()}`,
    'content-type': 'application/json',
    'content-length': BODY.length,
    expect: '100-continue',
  };
  const request = httpRequest({
    port: ports['admin-api'],
    host: '127.0.0.1',
    path: '/namespaces',
    method: 'POST',
    agent: new Agent({ keepAlive: true }),
    headers,
  });
  request.write(BODY.slice(0, 5));
  await once(request, 'continue');
  return request;
}

describeOnBoth('the end of a process', (databases) => {
  const config = async (drainTime: string) =>
    configOn(await databases.empty(), { shutdown: { drain: drainTime }, services: { admin_api: { health_port: 0 } } });

  test('it is not ready at once, and what is in hand is finished', async () => {
    const control = await served(await config('1h'), ['admin-api']);
    const request = await halfARequest(control);
    const stopped = control.stop();
    const health = await ask(`${control.healthUrl('admin-api')}/readyz`, { token: null });
    expect(health).toMatchObject({ status: 503, body: { ok: false, db: true, stopping: true } });
    expect((await ask(`${control.healthUrl('admin-api')}/healthz`, { token: null })).status).toBe(200);
    await expect
      .poll(() =>
        ask(`${control.url('admin-api')}/ping`).then(
          () => 'answered',
          () => 'refused',
        ),
      )
      .toBe('refused');
    request.end(BODY.slice(5));
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    expect(answer).toMatchObject({ statusCode: 201, headers: { connection: 'close' } });
    expect(JSON.parse(await text(answer))).toMatchObject({ path: 'root.slow' });
    await stopped;
    await expect(ask(`${control.healthUrl('admin-api')}/ping`)).rejects.toThrow('fetch failed');
  });

  test.each(['the time is over', 'it is told to hurry'])('what is not finished is cut when %s', async (when) => {
    const control = await served(await config(when === 'the time is over' ? '200ms' : '1h'), ['admin-api']);
    const request = await halfARequest(control);
    const outcome = once(request, 'error');
    const hurry = new AbortController();
    const stopped = control.stop(hurry.signal);
    if (when !== 'the time is over') hurry.abort();
    expect(await outcome).toMatchObject([{ code: 'ECONNRESET' }]);
    await stopped;
  });

  test('connections that only wait do not hold it up', async () => {
    const control = await served(await config('1h'), ['admin-api']);
    const agent = new Agent({ keepAlive: true });
    const idle = httpRequest({ port: control.ports['admin-api'], host: '127.0.0.1', path: '/ping', agent }).end();
    const [answer] = (await once(idle, 'response')) as [IncomingMessage];
    await text(answer);
    await control.stop();
    agent.destroy();
  });
});

test('tasks that take longer are told to end when the time is over, and when there is haste', async () => {
  const told: (number | undefined)[] = [];
  let end = (_settled: boolean): void => {};
  const runner = {
    stop: (how?: { readonly drainMs?: number }) =>
      new Promise<boolean>((resolve) => {
        told.push(how?.drainMs);
        end = how?.drainMs === 0 ? resolve : end;
        if (how?.drainMs === 0) resolve(true);
      }),
  };
  const hurry = new AbortController();
  const ended = drain({ services: [], runner }, 3_600_000, hurry.signal);
  hurry.abort();
  await ended;
  expect(told).toEqual([3_600_000, 0]);
  end(true);
});

test('when something cannot be ended, the rest is, and it is said', async () => {
  let other = false;
  const services = [
    { drain: async () => Promise.reject(new Error('it does not end')) },
    {
      drain: async () => {
        other = true;
      },
    },
  ];
  await expect(drain({ services, runner: undefined }, 10, undefined)).rejects.toThrow('it does not end');
  expect(other).toBe(true);
});
