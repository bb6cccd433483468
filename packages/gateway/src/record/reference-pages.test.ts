import { expect, test } from 'vitest';
import { eventsPage, metricsPage } from './reference-pages.js';

// A page that is not what the code says fails here; `npx vitest run reference-pages -u` writes it anew.
test('docs/events.md is up to date', async () => {
  await expect(eventsPage()).toMatchFileSnapshot('../../../../docs/events.md');
});

test('docs/metrics.md is up to date', async () => {
  await expect(metricsPage()).toMatchFileSnapshot('../../../../docs/metrics.md');
});
