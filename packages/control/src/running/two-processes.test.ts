import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { describeOnBoth } from '../database/testing/databases.test.support.js';
import { until } from '../tasks/tasks.test.support.js';
import { newSigner, sign } from '../tokens/tokens.test.support.js';
import { ask, operatorToken } from './running.test.support.js';
import { type Installation, installation, persist, type ServeProcess } from './serve-command.test.support.js';

interface Two extends Installation {
  readonly one: ServeProcess;
  readonly two: ServeProcess;
}

describeOnBoth('two processes of sallyport serve', (databases) => {
  async function both(changes: Readonly<Record<string, unknown>> = {}): Promise<Two> {
    const made = installation(await databases.empty(), changes);
    // Both at once, as several machines would.
    const [code] = await Promise.all([made.run('migrate'), made.run('migrate')]).then((runs) => runs.map((run) => run.code));
    expect(code).toBe(0);
    const [one, two] = await Promise.all([made.serve('api', 'admin-api', 'public'), made.serve('api', 'worker')]);
    return { ...made, one, two };
  }

  test('are one control plane', async () => {
    const { one, two } = await both();
    const [first, second] = [one.url('api'), two.url('api')];
    for (let index = 0; index < 5; index += 1) {
      expect(
        (await ask(`${index % 2 === 0 ? first : second}/namespaces`, { method: 'POST', body: JSON.stringify({ path: `root.n${index}` }) })).status,
      ).toBe(201);
    }

    // A cursor of one goes on at the other, and a key that one has answered is answered by the other.
    const page = await ask(`${first}/namespaces?limit=3`);
    const rest = await ask(`${second}/namespaces?cursor=${encodeURIComponent(String(page.body.cursor))}&limit=3`);
    const paths = [...page.body.items, ...rest.body.items].map(({ path }: { path: string }) => path);
    expect(paths).toEqual(['root', 'root.n0', 'root.n1', 'root.n2', 'root.n3', 'root.n4']);
    const again = { method: 'POST', body: JSON.stringify({ path: 'root.once' }), headers: { 'idempotency-key': randomUUID() } };
    const answers = [await ask(`${first}/namespaces`, again), await ask(`${second}/namespaces`, again)];
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect(answers[1]?.text).toBe(answers[0]?.text);

    // What is changed through one is so at the other with the next request.
    const signer = newSigner('ed25519');
    const permissions = [{ namespace: 'root.n0.**', resources: ['*'], verbs: ['*'] }];
    const actor = await ask(`${first}/actors`, { method: 'POST', body: JSON.stringify({ external_id: 'eve', permissions }) });
    const key = { public_key: JSON.stringify(signer.publicJwk) };
    expect((await ask(`${second}/actors/${actor.body.id}/keys`, { method: 'POST', body: JSON.stringify(key) })).status).toBe(201);
    const now = Math.floor(Date.now() / 1000);
    const token = await sign(signer, { iss: 'eve', sub: 'eve', namespace: 'root', aud: ['api'], iat: now, exp: now + 300 });
    for (const url of [first, second]) expect((await ask(`${url}/namespaces/root.n0`, { token })).status).toBe(200);
    expect((await ask(`${first}/actors/${actor.body.id}`, { method: 'DELETE' })).status).toBe(204);
    for (const url of [second, first]) expect((await ask(`${url}/namespaces/root.n0`, { token })).status).toBe(401);

    // A token for one use has been used everywhere.
    const single = await operatorToken({ nonce: `non_${randomUUID().replaceAll('-', '')}` });
    expect([(await ask(`${first}/namespaces`, { token: single })).status, (await ask(`${second}/namespaces`, { token: single })).status]).toEqual([
      200, 401,
    ]);

    // The worker does what the other one was asked for.
    const { body } = await ask(`${one.url('admin-api')}/reencryption/_run`, { method: 'POST' });
    await until(async () => (await ask(`${second}/tasks/${body.task_id}`)).body.state === 'succeeded');
    expect(await Promise.all([one.end('SIGTERM'), two.end('SIGTERM')])).toEqual([0, 0]);
  }, 120_000);

  test(`${databases.dialect === 'postgres' ? 'share' : 'do not share'} their limits`, async () => {
    const { one, two } = await both({ rate_limits: { actor: { requests: 10, per: '1h' } } });
    for (let index = 0; index < 10; index += 1) expect((await ask(`${one.url('api')}/namespaces`)).status).toBe(200);
    expect((await ask(`${one.url('api')}/namespaces`)).status).toBe(429);
    if (databases.dialect === 'sqlite') expect((await ask(`${two.url('api')}/namespaces`)).status).toBe(200);
    else await until(async () => (await ask(`${two.url('api')}/namespaces`)).status === 429);
  }, 120_000);

  test('are restarted one after the other, and nobody is left without an answer', async () => {
    const made = await both();
    const serving = [made.one, made.two];
    let turn = 0;
    let done = false;
    const url = (): string => {
      turn += 1;
      return serving[turn % serving.length].url('api');
    };
    let written = 0;
    const client = (async () => {
      for (; !done; written += 1) {
        const { status } = await persist(url, 'POST', '/namespaces', { path: `root.r${written}` }, `restart-${written}`);
        expect(status).toBe(201);
      }
    })();
    for (const index of [0, 1]) {
      const before = written;
      await until(() => written > before + 5);
      const next = await made.serve('api', 'worker');
      const old = serving[index];
      serving[index] = next;
      expect(await old.end('SIGTERM')).toBe(0);
    }
    done = true;
    await client;
    const { body } = await ask(`${url()}/namespaces?limit=1000`);
    expect(body.items.filter(({ path }: { path: string }) => path.startsWith('root.r'))).toHaveLength(written);
  }, 120_000);
});
