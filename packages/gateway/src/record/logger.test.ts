import { inspect } from 'node:util';
import { SallyportError, Secret } from '@sallyport/sdk';
import { expect, test } from 'vitest';
import { createLogger, type Logger } from './logger.js';

const value = 'hunter22-hunter22';
const secret = new Secret(value);

function collecting(level: 'debug' | 'info'): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  return { logger: createLogger({ write: (line) => void lines.push(line) }, level), lines };
}

test('A line has the time, the level, the fields and the sentence, and nothing about the machine', () => {
  const { logger, lines } = collecting('info');
  logger.info({ port: 9080 }, 'The forward proxy is listening');
  logger.debug('too fine');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0])).toEqual({ level: 30, time: expect.any(Number) as number, port: 9080, msg: 'The forward proxy is listening' });
});

test('A secret never comes out, wherever it stands', () => {
  const { logger, lines } = collecting('debug');
  logger.info({ secret }, 'a field');
  logger.info({ deep: { list: [secret], map: new Map([['k', secret]]) } }, 'deep');
  logger.info(secret, 'the whole object');
  logger.info('an argument: %s %j %o', secret, secret, secret);
  logger.info(`a template: ${String(secret)}`);
  logger.error(
    new SallyportError('credential_unusable', { members: { secret }, cause: new Error(`failed with ${inspect({ secret })}`) }),
    'an error',
  );
  logger.error({ err: Object.assign(new Error('x'), { secret }) }, 'an error with a field');
  logger.child({ secret }).warn('a child');
  expect(lines).toHaveLength(8);
  for (const line of lines) expect(line).not.toContain(value);
  expect(lines.join('')).toContain('[secret]');
});
