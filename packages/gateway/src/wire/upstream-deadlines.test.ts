import { performance } from 'node:perf_hooks';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CollectedResponse } from './testing/collected-response.test.support.js';
import { settled } from './testing/server-port.test.support.js';
import { begin, OK, REQUEST } from './testing/upstream-exchange.test.support.js';
import { UpstreamPort } from './testing/upstream-port.test.support.js';

let port: UpstreamPort;

const MINUTE = 60_000;
const timeouts = { responseHead: 10 * MINUTE, idle: 5 * MINUTE };

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
  vi.spyOn(performance, 'now').mockImplementation(() => Date.now());
  port = await UpstreamPort.open();
});
afterEach(async () => {
  await port.close();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

test('a response head that does not come, counted from the end of the request; interim responses do not help', async () => {
  const { connection, peer } = await port.connect(timeouts);
  const response = new CollectedResponse(connection);
  connection.begin(response, 'GET');
  connection.write(REQUEST);
  vi.advanceTimersByTime(100 * MINUTE);
  expect(response.gone).toBeNull();
  connection.requestSent();
  vi.advanceTimersByTime(9 * MINUTE);
  await peer.send('HTTP/1.1 102 Processing\r\n\r\n');
  await response.when(() => response.interim.length === 1);
  vi.advanceTimersByTime(2 * MINUTE);
  expect(response.gone).toBe('upstream_response_timeout');
  await peer.untilEnd();
});

test('a body that falls silent; one that is not taken may wait', async () => {
  const { connection, peer } = await port.connect(timeouts);
  const response = begin(connection);
  response.flowing = false;
  await peer.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe');
  await response.when(() => response.size === 2);
  vi.advanceTimersByTime(100 * MINUTE);
  expect(response.gone).toBeNull();
  connection.resume();
  vi.advanceTimersByTime(4 * MINUTE);
  expect(response.gone).toBeNull();
  vi.advanceTimersByTime(2 * MINUTE);
  expect(response.gone).toBe('upstream_idle_timeout');
});

test('an upstream that does not take the request body; when it does, the time of the response goes on as it was', async () => {
  const { connection, peer } = await port.connect(timeouts);
  const big = Buffer.alloc(48_000_000);
  const stuck = new CollectedResponse(connection);
  connection.begin(stuck, 'POST');
  peer.socket.pause();
  expect(connection.write(big)).toBe(false);
  await peer.send('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nearly');
  await stuck.when(() => stuck.size === 5);
  vi.advanceTimersByTime(3 * MINUTE);
  peer.socket.resume();
  await stuck.when(() => stuck.drains === 1);
  expect(stuck.gone).toBeNull();
  vi.advanceTimersByTime(6 * MINUTE);
  expect(stuck.gone).toBe('upstream_idle_timeout');

  const other = await port.connect(timeouts);
  const silent = new CollectedResponse(other.connection);
  other.connection.begin(silent, 'POST');
  other.peer.socket.pause();
  expect(other.connection.write(big)).toBe(false);
  await settled();
  vi.advanceTimersByTime(6 * MINUTE);
  expect(silent.gone).toBe('upstream_idle_timeout');
});

test('an idle connection that its pool gives a time is gone at once when that has passed', async () => {
  const { connection } = await port.connect(timeouts);
  const response = begin(connection);
  connection.onread.callback(Buffer.from(OK).copy(connection.onread.buffer()), connection.onread.buffer());
  expect(response.ended).toBe(true);
  let gone = 0;
  connection.onIdleGone = () => gone++;
  connection.deadline = performance.now() + MINUTE;
  vi.advanceTimersByTime(2 * MINUTE);
  expect([gone, connection.reusable]).toEqual([1, false]);
});
