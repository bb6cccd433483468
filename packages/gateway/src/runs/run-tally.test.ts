import { expect, test } from 'vitest';
import { Exchange } from '../exchange.js';
import { RunTally } from './run-tally.js';

function exchange(fields: Partial<Exchange>): Exchange {
  const made = new Exchange('forward', '127.0.0.1');
  return Object.assign(made, { method: 'GET', host: 'api.example', port: 443, path: '/x' }, fields);
}

test('adds up what the upstream answered, host by host', () => {
  const tally = new RunTally('run-1');
  tally.note(exchange({ upstreamStatus: 200, status: 200, requestBytes: 1, responseBytes: 10, credential: 'a' }));
  tally.note(exchange({ upstreamStatus: 200, status: 200, requestBytes: 2, responseBytes: 20, credential: 'a' }));
  tally.note(exchange({ upstreamStatus: 404, status: 404, credential: 'b' }));
  tally.note(exchange({ host: 'pinned.example', kind: 'tunnel', status: 200, requestBytes: 5, responseBytes: 6 }));
  expect(tally.summary()).toEqual({
    run_id: 'run-1',
    hosts: [
      {
        host: 'api.example',
        port: 443,
        requests: 3,
        tunnels: 0,
        request_bytes: 3,
        response_bytes: 30,
        statuses: { 200: 2, 404: 1 },
        credentials: ['a', 'b'],
        problems: [],
      },
      {
        host: 'pinned.example',
        port: 443,
        requests: 0,
        tunnels: 1,
        request_bytes: 5,
        response_bytes: 6,
        statuses: {},
        credentials: [],
        problems: [],
      },
    ],
    requests_to_further_hosts: 0,
  });
});

test('says of what was refused which rule would allow it, and of a failure what to do', () => {
  const tally = new RunTally('run-1');
  const refused = { outcome: 'refused', error: 'policy_denied', errorDetail: 'no rule', status: 403 } as const;
  tally.note(exchange(refused));
  tally.note(exchange({ ...refused, path: '/y' }));
  tally.note(exchange({ ...refused, host: 'other.example', rule: 'deny other.example' }));
  tally.note(exchange({ outcome: 'failed', error: 'upstream_refused', errorDetail: 'nobody there', status: 502 }));
  const [api, other] = tally.summary().hosts;
  expect(api?.problems).toMatchObject([
    { code: 'policy_denied', outcome: 'refused', count: 2, detail: 'no rule' },
    { code: 'upstream_refused', outcome: 'failed', count: 1, detail: 'nobody there' },
  ]);
  expect(api?.problems[0]?.hint).toContain('"allow api.example GET /x"');
  expect(other?.problems[0]?.hint).not.toContain('allow other.example');
  expect(api?.requests).toBe(0);
});

test('tells a thousand hosts apart and counts the rest', () => {
  const tally = new RunTally('run-1');
  for (let i = 0; i < 1_010; i++) tally.note(exchange({ host: `h${i}.example`, upstreamStatus: 200 }));
  tally.note(exchange({ host: 'h0.example', upstreamStatus: 200 }));
  const { hosts, requests_to_further_hosts: further } = tally.summary();
  expect(hosts).toHaveLength(1_000);
  expect(hosts[0]?.requests).toBe(2);
  expect(further).toBe(10);
});

test('what was handed out does not change afterwards', () => {
  const tally = new RunTally('run-1');
  tally.note(exchange({ upstreamStatus: 200 }));
  const before = tally.summary();
  tally.note(exchange({ upstreamStatus: 200 }));
  expect(before.hosts[0]?.requests).toBe(1);
});
