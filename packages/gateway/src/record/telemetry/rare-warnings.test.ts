import { expect, test, vi } from 'vitest';
import { createLogger } from '../logger.js';
import { rareWarnings } from './rare-warnings.js';

test('says that it fails at once, then rarely, and that it works again', () => {
  const lines: { msg: string; failures: number; reason?: string }[] = [];
  const logger = createLogger({ write: (line) => void lines.push(JSON.parse(line)) }, 'info');
  let time = 1_000;
  vi.spyOn(performance, 'now').mockImplementation(() => time);
  const warnings = rareWarnings(logger, 'The export of traces');
  warnings.worked();
  warnings.failed('x'.repeat(1_000));
  for (let i = 0; i < 10; i++) warnings.failed('again');
  time += 300_001;
  warnings.failed('still');
  warnings.worked();
  warnings.worked();
  vi.restoreAllMocks();
  expect(lines.map(({ msg, failures }) => [msg, failures])).toEqual([
    ['The export of traces fails; requests are not affected', 1],
    ['The export of traces fails; requests are not affected', 12],
    ['The export of traces works again', 12],
  ]);
  expect(lines[0]?.reason).toHaveLength(300);
});
